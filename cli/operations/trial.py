"""Try a model on this machine: the jobs of a training run and its gate, on the rows of a file, without any cloud.

Contract, training, export, parity, evaluation and gate are the deployed ones: both jobs run as processes from the
code archive that a deployment would ship, in the folder layout that SageMaker gives them.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from everloop.cli.exceptions import CommandError, RefusedDataError
from everloop.cli.operations.history import file_remedy, told
from everloop.cli.operations.jobs_here import jobs_begin_soon, need_the_packages_of_jobs, run_job
from everloop.dataset.exceptions import ContractViolationError, DatasetError, SplitError
from everloop.dataset.file_format import FileFormat
from everloop.dataset.frame_contract import check_history
from everloop.dataset.held_groups import HeldGroups
from everloop.dataset.history_file import read_history_file
from everloop.dataset.lake import parquet_bytes, to_lake_frame
from everloop.dataset.snapshot import SnapshotParts, build_snapshot
from everloop.evaluation.gate import Expected, decide
from everloop.evaluation.report import MetricValue, Report
from everloop.instants import format_instant
from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.reasons import Reason

RUN_ID = "trial"
_NO_CHAMPION = "none"

NOTHING_TRAINED = "nothing was trained; `everloop docs data-formats` lists the accepted formats"


class TrialFailedError(CommandError):
    """A job of the trial failed, as it would on AWS."""


@dataclass(frozen=True)
class Trial:
    """What a trial found.

    Attributes
    ----------
    rows : dict of str to int
        ``train`` and ``test``, and those without a label.
    verdict : {"pass", "fail"}
        The gate's, for a first champion.
    reasons : tuple of Reason
        Failed ones first.
    candidate, baseline : dict of str to MetricValue
        On the test rows.
    seconds : dict of str to float
        What each step took.
    """

    model: str
    snapshot_hash: str
    boundary: datetime
    rows: dict[str, int]
    verdict: str
    reasons: tuple[Reason, ...]
    candidate: dict[str, MetricValue]
    baseline: dict[str, MetricValue]
    seconds: dict[str, float]


def try_file(
    declaration: ModelDeclaration,
    model_folder: Path,
    file: Path,
    file_format: FileFormat | None = None,
    *,
    say: Callable[[str], None],
    out: Path | None = None,
    skip_refused: bool = False,
) -> Trial:
    """Train and judge a first champion on the rows of a file; raises as :func:`try_model`.

    Parameters
    ----------
    skip_refused : bool
        Whether rows that break the contract are told and left out, as an import can leave them out.
    """
    try:
        frame = read_history_file(file, declaration, file_format, note=say)
    except DatasetError as error:
        raise RefusedDataError(str(error), f"{file_remedy(error, declaration)}; {NOTHING_TRAINED}") from error
    if skip_refused:
        frame = good_rows(declaration, frame, say)
    return try_model(declaration, model_folder, frame, place=str(file), say=say, out=out)


def good_rows(declaration: ModelDeclaration, frame: pd.DataFrame, say: Callable[[str], None]) -> pd.DataFrame:
    """The rows that break no rule, where there are some; where there are none, all of them, to be refused."""
    check = check_history(frame, declaration, datetime.now(UTC))
    if not check.refused or not len(check.accepted):
        return frame
    count = number_of(len(check.refused), "row")
    say(f"left out: {count}\n{told(check)}")
    return check.accepted


def try_model(
    declaration: ModelDeclaration,
    model_folder: Path,
    frame: pd.DataFrame,
    *,
    place: str,
    say: Callable[[str], None],
    out: Path | None = None,
    now: datetime | None = None,
) -> Trial:
    """Train and judge a first champion on the rows of ``frame``.

    Parameters
    ----------
    model_folder : Path
        The folder of ``models/`` that holds the training script.
    frame : pandas.DataFrame
        The declared columns, as :func:`everloop.dataset.history_file.read_history_file` gives them.
    place : str
        What errors call the rows: the file's name.
    say : callable
        Takes lines of progress, the jobs' own among them.
    out : Path, optional
        Where the jobs' files are kept; nowhere, when it is not given.

    Raises
    ------
    RefusedDataError
        Rows break the data contract, or leave nothing to train or to test on.
    TrialFailedError
        The training or the evaluation failed; the message is the job's own.
    """
    need_the_packages_of_jobs()
    with tempfile.TemporaryDirectory(prefix="everloop-try-") as scratch, jobs_begin_soon():
        folder, watch = Path(scratch), _Stopwatch()
        say("holding the rows against the contract")
        parts = _snapshot(declaration, frame, place, now or datetime.now(UTC))
        watch.lap("contract")
        code = unpack_code(model_folder, folder / "code")
        _store(parts, folder)
        say(f"training on {number_of(len(parts.train), 'row')}, up to {format_instant(parts.snapshot.boundary)}")
        _train(folder, code, say)
        watch.lap("training")
        say(f"evaluating on the {number_of(len(parts.test), 'row')} after that")
        report = _evaluate(folder, code, parts, say)
        watch.lap("evaluation")
        expected = Expected(
            *(declaration.model, RUN_ID, parts.snapshot.snapshot_hash, len(parts.test), None),
            held_groups=HeldGroups.of(declaration),
        )
        verdict = decide(report, declaration.gate, expected)
        if out is not None:
            _keep(folder / "evaluation", out)
    return Trial(
        model=declaration.model,
        snapshot_hash=parts.snapshot.snapshot_hash,
        boundary=parts.snapshot.boundary,
        rows={name: parts.snapshot.rows[name] for name in ("train", "test", "unlabelled")},
        verdict=verdict.as_dict()["verdict"],
        reasons=verdict.reasons,
        candidate=report.candidate,
        baseline=report.baseline,
        seconds=watch.seconds,
    )


class _Stopwatch:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name], self._since = round(now - self._since, 2), now


def _snapshot(declaration: ModelDeclaration, frame: pd.DataFrame, place: str, now: datetime) -> SnapshotParts:
    check = check_history(frame, declaration, now)
    if check.violations:
        remedy = "fix the file, or the declaration"
        if check.refused and len(check.accepted):
            remedy += ", or leave out the bad rows: --skip-refused"
        raise RefusedDataError(f"{place} breaks the data contract\n{told(check)}", remedy)
    rows = to_lake_frame(check.accepted, declaration)
    # A file is as old as it is: its own newest row, and no calendar, says how fresh its labels are.
    newest = rows["time"].max().to_pydatetime().replace(tzinfo=UTC) if len(rows) else now
    as_of = newest + timedelta(hours=declaration.data.label_lag_hours)
    try:
        return build_snapshot(rows, declaration, query=place, as_of=as_of)
    except (ContractViolationError, SplitError) as error:
        raise RefusedDataError(str(error), "use a file with more rows, or fix the declaration") from (error)


def _store(parts: SnapshotParts, folder: Path) -> None:
    for name, table in {"train": parts.train, "test": parts.test, "test_features": parts.test_features}.items():
        target = folder / "data" / name
        target.mkdir(parents=True)
        (target / "part-0.parquet").write_bytes(parquet_bytes(table))


def unpack_code(model_folder: Path, target: Path) -> Path:
    """The code archive of both jobs, unpacked; it is packaged by the program that a synthesis packages it with."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "everloop.infra.packaging.training_source",
        str(model_folder.resolve()),
        str(target),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TrialFailedError(
            f"the code can't be packaged: {done.stderr.strip()}", "fix the file that the error names"
        )
    return target


def _train(folder: Path, code: Path, say: Callable[[str], None]) -> None:
    model, output = folder / "model", folder / "output"
    variables = {
        "SM_CHANNEL_TRAIN": folder / "data" / "train",
        "SM_CHANNEL_TEST_FEATURES": folder / "data" / "test_features",
        "SM_MODEL_DIR": model,
        "SM_OUTPUT_DIR": output,
    }
    lines, status = run_job(["train_entry.py"], code, variables, say)
    if status:
        raise TrialFailedError(
            f"the training failed: {told_failure(output / 'failure', lines)}",
            "fix the script or the declaration, and try again; a training run would fail in the same way",
        )
    with tarfile.open(folder / "model.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(model, arcname=".")


def _evaluate(folder: Path, code: Path, parts: SnapshotParts, say: Callable[[str], None]) -> Report:
    output, message = folder / "evaluation", folder / "message"
    arguments = {
        "code": code,
        "model-data": folder,
        "test": folder / "data" / "test",
        "champion": _NO_CHAMPION,
        "run-id": RUN_ID,
        "snapshot-hash": parts.snapshot.snapshot_hash,
        "output": output,
        "message": message,
    }
    options = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    lines, status = run_job(["-m", "everloop.training.evaluate", *options], code, {"PYTHONPATH": code}, say)
    if status:
        raise TrialFailedError(
            f"the evaluation failed: {told_failure(message, lines)}",
            "fix the script or the declaration, and try again; a training run would fail in the same way",
        )
    return Report.from_json((output / "report.json").read_bytes())


def told_failure(file: Path, lines: list[str]) -> str:
    """Why a job failed: what it wrote for SageMaker to show, or the end of what it printed."""
    if file.is_file():
        return file.read_text(encoding="utf-8", errors="replace").strip()
    return "\n".join(lines[-8:]) or "it printed nothing"


def _keep(files: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(files.iterdir()):
        (out / file.name).write_bytes(file.read_bytes())
