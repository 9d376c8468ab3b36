"""A backtest's job: the model's own program at the start of every window, and what each model answers later on.

    python -m everloop.training.backtest --rows FOLDER --output FOLDER --history-days 56 --window-days 7 …

Written to ``--output``: ``scores.npz`` with ``model`` and ``probe`` (float32, windows by rows; NaN before a model's own
window), and the rows' ``target`` and ``day``, in the order of time; for each of ``--training-days`` an array
``training_days_…`` (float32, rows) of models that learn from so many of the newest days (0: from all), trained at a few
of the windows. Where ``data.training_spans`` are declared, all learn from what evidence chose, and nothing is compared:
then there is an array ``spans`` (int, windows; the newest days of each, 0 for all rows).
A line is printed for every model.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.recalibration.calibration import Kind
from everloop.retraining.backtest.losses import LossTable, row_losses
from everloop.retraining.backtest.recalibrated import declared_shift, recalibrated_in_turn
from everloop.retraining.backtest.spans import Span, chosen_spans, fresh_scores, learned_rows
from everloop.retraining.backtest.timeline import Answer, Fit, Rows, Timeline, score_windows
from everloop.retraining.backtest.training_windows import block_scores
from everloop.retraining.exceptions import BacktestError
from everloop.retraining.spans import span_told
from everloop.training.channels import Split, read_split
from everloop.training.declaration import read_declaration
from everloop.training.exceptions import JobError
from everloop.training.user_script import run_user_script

TRAINING_DAYS = "training_days_"
"""How the arrays of other training windows begin; the number of days follows."""

SPANS = "spans"
"""The array of the newest days that each window's model learned from, 0 for all rows; where evidence chose."""

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
    if declaration.data.training_spans:
        found = by_evidence(declaration, timeline, fit, options)
        _write(options.output, timeline, found)
        return
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
    _write(options.output, timeline, found)


def _write(folder: Path, timeline: Timeline, found: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "scores.npz", target=timeline.target, day=timeline.day, **found)  # type: ignore[arg-type]  # the stub takes names for flags


def by_evidence(
    declaration: ModelDeclaration, timeline: Timeline, fit: Fit, options: argparse.Namespace
) -> dict[str, np.ndarray]:
    """Models and probes that learned from the span which probes of earlier windows spoke for, as trainings do."""
    seed, kind = declaration.training.seed, _kind(declaration)
    fewest, turns = declaration.data.minimum_rows, [(window, window + 1) for window in range(timeline.windows)]
    own: dict[Span, np.ndarray] = {}
    for days in (None, *(declaration.data.training_spans or ())):
        print(f"probes that learn from {span_told(days)}", flush=True)
        raw = fresh_scores(timeline, fit, days, fewest=fewest, most_rows=options.probe_rows, seed=seed)
        shift = declared_shift(declaration)
        served = recalibrated_in_turn(timeline, raw, kind, turns, max_shift=shift)
        lost = row_losses(timeline.target[: len(served)], served, declaration.gate.metric)
        own[days] = LossTable.of(timeline, lost[None]).daily[0]
    chosen = chosen_spans(timeline, own, unit=declaration.gate.metric)
    for days, times in Counter(choice.days for choice in chosen).items():
        print(f"{number_of(times, 'window')} begin with a training on {span_told(days)}", flush=True)
    found = {}
    for what, most, held_out in (("model", None, options.test_days), ("probe", options.probe_rows, 0)):
        scores = np.full((timeline.windows, timeline.day_starts[-1]), np.nan, dtype=np.float32)
        for window, choice in enumerate(chosen):
            asked = timeline.rows_from(window)
            rows = learned_rows(timeline, window, choice.days, most_rows=most, held_out_days=held_out, seed=seed)
            scores[window, asked] = fit(rows)(asked)
            print(f"{what} {window + 1} of {timeline.windows}", flush=True)
        found[what] = scores
    found[SPANS] = np.array([choice.days or 0 for choice in chosen])
    return found


def _kind(declaration: ModelDeclaration) -> Kind:
    return "log_odds" if declaration.problem.type == "binary_classification" else "value"


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
                f"{len(known)} labelled rows come before {rows.times[known[-1]]}: too few, or of one outcome; make the "
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
        print(f"{what} {done} of {timeline.windows}, {seconds:.0f} s, at most {left:.0f} s left", flush=True)

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
