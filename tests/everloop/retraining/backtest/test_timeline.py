"""A history is cut into windows, and each model answers its own and all later ones."""

from __future__ import annotations

import numpy as np
import pytest

from everloop.retraining.backtest.losses import LossTable, row_losses
from everloop.retraining.backtest.timeline import Timeline, score_windows
from everloop.retraining.exceptions import BacktestError
from tests.everloop.retraining.backtest.scenes import timeline


def test_a_model_learns_from_what_was_labelled_before_its_window() -> None:
    # GIVEN four rows a day, ten days of history, windows of five days, labels that come two days later
    line, asked = timeline(4, lag_days=2), []

    def fit(rows: np.ndarray) -> object:
        asked.append((int(rows[0]), int(rows[-1])))
        return lambda rows: np.full(len(rows), 0.5)

    # WHEN models are trained at each window
    scores = score_windows(line, fit)  # type: ignore[arg-type]  # object is what a test's fit may return
    # THEN the first learns from the first eight days, and answers from day 10 on
    assert asked[0] == (0, 4 * 8 - 1)
    assert asked[2] == (0, 4 * 18 - 1)
    assert np.isnan(scores[0, :40]).all()
    assert (scores[0, 40:] == 0.5).all()
    assert np.isnan(scores[2, :80]).all()


def test_a_sliding_window_and_a_sample_are_shorter() -> None:
    line, asked = timeline(4), []

    def fit(rows: np.ndarray) -> object:
        asked.append(rows)
        return lambda rows: np.zeros(len(rows))

    score_windows(line, fit, training_days=6, most_rows=10)  # type: ignore[arg-type]  # as above
    assert [len(rows) for rows in asked] == [10] * 4
    assert all(line.day[rows].min() >= line.first_day(window) - 6 for window, rows in enumerate(asked))
    assert all((np.diff(rows) > 0).all() for rows in asked)


def test_the_test_part_is_learned_from_by_none() -> None:
    line = timeline(4, lag_days=1)
    assert line.rows_before(2)[-1] == 4 * 19 - 1
    np.testing.assert_array_equal(line.rows_before(2, days=6, held_out_days=7), np.arange(4 * 6, 4 * 12))


def test_too_short_a_history_says_what_is_missing() -> None:
    with pytest.raises(BacktestError, match="12 days give 0 windows of 7 days after the first 10"):
        Timeline(np.zeros(12), np.arange(12), 10, 7)
    with pytest.raises(BacktestError, match="order of their days"):
        Timeline(np.zeros(100), np.arange(100)[::-1], 10, 7)


def test_days_without_rows_are_days() -> None:
    day = np.delete(np.arange(40), [12, 13])
    line = Timeline(np.zeros(38), day, 10, 5)
    assert line.windows == 6
    assert line.rows_by_day.sum() == 38
    assert line.rows_by_day[12] == 0


def test_losses_add_up_from_rows_to_days_to_windows() -> None:
    rng = np.random.default_rng(7)
    line = timeline(5)
    target = rng.integers(0, 2, len(line.day)).astype(float)
    scores = rng.uniform(size=(5, len(line.day)))
    for model in range(5):
        scores[model, : line.day_starts[line.first_day(model)]] = np.nan
    losses = row_losses(target, scores, "log_loss")
    table = LossTable.of(line, losses)
    assert table.by_window[1, 3] == pytest.approx(losses[1, 4 * 25 : 4 * 30].sum())
    assert table.days_of(1, 3).sum() == pytest.approx(table.by_window[1, 3])
    assert np.isnan(table.by_window[3, 1])


def test_the_losses_are_those_of_their_names() -> None:
    target, scores = np.array([1.0, 0.0, 1.0]), np.array([0.8, 0.6, np.nan])
    np.testing.assert_allclose(row_losses(target, scores, "log_loss")[:2], [-np.log(0.8), -np.log(0.4)])
    np.testing.assert_allclose(row_losses(target, scores, "brier")[:2], [0.04, 0.36])
    np.testing.assert_allclose(row_losses(target, scores, "mae")[:2], [0.2, 0.6])
    np.testing.assert_array_equal(row_losses(target, scores, "error"), [0, 1, np.nan])
    assert np.isnan(row_losses(target, scores, "log_loss")[2])
