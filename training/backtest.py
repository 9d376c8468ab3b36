"""A backtest's job: the model's own program at the start of every window, and what each model answers later on.

    python -m everloop.training.backtest --rows FOLDER --output FOLDER --history-days 56 --window-days 7 …

Written to ``--output``: ``scores.npz`` with ``model`` and ``probe`` (float32, windows by rows; NaN before a model's own
window), and the rows' ``target`` and ``day``, in the order of time; for each of ``--training-days`` an array
``training_days_…`` (float32, rows) of models that learn from so many of the newest days (0: from all), trained at a few
of the windows. A line is printed for every model.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from everloop.model_file import ModelDeclaration
from everloop.retraining.backtest.timeline import Answer, Fit, Rows, Timeline, score_windows
from everloop.retraining.backtest.training_windows import block_scores
from everloop.retraining.exceptions import BacktestError
from everloop.training.channels import Split, read_split
from everloop.training.declaration import read_declaration
from everloop.training.exceptions import JobError
from everloop.training.user_script import run_user_script

TRAINING_DAYS = "training_days_"
"""How the arrays of other training windows begin; the number of days follows."""

FEWEST_TO_LEARN = 10
"""Rows without which nothing is trained: below them a training run would refuse as well."""


def main(arguments: list[str]) -> int:
    """Run the job; the process's exit status."""
    options = _parser().parse_args(arguments)
    try:
        run(options)
    except (JobError, BacktestError) as error:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "failure").write_text(str(error), encoding="utf-8")
        print(error)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    """Train, score and write.

    Raises
    ------
    JobError, BacktestError
        When the rows, the script or the windows are refused.
    """
    code = Path.cwd()
    declaration = read_declaration(code)
    rows = in_order(read_split(options.rows, declaration, labelled=True))
    days = rows.days.astype(int)
    target = rows.labels.astype(np.float64)
    timeline = Timeline(target, days - days[0], options.history_days, options.window_days, options.lag_days)
    fit = program(code / "user_model", declaration, rows)
    settings = {"held_out_days": options.test_days, "seed": declaration.training.seed}
    days_before = declaration.data.training_window_days
    found = {"model": _told("model", timeline, fit, training_days=days_before, **settings)}
    most = len(timeline.rows_before(timeline.windows - 1, days=days_before))
    if most <= options.probe_rows and not options.test_days:
        # A probe would learn from the very rows that the model did.
        found["probe"] = found["model"]
    else:
        settings["held_out_days"] = 0
        found["probe"] = _told(
            "probe", timeline, fit, training_days=days_before, most_rows=options.probe_rows, **settings
        )
    for choice in options.training_days:
        print(f"learning from {choice or 'all'} days, for comparison", flush=True)
        found[f"{TRAINING_DAYS}{choice}"] = block_scores(
            timeline, fit, choice, found["model"], declared_days=days_before, held_out_days=options.test_days
        )
    options.output.mkdir(parents=True, exist_ok=True)
    np.savez(options.output / "scores.npz", target=target, day=timeline.day, **found)  # type: ignore[arg-type]  # the stub takes names for flags


def in_order(rows: Split) -> Split:
    """The rows by their time."""
    order = np.argsort(rows.times, kind="stable")
    return Split(rows.features.iloc[order].reset_index(drop=True), rows.labels[order], rows.times[order],
                 rows.first, rows.last)  # fmt: skip


def program(folder: Path, declaration: ModelDeclaration, rows: Split) -> Fit:
    """The model's own program as what a backtest trains with."""
    classification = declaration.problem.type == "binary_classification"

    def fit(known: Rows) -> Answer:
        labels = rows.labels[known]
        few = len(known) < FEWEST_TO_LEARN or (classification and len(np.unique(labels)) < 2)
        if few:
            raise BacktestError(
                f"{len(known)} labelled rows, of one outcome or too few, come before {rows.times[known[-1]]}: make the "
                "first training longer (--history-days)"
                if len(known)
                else "no labelled row comes before the first window: make the first training longer (--history-days)"
            )
        chosen = np.zeros(len(rows), dtype=bool)
        chosen[known] = True
        estimator = run_user_script(folder, declaration, rows.only(chosen))

        def answer(asked: Rows) -> np.ndarray:
            frame = rows.features.iloc[asked]
            found: Any = estimator.predict_proba(frame)[:, 1] if classification else estimator.predict(frame)
            return np.asarray(found, dtype=np.float64)

        return answer

    return fit


def _told(what: str, timeline: Timeline, fit: Fit, **settings: Any) -> np.ndarray:
    started = time.monotonic()

    def progress(done: int) -> None:
        seconds = time.monotonic() - started
        left = seconds / done * (timeline.windows - done)
        print(f"{what} {done} of {timeline.windows}, {seconds:.0f} s, at most {left:.0f} s to go", flush=True)

    return score_windows(timeline, fit, progress=progress, **settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    for name in ("history-days", "window-days", "lag-days", "test-days", "probe-rows"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--training-days", type=int, nargs="*", default=[])
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
