"""A calibration keeps the order of scores, moves none further than its limit, and is its text to the last digit."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from everloop.recalibration.calibration import (
    LARGEST_LOG_ODDS,
    LARGEST_NUMBER,
    LONGEST_TEXT,
    MOST_PARTS,
    Calibration,
    Kind,
    Part,
    identity,
)
from everloop.recalibration.exceptions import CalibrationFormatError, ScoreOutOfRangeError
from everloop.recalibration.grouped_by import GroupBy

NUMBERS = st.floats(-LARGEST_NUMBER, LARGEST_NUMBER)
ABOVE_ZERO = st.floats(0, LARGEST_NUMBER, exclude_min=True)
PROBABILITIES = st.floats(0, 1)
VALUES = st.floats(allow_nan=False, allow_infinity=False)
ROUNDING = 1e-9


@st.composite
def calibrations(draw: st.DrawFn, of_kind: Kind | None = None) -> Calibration:
    """Sensible and wild ones, of one part to as many as there may be."""
    kinds: st.SearchStrategy[Kind] = st.sampled_from(["log_odds", "value"])
    kind = draw(kinds) if of_kind is None else of_kind
    wild = draw(st.booleans())
    level, slope = (NUMBERS, ABOVE_ZERO) if wild else (st.floats(-4, 4), st.floats(0.05, 5))
    shares = draw(st.lists(st.floats(1e-6, 1), min_size=1, max_size=MOST_PARTS))
    parts = tuple(Part(share / math.fsum(shares), draw(level), draw(slope)) for share in shares)
    return Calibration(kind, parts, draw(ABOVE_ZERO if wild else st.floats(0.01, 10)))


def scores_of(calibration: Calibration) -> st.SearchStrategy[list[float]]:
    each = PROBABILITIES if calibration.kind == "log_odds" else VALUES
    return st.lists(each, min_size=1, max_size=20)


def log_odds(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        z: np.ndarray = np.log(p) - np.log1p(-p)
    values: np.ndarray = np.clip(z, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
    return values


@pytest.mark.slow
@settings(deadline=None)
@given(st.data(), calibrations())
def test_the_order_of_scores_is_kept(data: st.DataObject, calibration: Calibration) -> None:
    raw = np.sort(data.draw(scores_of(calibration)))
    served = calibration.apply(raw)
    steps = np.diff(served)
    assert (steps >= -ROUNDING * np.maximum(np.abs(served[1:]), np.abs(served[:-1]))).all()


@pytest.mark.slow
@settings(deadline=None)
@given(st.data(), calibrations("log_odds"))
def test_a_probability_stays_one_and_moves_within_the_limit(data: st.DataObject, calibration: Calibration) -> None:
    raw = np.array(data.draw(scores_of(calibration)))
    served = calibration.apply(raw)
    assert ((served > 0) & (served < 1)).all() or calibration.is_identity
    # Log odds of 30 have three digits left in a probability next to 1.
    assert (np.abs(log_odds(served) - log_odds(raw)) <= calibration.max_shift + 0.01).all()
    near = np.abs(log_odds(raw)) < 10
    assert (np.abs(log_odds(served) - log_odds(raw))[near] <= calibration.max_shift * (1 + 1e-6) + 0.01).all()


@pytest.mark.slow
@settings(deadline=None)
@given(st.data(), calibrations("value"))
def test_a_value_stays_finite_and_moves_within_the_limit(data: st.DataObject, calibration: Calibration) -> None:
    raw = np.array(data.draw(scores_of(calibration)))
    served = calibration.apply(raw)
    assert np.isfinite(served).all()
    # Halves, so that no difference is infinite; that of the smallest number there is would be rounded away.
    least = float(np.finfo(np.float64).smallest_subnormal)
    assert (np.abs(served / 2 - raw / 2) <= calibration.max_shift / 2 + ROUNDING * np.abs(raw) + least).all()


@pytest.mark.slow
@settings(deadline=None)
@given(st.data(), calibrations())
def test_a_score_is_moved_by_itself_whatever_stands_beside_it(data: st.DataObject, calibration: Calibration) -> None:
    raw = np.array(data.draw(scores_of(calibration)))
    together = calibration.apply(raw)
    alone = [calibration.apply(np.array([score]))[0] for score in raw]
    assert together.tolist() == alone
    assert calibration.apply(raw.reshape(1, -1)).tolist() == [alone]


@pytest.mark.slow
@settings(deadline=None)
@given(calibrations())
@example(Calibration("value", (Part(1.0, -0.0, 5e-324),), 5e-324))
def test_the_text_is_the_calibration(calibration: Calibration) -> None:
    text = calibration.to_text()
    again = Calibration.from_text(text)
    assert again == calibration
    assert again.to_text() == text
    assert again.sha256 == calibration.sha256
    assert len(text) <= LONGEST_TEXT
    assert json.loads(text)["parts"] == [[p.weight, p.level, p.slope] for p in calibration.parts]


SPREAD = '{"kind":"value","max_shift":3,"parts":[[1,0.25,1.5]],"spread":[0.5,2]}'


def test_a_spread_stands_in_the_text_where_it_widens_anything() -> None:
    made = Calibration.from_text(SPREAD)
    assert made.spread == (0.5, 2.0)
    assert made.to_text() == SPREAD
    assert made.shared.spread == made.spread
    plain = replace(made, spread=(1.0, 1.0))
    assert "spread" not in plain.to_text(), "texts of earlier releases stay as they are"
    assert Calibration.from_text(plain.to_text()) == plain
    assert plain.apply(np.array([1.0])) == made.apply(np.array([1.0]))
    grouped = replace(made, by=GroupBy("line", values=("a",)), groups=(None,))
    assert Calibration.from_text(grouped.to_text()) == grouped


@pytest.mark.parametrize(
    "wrong", ["[1,1]", "[0.124,1]", "[1,8.01]", "[1]", "[1,2,3]", "2", "null", "[true,2]", '["1",2]']
)
def test_a_wrong_spread_is_refused(wrong: str) -> None:
    with pytest.raises(CalibrationFormatError):
        Calibration.from_text(SPREAD.replace("[0.5,2]", wrong))


def test_probabilities_have_no_spread() -> None:
    with pytest.raises(CalibrationFormatError, match="no interval"):
        Calibration.from_text(SPREAD.replace('"value"', '"log_odds"'))


def test_the_longest_text_fits() -> None:
    part = Part(1 / MOST_PARTS, -1.23456789012e-100, 1.23456789012e-300)
    full = Calibration("log_odds", (part,) * MOST_PARTS, 1.23456789012e-300)
    assert len(full.to_text()) < LONGEST_TEXT


@pytest.mark.slow
@settings(deadline=None)
@given(st.data(), st.sampled_from(["log_odds", "value"]))
def test_the_identity_gives_every_score_back(data: st.DataObject, kind: Kind) -> None:
    nothing = identity(kind)
    raw = np.array(data.draw(scores_of(nothing)))
    assert nothing.is_identity
    assert nothing.apply(raw).tolist() == raw.tolist()


def test_one_part_adds_to_the_log_odds_and_turns_them() -> None:
    raw = np.array([0.1, 0.5, 0.9])
    served = Calibration("log_odds", (Part(1.0, 0.7, 0.8),), 5.0).apply(raw)
    assert log_odds(served) == pytest.approx(0.7 + 0.8 * log_odds(raw))


def test_a_mixture_is_one_of_probabilities() -> None:
    raw = np.array([0.02, 0.3, 0.97])
    alone = [Calibration("log_odds", (Part(1.0, level, slope),), 9.0) for level, slope in [(-1, 0.5), (2, 1.5)]]
    mixed = Calibration("log_odds", (Part(0.25, -1, 0.5), Part(0.75, 2, 1.5)), 9.0)
    expected = 0.25 * alone[0].apply(raw) + 0.75 * alone[1].apply(raw)
    assert mixed.apply(raw) == pytest.approx(expected, rel=1e-12)


def test_a_mixture_of_values_is_their_mean() -> None:
    mixed = Calibration("value", (Part(0.5, 10, 1), Part(0.5, -4, 3)), 100.0)
    assert mixed.apply(np.array([2.0, -1.0])).tolist() == [7.0, 1.0]


def test_the_limit_holds_where_the_lines_ask_for_more() -> None:
    odds = Calibration("log_odds", (Part(1.0, 40.0, 1.0),), 2.0).apply(np.array([0.5]))
    assert log_odds(odds) == pytest.approx([2.0])
    assert Calibration("value", (Part(1.0, 40.0, 1.0),), 2.0).apply(np.array([5.0])).tolist() == [7.0]


@pytest.mark.parametrize("raw", [0.001, 0.2, 0.9])
def test_each_line_is_limited_before_they_are_mixed(raw: float) -> None:
    """The bound of the learner is one of mixtures, so what is served has to be one where a limit is reached as well."""
    far, near, shares = Part(0.25, 40.0, 1.0), Part(0.75, -0.5, 1.0), np.array([0.25, 0.75])
    alone = [Calibration("log_odds", (Part(1.0, p.level, p.slope),), 2.0).apply(np.array([raw])) for p in (far, near)]
    served = Calibration("log_odds", (far, near), 2.0).apply(np.array([raw]))
    assert served == pytest.approx(shares @ np.array(alone), rel=1e-12)
    assert Calibration("value", (far, near), 2.0).apply(np.array([raw]))[0] == pytest.approx(
        raw + 0.25 * 2 - 0.75 * 0.5
    )


def test_the_largest_values_there_are_stay_finite() -> None:
    """Weights that are rounded sum to a little more than 1, and so would the largest number."""
    parts = (*(Part(1 / 18, 0.0, 1.0),) * 17, Part(1 / 18, 0.0, 2.0))
    largest = float(np.finfo(np.float64).max)
    assert Calibration("value", parts, 1.0).apply(np.array([largest, -largest])).tolist() == [largest, -largest]


def test_no_scores_are_calibrated_to_none() -> None:
    assert Calibration("value", (Part(1.0, 1.0, 1.0),), 2.0).apply(np.empty((0,))).shape == (0,)


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.1, 1.1])
def test_what_is_no_probability_is_refused(score: float) -> None:
    with pytest.raises(ScoreOutOfRangeError, match="not a probability"):
        Calibration("log_odds", (Part(1.0, 1.0, 1.0),), 2.0).apply(np.array([0.5, score]))


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_value_is_refused(score: float) -> None:
    with pytest.raises(ScoreOutOfRangeError, match="not a finite number"):
        identity("value").apply(np.array([0.5, score]))


@pytest.mark.parametrize(
    ("parts", "limit", "message"),
    [
        ((), 1.0, "0 parts"),
        ((Part(1 / 64, 0, 1),) * 64, 1.0, "64 parts"),
        ((Part(0.5, 0, 1),), 1.0, "sum to 0.5"),
        ((Part(1.5, 0, 1), Part(-0.5, 0, 1)), 1.0, "weight of part 1 is -0.5"),
        ((Part(1, math.nan, 1),), 1.0, "level of part 0 is nan"),
        ((Part(1, math.inf, 1),), 1.0, "level of part 0 is inf"),
        ((Part(1, 0, 0),), 1.0, "slope of part 0 is 0"),
        ((Part(1, 0, -1),), 1.0, "slope of part 0 is -1"),
        ((Part(1, 0, 1e101),), 1.0, "slope of part 0"),
        ((Part(1, 0, 1),), 0.0, "max_shift is 0.0, not a number above 0"),
        ((Part(1, 0, 1),), math.inf, "max_shift is inf"),
        ((Part(1, True, 1),), 1.0, "level of part 0 is True"),
    ],
)
def test_numbers_that_it_may_not_have_are_refused(parts: tuple[Part, ...], limit: float, message: str) -> None:
    with pytest.raises(CalibrationFormatError, match=message):
        Calibration("log_odds", parts, limit)


GOOD = '{"kind":"log_odds","max_shift":3,"parts":[[1,0.25,1.5]]}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "[" * 1990,
        "1" * 1990,
        GOOD + " ",
        GOOD.replace(":3", ":3.0"),
        GOOD.replace("0.25", "0.250000000001"),
        GOOD.replace("0.25", "NaN"),
        GOOD.replace("0.25", "1e999"),
        GOOD.replace("0.25", '"0.25"'),
        GOOD.replace("0.25", "true"),
        GOOD.replace("0.25", "null"),
        GOOD.replace("0.25", "-0"),
        GOOD.replace("1.5", "-1.5"),
        GOOD.replace("[1,", "[0.9,"),
        GOOD.replace("log_odds", "probability"),
        GOOD.replace('"log_odds"', '["log_odds"]'),
        GOOD.replace("[[1,0.25,1.5]]", "[[1,0.25]]"),
        GOOD.replace("[[1,0.25,1.5]]", "[]"),
        GOOD.replace("[[1,0.25,1.5]]", "{}"),
        GOOD.replace("}", ',"more":1}'),
        '{"kind":"value",' + GOOD[1:],
        GOOD + " " * LONGEST_TEXT,
    ],
)
def test_a_text_that_no_calibration_writes_is_refused(text: str) -> None:
    assert Calibration.from_text(GOOD).to_text() == GOOD
    with pytest.raises(CalibrationFormatError):
        Calibration.from_text(text)


@pytest.mark.slow
@settings(deadline=None)
@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), lambda v: st.lists(v)).map(json.dumps))
def test_hostile_texts_are_refused_by_one_error(text: str) -> None:
    with pytest.raises(CalibrationFormatError):
        Calibration.from_text(text)


def test_a_text_is_read_without_numpy() -> None:
    """The registry's and the rollout's functions check texts, and have no numpy in their packages."""
    code = (
        "import sys; from everloop.recalibration.written import WrittenCalibration;"
        f"print(WrittenCalibration.from_text({GOOD!r}).sha256[:0] + str('numpy' in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False"]
