"""Backtest policies of retraining on a history: on this machine, with the model's own program, without any cloud."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from everloop.cli.exceptions import RefusedDataError
from everloop.cli.operations.backtest_deployed import LoopOnHistory
from everloop.cli.operations.backtest_loops import as_deployed
from everloop.cli.operations.backtest_results import Answers, Backtest, evaluate
from everloop.cli.operations.backtest_shape import Knobs, Shape, cut
from everloop.cli.operations.backtest_training_days import choices_of
from everloop.cli.operations.history import file_remedy, told
from everloop.cli.operations.jobs_here import jobs_begin_soon, need_the_packages_of_jobs, run_job
from everloop.cli.operations.trial import (
    TrialFailedError,
    good_rows,
    told_failure,
    unpack_code,
)
from everloop.dataset.exceptions import DatasetError
from everloop.dataset.file_format import FileFormat
from everloop.dataset.frame_contract import check_history
from everloop.dataset.history_file import read_history_file
from everloop.dataset.lake import parquet_bytes, to_lake_frame
from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.retraining.backtest.timeline import Timeline

NOTHING_TESTED = "nothing was tested; `everloop docs data-formats` lists the accepted formats"


def backtest_file(
    declaration: ModelDeclaration,
    model_folder: Path,
    file: Path,
    file_format: FileFormat | None = None,
    *,
    knobs: Knobs,
    say: Callable[[str], None],
    skip_refused: bool = False,
) -> Backtest:
    """Backtest on the rows of a file.

    Raises
    ------
    RefusedDataError
        The file breaks the data contract, or is too short for any window.
    TrialFailedError
        The model's program failed, as it would in a training run.
    """
    try:
        frame = read_history_file(file, declaration, file_format, note=say)
    except DatasetError as error:
        raise RefusedDataError(str(error), f"{file_remedy(error, declaration)}; {NOTHING_TESTED}") from error
    if skip_refused:
        frame = good_rows(declaration, frame, say)
    return backtest_frame(declaration, model_folder, frame, place=str(file), knobs=knobs, say=say)


def backtest_frame(
    declaration: ModelDeclaration,
    model_folder: Path,
    frame: pd.DataFrame,
    *,
    place: str,
    knobs: Knobs,
    say: Callable[[str], None],
) -> Backtest:
    """Backtest on the rows of a frame; raises as :func:`backtest_file`."""
    need_the_packages_of_jobs()
    started = time.monotonic()
    say("checking the rows against the contract")
    every = _lake_rows(declaration, frame, place)
    rows = every[every["label"].notna()].reset_index(drop=True)
    taken = _sample(rows, knobs.most_rows, declaration.training.seed)
    shape = cut(declaration, rows, len(taken), knobs, place)
    say(
        f"{number_of(shape.windows, 'window')} of {number_of(shape.window_days, 'day')} from {shape.date(0)} on, "
        f"{shape.rows_taken:,} of {shape.rows:,} labelled rows"
    )
    with tempfile.TemporaryDirectory(prefix="everloop-backtest-") as scratch, jobs_begin_soon():
        folder = Path(scratch)
        code = unpack_code(model_folder, folder / "code")
        choices = choices_of(declaration, shape, knobs.training_days)
        answers = _train(code, folder, taken, shape, knobs, choices, say)
        say("applying the policies")
        found, ground = evaluate(declaration, taken, shape, answers, knobs)
        if knobs.deployed:
            history = LoopOnHistory(every, shape, code, folder, say, knobs.request_rows)
            found = as_deployed(found, ground, declaration, history, knobs)
    return replace(found, seconds=round(time.monotonic() - started, 1))


def _lake_rows(declaration: ModelDeclaration, frame: pd.DataFrame, place: str) -> pd.DataFrame:
    """The accepted rows as the lake has them, those without a label among them."""
    check = check_history(frame, declaration, datetime.now(UTC))
    if check.violations:
        remedy = "fix the file, or the declaration, or leave out the bad rows: --skip-refused"
        raise RefusedDataError(f"{place} breaks the data contract\n{told(check)}", remedy)
    rows = to_lake_frame(check.accepted, declaration)
    if rows["label"].isna().all():
        raise RefusedDataError(f"{place} has no labelled row", "use a file with outcomes")
    return rows


def _sample(rows: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    if len(rows) <= most:
        return rows
    chosen = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
    return rows.iloc[chosen].reset_index(drop=True)


def _train(
    code: Path,
    folder: Path,
    rows: pd.DataFrame,
    shape: Shape,
    knobs: Knobs,
    choices: tuple[int, ...],
    say: Callable[[str], None],
) -> Answers:
    (folder / "rows").mkdir()
    (folder / "rows" / "part-0.parquet").write_bytes(parquet_bytes(rows))
    options = {
        "rows": folder / "rows",
        "output": folder / "output",
        "history-days": shape.history_days,
        "window-days": shape.window_days,
        "lag-days": shape.lag_days,
        "test-days": shape.test_days,
        "probe-rows": knobs.probe_rows,
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    arguments += ["--training-days", *map(str, choices)]
    lines, status = run_job(["-m", "everloop.training.backtest", *arguments], code, {"PYTHONPATH": code}, say)
    if status:
        raise TrialFailedError(
            f"the training failed: {told_failure(folder / 'output' / 'failure', lines)}",
            "fix the script or the declaration; `everloop try` trains one model in the same way",
        )
    with np.load(folder / "output" / "scores.npz") as kept:
        timeline = Timeline(kept["target"], kept["day"], shape.history_days, shape.window_days, shape.lag_days)
        others = {days: kept[f"training_days_{days}"] for days in choices}
        spans = kept["spans"].tolist() if "spans" in kept.files else None
        return Answers(timeline, kept["model"], kept["probe"], others, spans)
