"""Trainings of a backtest that learn from the span which evidence chose."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from everloop.retraining.backtest.history import History
from everloop.retraining.backtest.losses import LossTable, row_losses
from everloop.retraining.backtest.policies import Every
from everloop.retraining.backtest.spans import (
    by_evidence,
    chosen_spans,
    fresh_losses,
    fresh_scores,
    learned_rows,
)
from everloop.retraining.backtest.timeline import Answer, Fit, Rows, Timeline, score_windows
from everloop.retraining.backtest.walk import walk
from everloop.training.backtest import by_evidence as trained_by_evidence
from tests.helpers.declarations import binary_document, declare

DAYS, ROWS_A_DAY, HISTORY, WINDOW = 140, 20, 28, 7
CHANGES_ON = 77
"""The day from which on what was common is rare."""


def timeline(*, changes: bool = True, lag_days: int = 0, days: int = DAYS) -> Timeline:
    day = np.repeat(np.arange(days), ROWS_A_DAY)
    likely = np.where((day >= CHANGES_ON) & changes, 0.2, 0.8)
    target = (np.random.default_rng(3).random(DAYS * ROWS_A_DAY)[: len(day)] < likely).astype(float)
    return Timeline(target, day, HISTORY, WINDOW, lag_days)


def rate(line: Timeline) -> Fit:
    """A model that answers the rate of the rows that it learned from."""

    def fit(known: Rows) -> Answer:
        mean = float(line.target[known].mean())
        return lambda asked: np.full(len(asked), mean)

    return fit


def history(line: Timeline, days: int | None) -> History:
    scores = score_windows(line, rate(line), training_days=days)
    lost = LossTable.of(line, row_losses(line.target[: line.day_starts[-1]], scores, "log_loss"))
    return History(lost, lost, lost, lost, np.diag(lost.by_window).copy())


def chosen(line: Timeline) -> list[int | None]:
    own = {days: fresh_losses(history(line, days).probe) for days in (None, 14)}
    return [choice.days for choice in chosen_spans(line, own)]


def test_a_change_is_followed_and_nothing_else_is() -> None:
    changed = (CHANGES_ON - HISTORY) // WINDOW
    found = chosen(timeline())
    assert found[: changed + 1] == [None] * (changed + 1)
    assert set(found[changed + 4 :]) == {14}
    assert set(chosen(timeline(changes=False))) == {None}


@pytest.mark.parametrize("lag_days", [0, 7, 14])
def test_no_choice_rests_on_labels_that_are_still_out(lag_days: int) -> None:
    """What came later is cut off, and the choices before it stay as they were."""
    whole = chosen(timeline(lag_days=lag_days))
    for windows in (6, 9, 12):
        cut = chosen(timeline(lag_days=lag_days, days=HISTORY + windows * WINDOW))
        assert cut == whole[:windows]
    first = next(place for place, days in enumerate(whole) if days is not None)
    assert HISTORY + first * WINDOW - lag_days >= CHANGES_ON + WINDOW


def test_the_history_of_what_was_chosen_has_the_models_of_those_spans() -> None:
    line = timeline()
    histories = {days: history(line, days) for days in (None, 14)}
    spans = chosen(line)
    found = by_evidence(histories, spans)
    for window, days in enumerate(spans):
        np.testing.assert_array_equal(found.served.by_window[window], histories[days].served.by_window[window])
    np.testing.assert_array_equal(found.fresh, np.diag(found.served.by_window))
    always, whole = (walk(of, Every(1), 0.0).loss.sum() for of in (found, histories[None]))
    assert always < whole


def test_a_sample_is_of_the_span_and_the_same_again() -> None:
    line = timeline()
    first, again = (learned_rows(line, 5, 14, most_rows=50, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(first) == 50
    assert line.day[first].min() >= line.first_day(5) - 14
    assert len(learned_rows(line, 5, None, held_out_days=7)) == (line.first_day(5) - 7) * ROWS_A_DAY


def test_a_span_that_no_training_takes_counts_as_all_rows() -> None:
    line = timeline()
    whole, few = (
        fresh_scores(line, rate(line), days, fewest=14 * ROWS_A_DAY + 1, most_rows=10**6, seed=0) for days in (None, 14)
    )
    np.testing.assert_array_equal(few, whole)


@pytest.mark.slow
def test_the_job_trains_models_and_probes_on_what_was_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    line = timeline()
    investment = {"investment": {"every_days": WINDOW}, "cooldown_days": 14, "quota": {"runs": 4, "days": 60}}
    declaration = declare(binary_document(data={"training_spans": [14]}, retraining=investment))
    options = argparse.Namespace(probe_rows=200, test_days=0)
    found = trained_by_evidence(declaration, line, rate(line), options)
    last, own = line.windows - 1, slice(line.day_starts[line.first_day(line.windows - 1)], None)
    # THEN the newest model knows of the new world alone, and the first one of the old
    assert found["model"][last, own].max() == pytest.approx(line.target[line.rows_before(last, days=14)].mean())
    assert found["model"][0, own].max() == pytest.approx(line.target[line.rows_before(0)].mean())
    assert np.isnan(found["probe"][last, : own.start]).all()
    assert (found["spans"][0], found["spans"][last]) == (0, 14)
    assert "windows begin with a training on the newest 14 days" in capsys.readouterr().out


def test_a_table_of_other_models_says_nothing_of_the_choice() -> None:
    """Only what probes lost in their own windows counts."""
    line = timeline()
    probes = history(line, 14).probe
    worse = probes.daily.copy()
    for model in range(len(worse)):
        worse[model, line.first_day(model + 1) :] += 9.0
    np.testing.assert_array_equal(fresh_losses(LossTable(line, worse)), fresh_losses(probes))
