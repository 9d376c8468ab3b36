"""Scores are put right day by day by what was known then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from everloop.retraining.backtest.losses import row_losses
from everloop.retraining.backtest.recalibrated import declared_shift, recalibrated
from everloop.retraining.backtest.timeline import Timeline
from tests.helpers.declarations import binary_document, declare


def scene(lag_days: int = 0) -> tuple[Timeline, np.ndarray]:
    """Models that said the truth until day 30; from then on log odds are 1.5 higher than they say."""
    rng = np.random.default_rng(7)
    day = np.repeat(np.arange(80), 100)
    said = rng.normal(size=len(day))
    truth = said + 1.5 * (day >= 30)
    target = (rng.random(len(day)) < 1 / (1 + np.exp(-truth))).astype(float)
    line = Timeline(target, day, 10, 10, lag_days)
    scores = np.tile(1 / (1 + np.exp(-said)), (line.windows, 1))
    for model in range(line.windows):
        scores[model, : line.day_starts[line.first_day(model)]] = np.nan
    return line, scores


@pytest.mark.slow
def test_a_level_that_moved_is_put_right() -> None:
    line, scores = scene()
    served = recalibrated(line, scores, "log_odds")
    late = line.day >= 50
    before, after = (row_losses(line.target, s[0], "log_loss")[late].mean() for s in (scores, served))
    assert after < before - 0.1
    # AND where nothing moved it costs next to nothing
    calm = (line.day >= 10) & (line.day < 30)
    before, after = (row_losses(line.target, s[0], "log_loss")[calm].mean() for s in (scores, served))
    assert after < before + 0.01


@pytest.mark.slow
def test_a_model_is_served_as_it_is_until_its_first_labels() -> None:
    line, scores = scene(lag_days=3)
    served = recalibrated(line, scores, "log_odds")
    first = (line.day >= 10) & (line.day < 13)
    np.testing.assert_allclose(served[0, first], scores[0, first], atol=1e-9)
    assert np.isnan(served[2, : line.day_starts[30]]).all()


@pytest.mark.slow
def test_the_served_score_rests_on_known_labels_only() -> None:
    line, scores = scene(lag_days=3)
    flipped = np.where(line.day >= 40, 1 - line.target, line.target)
    other = Timeline(flipped, line.day, 10, 10, 3)
    one, two = recalibrated(line, scores, "log_odds"), recalibrated(other, scores, "log_odds")
    until = line.day < 43
    np.testing.assert_array_equal(one[:, until], two[:, until])
    assert not np.allclose(one[0, ~until], two[0, ~until])


@pytest.mark.slow
def test_no_score_is_moved_further_than_declared() -> None:
    line, scores = scene()
    served = recalibrated(line, scores, "log_odds", max_shift=0.25)
    there = ~np.isnan(served[0])
    moved = np.abs(np.log(served[0] / (1 - served[0])) - np.log(scores[0] / (1 - scores[0])))[there]
    assert 0.2 < moved.max() <= 0.25 + 1e-9
    # AND without a limit that is near they move by what is missing
    free = recalibrated(line, scores, "log_odds")
    moved = np.abs(np.log(free[0] / (1 - free[0])) - np.log(scores[0] / (1 - scores[0])))[there]
    assert moved.max() > 1


@pytest.mark.parametrize(("declared", "limit"), [("none", 8.0), ({}, 8.0), ({"max_shift": 2}, 2.0)])
def test_the_limit_is_the_declared_one(declared: Any, limit: float) -> None:
    assert declared_shift(declare(binary_document(recalibration=declared))) == limit


def test_values_are_put_right_too() -> None:
    rng = np.random.default_rng(7)
    day = np.repeat(np.arange(60), 50)
    said = rng.normal(100, 10, len(day))
    target = 20 + 0.9 * said + rng.normal(size=len(day))
    line = Timeline(target, day, 10, 10)
    scores = np.tile(said, (line.windows, 1))
    served = recalibrated(line, scores, "value")
    late = line.day >= 30
    assert np.abs(served[0] - target)[late].mean() < 1.2
    assert np.abs(said - target)[late].mean() > 5
