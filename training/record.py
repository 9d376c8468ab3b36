"""What a training run was made of: code, packages, rows, settings."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path

from everloop.documents.training import TrainingDocument
from everloop.evaluation.baseline import Baseline
from everloop.model_file import ModelDeclaration
from everloop.training.channels import Split

PACKAGES = (
    "joblib",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "pydantic",
    "scikit-learn",
    "scipy",
    "threadpoolctl",
)


def training_record(
    declaration: ModelDeclaration, train: Split, test_rows: int, *, baseline: Baseline, code_sha256: str, refit: bool
) -> TrainingDocument:
    """The document ``training.json``.

    ``rows.train`` and ``time_range`` are of the rows learned from, which those of the test are among when it is a
    refit.
    """
    settings = declaration.training
    return {
        "model": declaration.model,
        "refit": refit,
        "rows": {"train": len(train), "test": test_rows},
        "time_range": [train.first, train.last],
        "script": settings.script,
        "seed": settings.seed,
        "parameters": dict(settings.parameters),
        "baseline": baseline.as_dict(),
        "code_sha256": code_sha256,
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }


def code_hash(root: Path) -> str:
    """SHA-256 over the names and bytes of every file below ``root``: the code that runs, as it runs.

    Compiled caches are no code, and are left out.
    """
    digest = hashlib.sha256()
    files = (p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    for path in sorted(files, key=lambda p: p.relative_to(root).as_posix()):
        name = path.relative_to(root).as_posix().encode()
        for part in (name, path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()
