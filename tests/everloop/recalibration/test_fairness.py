"""Before and after, group by group: calibration, slope and rates with intervals, gaps, and declared limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.recalibration.calibration import Calibration, Part, identity
from everloop.recalibration.fairness import (
    BY,
    LEAST_ROWS,
    NOT_ONE,
    CountedRows,
    Measure,
    broken_limits,
    cut,
    fairness,
)
from everloop.recalibration.grouped_by import OTHERS, GroupBy
from everloop.recalibration.sums import LogOddsSums, ValueSums
from tests.helpers.present import present

BY_GROUP = GroupBy("origin", values=("a", "b"))
THRESHOLD = 0.5
LIFTED = Calibration("log_odds", (Part(1, 0.2, 1.1),), 8.0, BY_GROUP, (None, (Part(0.5, 1.5, 1), Part(0.5, 0.5, 0.9))))


def sigmoid(z: np.ndarray) -> np.ndarray:
    found: np.ndarray = 1 / (1 + np.exp(-z))
    return found


def counted(raw: np.ndarray, y: np.ndarray, places: np.ndarray, made: Mapping[Any, Calibration]) -> dict[Any, Any]:
    """Of rows whose compared group is the one that they are recalibrated by."""
    found = {}
    for place in (0, 1):
        own = places == place
        over = {by: made[by].apply(raw[own], places[own]) >= THRESHOLD for by in BY}
        counts = {by: (int((over[by] & (y[own] == 0)).sum()), int((over[by] & (y[own] == 1)).sum())) for by in BY}
        found[place, place] = CountedRows(LogOddsSums.of_rows(raw[own], y[own]), counts)
    return found


def measured(limits: Mapping[Measure, float] | None = None, rows: int = 4000, seed: int = 1) -> Any:
    """Group b has outcomes that lie a log odds above its raw scores."""
    rng = np.random.default_rng(seed)
    raw, places = sigmoid(rng.normal(0, 1, rows)), np.arange(rows) % 2
    truth = sigmoid(np.log(raw / (1 - raw)) + places)
    y = (rng.random(rows) < truth).astype(int)
    made = {"before": identity("log_odds"), "shared": LIFTED.shared, "after": LIFTED}
    cells = counted(raw, y, places, made)
    found = fairness(cells, made, ("a", "b"), by="origin", days=7, limits=limits or {})  # type: ignore[arg-type]  # the names are those
    return found, raw, y, places


def test_each_group_is_told_by_each_calibration() -> None:
    found, raw, y, places = measured()
    for place, name in enumerate("ab"):
        own, group = places == place, found["groups"][name]
        assert (group["rows"], group["ones"]) == (own.sum(), y[own].sum())
        for by, made in (("before", identity("log_odds")), ("shared", LIFTED.shared), ("after", LIFTED)):
            served, told = made.apply(raw[own], places[own]), group[by]
            assert told["calibration"]["value"] == pytest.approx((served - y[own]).mean(), abs=1e-3)
            assert told["selection_rate"]["value"] == pytest.approx((served >= THRESHOLD).mean())
            assert told["true_positive_rate"]["value"] == pytest.approx((served >= THRESHOLD)[y[own] == 1].mean())
            assert told["false_positive_rate"]["value"] == pytest.approx((served >= THRESHOLD)[y[own] == 0].mean())
            for estimate in told.values():
                assert estimate["low"] <= estimate["value"] <= estimate["high"]
    b = found["groups"]["b"]
    assert b["before"]["calibration"]["high"] < -0.15
    assert abs(b["after"]["calibration"]["value"]) < 0.03
    assert b["before"]["slope"]["low"] < 1 < b["before"]["slope"]["high"]
    gap = found["gaps"]["calibration"]
    assert gap["before"] == pytest.approx(
        found["groups"]["a"]["before"]["calibration"]["value"] - b["before"]["calibration"]["value"]
    )
    assert gap["after"] < gap["shared"]
    assert found["gaps"]["selection_rate"]["after"] > found["gaps"]["selection_rate"]["shared"]


@pytest.mark.slow
def test_intervals_hold_as_often_as_they_say() -> None:
    """Of groups whose scores are right, the calibration is none and the slope one."""
    rng, held = np.random.default_rng(3), {"calibration": 0, "slope": 0, "selection_rate": 0}
    for _ in range(300):
        raw = sigmoid(rng.normal(0, 1, 300))
        y = (rng.random(300) < raw).astype(int)
        made = dict.fromkeys(BY, identity("log_odds"))
        cells = counted(raw, y, np.zeros(300, dtype=int), made)
        told: Any = fairness(cells, made, ("a", "b"), by="origin", days=1, limits={})["groups"]["a"]["after"]
        for name, truth in (("calibration", 0.0), ("slope", 1.0), ("selection_rate", 0.5)):
            held[name] += told[name]["low"] <= truth <= told[name]["high"]
    assert all(270 <= count <= 297 for count in held.values()), held


def test_a_limit_is_broken_where_the_gap_is_larger_than_it_and_than_by_the_shared_calibration() -> None:
    gaps = measured()[0]["gaps"]["selection_rate"]
    between = (gaps["shared"] + gaps["after"]) / 2
    (sentence,) = broken_limits(measured({"selection_rate": between})[0])
    assert sentence.startswith("the selection rate gap by origin would be 0.")
    assert f"{between:g} is declared" in sentence
    assert not list(broken_limits(measured({"selection_rate": 0.99})[0]))
    # What is larger than declared, and smaller than by the shared calibration, makes nothing worse.
    assert not list(broken_limits(measured({"calibration": 0.0})[0]))


def test_a_limit_that_can_not_be_measured_is_taken_as_broken() -> None:
    found, *_ = measured({"true_positive_rate": 0.5}, rows=2 * LEAST_ROWS)
    (sentence,) = broken_limits(found)
    assert (
        sentence == "the true positive rate gap by origin can't be measured: fewer than two groups have 30 rows for it"
    )


def test_a_group_of_one_class_has_no_slope_and_no_rate_of_the_other() -> None:
    raw, made = np.full(40, 0.7), dict.fromkeys(BY, identity("log_odds"))
    cells = counted(raw, np.ones(40, dtype=int), np.zeros(40, dtype=int), made)
    told = fairness(cells, made, ("a", "b"), by="origin", days=1, limits={})["groups"]
    assert list(told) == ["a"]
    assert (told["a"]["after"]["slope"], told["a"]["after"]["false_positive_rate"]) == (None, None)
    assert present(told["a"]["after"]["true_positive_rate"])["value"] == 1.0


def test_a_regressions_groups_have_means_and_slopes() -> None:
    rng = np.random.default_rng(2)
    s = rng.normal(50, 10, 3000)
    y = s * 0.8 + 3 + rng.normal(0, 4, 3000)
    made = dict.fromkeys(BY, Calibration("value", (Part(1, 5.0, 1.0),), 100.0))
    cells = {(0, OTHERS): CountedRows(ValueSums.of_rows(s, y, 45.0), dict.fromkeys(BY, (0, 0)))}
    found = fairness(cells, made, ("a",), by="origin", days=1, limits={"calibration": 1.0})
    told = found["groups"]["a"]["after"]
    assert told["calibration"]["value"] == pytest.approx((s + 5 - y).mean())
    assert present(told["slope"])["value"] == pytest.approx(np.polyfit(s + 5, y, 1)[0])
    assert present(told["slope"])["low"] < 0.8 < present(told["slope"])["high"]
    assert told.keys() == {"calibration", "slope"}
    assert list(found["gaps"]) == ["calibration"]


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.floats(-5, 5), st.floats(0.1, 10)), min_size=1, max_size=4),
    st.floats(0.01, 0.99),
    st.sampled_from([OTHERS, 0, 1]),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_what_a_cut_decides_is_what_the_threshold_decides(
    lines: list[tuple[float, float, float]], threshold: float, place: int, raw: list[float]
) -> None:
    total = sum(share for share, _, _ in lines)
    parts = tuple(Part(share / total, level, slope) for share, level, slope in lines)
    made = Calibration("log_odds", parts, 4.0, BY_GROUP, (parts, None))
    least = cut(made, place, threshold)
    scores = np.array(raw)
    served = made.apply(scores, np.full(len(raw), place))
    # Scores that lie a rounding apart may change places.
    clear = np.abs(served - threshold) > 1e-12
    assert ((scores >= least) == (served >= threshold))[clear].all()


def test_a_cut_of_the_raw_scores_is_the_threshold_itself() -> None:
    assert cut(identity("log_odds"), OTHERS, 0.3) == 0.3
    down = Calibration("log_odds", (Part(1, -4, 1),), 4.0)
    assert cut(down, OTHERS, 1 - 1e-15) == NOT_ONE
    assert cut(Calibration("log_odds", (Part(1, 4, 1),), 4.0), OTHERS, 1e-14) == 0.0
