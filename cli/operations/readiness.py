"""The ML Test Score of a deployed model: what it is computed from is read here."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NotRequired, TypedDict

from everloop.cli.account import Account
from everloop.cli.operations.declarations import find_declaration
from everloop.cli.operations.reports import evaluation_of
from everloop.cli.operations.run_facts import registered_file
from everloop.documents.training import TuningDocument
from everloop.json_text import read_json
from everloop.manifest import SIBLING, TRAINING
from everloop.registry.ml_test_score import Facts, TestScore, score_of
from everloop.registry.records import Version
from everloop.registry.store import RegistryStore
from everloop.registry.trace import Status, status
from everloop.typed_json import read_as

PROBES = 10
"""Of the latest fresh probes so many are counted."""


class ChosenParameters(TypedDict):
    """What is read of a training's record."""

    tuning: NotRequired[TuningDocument]


def readiness_of(account: Account, model: str, models_directory: Path) -> tuple[TestScore, Status]:
    """The score of a deployed model that the project declares, and where the model is.

    Raises
    ------
    CommandError
        When the project does not declare it, or the version's report is not the one that was registered.
    NotDeployedError
    """
    declaration = find_declaration(model, models_directory)
    account.model(model)
    store = account.registry(model)
    found = status(store)
    version = _version(store, found)
    facts = Facts(
        declaration=declaration,
        status=found,
        version=version,
        report=None if version is None else evaluation_of(account, model, version.version).report,
        run=None if version is None else store.runs.get(version.run_id),
        snapshot=None if version is None else store.snapshots.find(version.snapshot_hash),
        rollouts=tuple(store.rollouts.all()),
        runs=tuple(store.runs.all()),
        probes=len(store.probes.latest(PROBES)),
        checked_in=checked_in(models_directory / model),
        test_files=found_tests(models_directory / model),
        tuning=None if version is None else _tuning(account, version),
        reproduced=None if version is None else next(iter(store.reproductions.of(version.version)), None),
    )
    return score_of(facts), found


def _tuning(account: Account, version: Version) -> TuningDocument | None:
    """How the parameters of a version were chosen, by the record of the training that chose them."""
    names = (f"{SIBLING}{TRAINING}", TRAINING)
    name = next((name for name in names if name in version.files), None)
    if name is None:
        return None
    record = read_json(registered_file(account, version, name))
    return read_as(ChosenParameters, record, name, "train again").get("tuning")


def _version(store: RegistryStore, found: Status) -> Version | None:
    if found.champion_version is not None:
        return found.champion_version
    return max(store.versions.all(), key=lambda version: version.version, default=None)


def checked_in(folder: Path) -> bool | None:
    """Whether all of a folder is in a Git repository as it is; None where there is no Git to say so."""
    try:
        kept = _git(folder, "ls-files")
        changed = _git(folder, "status", "--porcelain", "--", ".")
    except OSError:
        return None
    if kept is None or changed is None:
        return False
    return bool(kept) and not changed


def _git(folder: Path, *words: str) -> str | None:
    """What Git prints; None where it fails, as outside of a repository."""
    ran = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else None


def found_tests(folder: Path) -> tuple[str, ...]:
    """The tests of a model's code: in its folder, and in the project's."""
    beside = folder.parent.parent / "tests" / "models" / f"test_{folder.name}.py"
    found = [*sorted(folder.rglob("test_*.py")), *([beside] if beside.is_file() else [])]
    return tuple(str(path) for path in found)
