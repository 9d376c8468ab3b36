"""What a training run was made of: code, packages, rows, settings."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from everloop.dataset.held_groups import HeldGroups
from everloop.dataset.standing import Period
from everloop.documents.training import TrainingDocument, UpdateDocument
from everloop.evaluation.baseline import Baseline
from everloop.evaluation.learning_report import LearningCurve
from everloop.model_file.schema import ModelDeclaration
from everloop.training.channels import Split
from everloop.training.environment import Environment
from everloop.training.tuning import Chosen


def training_record(
    declaration: ModelDeclaration,
    train: Split,
    test_rows: int,
    *,
    baseline: Baseline,
    code_sha256: str,
    environment: Environment,
    refit: bool,
    data_sha256: Mapping[str, str],
    curve: LearningCurve | None = None,
    update: UpdateDocument | None = None,
    chosen: Chosen | None = None,
    held_out: Period | None = None,
    held_groups: HeldGroups | None = None,
) -> TrainingDocument:
    """The document ``training.json``.

    ``rows.train`` and ``time_range`` are of the rows learned from, which those of the test are among when it is a
    refit. ``data_sha256`` has, by channel, the SHA-256 of what was read.
    """
    settings = declaration.training
    document: TrainingDocument = {
        "model": declaration.model,
        "refit": refit,
        "rows": {"train": len(train), "test": test_rows},
        "time_range": [train.first, train.last],
        "script": settings.script,
        "seed": settings.seed,
        "parameters": dict(settings.parameters if chosen is None else chosen.parameters),
        "baseline": baseline.as_dict(),
        "code_sha256": code_sha256,
        "python": environment.python,
        "platform": environment.platform,
        "packages": environment.packages,
        "lock": environment.lock,
        "data_sha256": dict(data_sha256),
    }
    if held_out is not None:
        document["held_out"] = {"after": held_out.after, "until": held_out.until}
    if held_groups is not None:
        document["held_groups"] = held_groups.as_dict()
    if curve is not None:
        document["learning_curve"] = curve
    if update is not None:
        document["update"] = update
    if chosen is not None and chosen.tuning is not None:
        document["tuning"] = chosen.tuning
    if chosen is not None and chosen.tuned_by is not None:
        document["tuned_by"] = chosen.tuned_by
    return document


def code_hash(root: Path, *, without: Collection[str] = ()) -> str:
    """SHA-256 over the names and bytes of every file below ``root``: the code that runs, as it runs.

    Compiled caches are no code, and are left out; so are the files of ``root`` that ``without`` names.
    """
    digest = hashlib.sha256()
    left_out = {root / name for name in without}
    files = (p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts and p not in left_out)
    for path in sorted(files, key=lambda p: p.relative_to(root).as_posix()):
        name = path.relative_to(root).as_posix().encode()
        for part in (name, path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()
