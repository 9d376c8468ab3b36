"""A probe is scored as the champion is served: recalibrated by the same rules, within the same limit."""

from __future__ import annotations

import numpy as np
import pytest

from everloop.recalibration.declared import LONGEST_DELAY
from everloop.retraining.probe.served import served_scores, started

DAYS, ROWS = 40, 200


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores whose log odds are 1.5 too low, on every day."""
    rng = np.random.default_rng(3)
    said = rng.normal(size=DAYS * ROWS)
    target = (rng.random(len(said)) < 1 / (1 + np.exp(-said - 1.5))).astype(float)
    return 1 / (1 + np.exp(-said)), target, np.repeat(np.arange(DAYS), ROWS)


def log_odds(scores: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.log(scores / (1 - scores))
    return found


@pytest.mark.parametrize("limit", [0.25, 0.5])
def test_no_score_is_moved_further_than_declared(limit: float) -> None:
    raw, target, day = scene()
    state = started("log_odds", raw, 0, limit)
    served, _ = served_scores(raw, target, day, begin=0, end=DAYS, state=state, own=0)
    moved = np.abs(log_odds(served) - log_odds(raw))
    assert limit * 0.9 < moved.max() <= limit + 1e-9


def test_what_is_missing_is_added_where_the_limit_is_far() -> None:
    raw, target, day = scene()
    served, _ = served_scores(raw, target, day, begin=0, end=DAYS, state=started("log_odds", raw, 0, 8.0), own=0)
    late = day >= DAYS / 2
    assert (log_odds(served) - log_odds(raw))[late].mean() == pytest.approx(1.5, abs=0.2)


def test_a_regressions_limit_counts_in_spreads_of_its_own_scores() -> None:
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(DAYS), ROWS)
    raw = rng.normal(100, 10, len(day))
    state = started("value", raw[day == 0], 0, 0.5)
    served, _ = served_scores(raw, raw + 30, day, begin=0, end=DAYS, state=state, own=0)
    limit = 0.5 * raw[day == 0].std()
    assert 0.9 * limit < np.abs(served - raw).max() <= limit + 1e-9


def test_scores_stay_as_they_are_where_labels_come_too_late() -> None:
    raw, target, day = scene()
    assert started("log_odds", raw, LONGEST_DELAY + 1, 8.0) is None
    served, state = served_scores(raw, target, day, begin=0, end=DAYS, state=None, own=0)
    np.testing.assert_array_equal(served, raw)
    assert state is None
