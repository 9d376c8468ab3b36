"""Sums over a window's rows add up, whoever counts them, and lose next to nothing of the rows' loss."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from everloop.recalibration.exceptions import SumsDifferError, SumsFormatError
from everloop.recalibration.losses import mean_losses, squared_errors
from everloop.recalibration.sums import BIN_WIDTH, LARGEST_BIN, LogOddsSums, Sums, ValueSums, read_sums

ROWS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), max_size=30)
VALUES = st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), max_size=30)


def of_odds(rows: list[tuple[float, int]]) -> LogOddsSums:
    return LogOddsSums.of_rows(np.array([p for p, _ in rows]), np.array([y for _, y in rows]))


def of_values(rows: list[tuple[float, float]], center: float = 3.0) -> ValueSums:
    return ValueSums.of_rows(np.array([s for s, _ in rows]), np.array([y for _, y in rows]), center)


def same(one: Sums, other: Sums) -> bool:
    def numbers(sums: Sums) -> np.ndarray:
        if isinstance(sums, LogOddsSums):
            return np.concatenate([sums.counts.ravel(), sums.log_odds.ravel()])
        return sums.moments.ravel()

    return np.allclose(numbers(one), numbers(other), rtol=1e-9, atol=1e-3)


@pytest.mark.slow
@settings(deadline=None)
@given(ROWS, ROWS)
@example([(0.0, 1), (1.0, 0)], [(5e-324, 0)])
def test_sums_of_probabilities_add_up(one: list[tuple[float, int]], other: list[tuple[float, int]]) -> None:
    assert same(of_odds(one) + of_odds(other), of_odds(one + other))
    assert of_odds(one).rows == len(one)


@pytest.mark.slow
@settings(deadline=None)
@given(VALUES, VALUES)
def test_sums_of_values_add_up(one: list[tuple[float, float]], other: list[tuple[float, float]]) -> None:
    assert same(of_values(one) + of_values(other), of_values(one + other))


@pytest.mark.slow
@settings(deadline=None)
@given(ROWS, VALUES)
def test_a_document_is_the_sums(odds: list[tuple[float, int]], values: list[tuple[float, float]]) -> None:
    for sums in (of_odds(odds), of_values(values)):
        again = read_sums(json.loads(json.dumps(sums.to_document())))
        assert type(again) is type(sums)
        assert again.to_document() == sums.to_document()


@pytest.mark.slow
def test_a_database_counts_the_same() -> None:
    """The bins are ``floor(z / width)``, limited; what is beyond 12 lies in the outermost."""
    duckdb = pytest.importorskip("duckdb")
    rng = np.random.default_rng(1)
    p = np.concatenate([1 / (1 + np.exp(-rng.normal(0, 5, 500))), [0.0, 1.0, 1e-300, 0.5]])
    y = rng.integers(0, 2, len(p))
    counted = duckdb.connect()
    counted.execute("create table rows (p double, y double)")
    counted.executemany("insert into rows values (?, ?)", np.column_stack([p, y]).tolist())
    found = counted.execute(
        f"""
        with odds as (
            select y, case when p <= 0 then -30 when p >= 1 then 30
                else greatest(-30, least(30, ln(p) - ln(1 - p))) end as z from rows)
        select cast(greatest({-LARGEST_BIN - 1}, least({LARGEST_BIN}, floor(z / {BIN_WIDTH}))) as integer),
            count(*) filter (y = 0), coalesce(sum(z) filter (y = 0), 0),
            count(*) filter (y = 1), coalesce(sum(z) filter (y = 1), 0)
        from odds group by 1 order by 1
        """
    ).fetchall()
    assert same(
        LogOddsSums.from_document({"kind": "log_odds", "bins": [list(row) for row in found]}), LogOddsSums.of_rows(p, y)
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 3), st.floats(-2, 2), st.floats(0.3, 2.0))
def test_the_loss_of_sums_is_that_of_the_rows_but_for_a_thousandth(
    seed: int, spread: float, level: float, slope: float
) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(0, spread, 300)
    y = rng.random(300) < 1 / (1 + np.exp(-(0.8 * z - 0.5)))
    lines = np.array([[level, slope], [0.0, 1.0]])
    found = mean_losses(LogOddsSums.of_rows(1 / (1 + np.exp(-z)), y), np.eye(2), lines, 100.0)
    x = lines[:, :1] + lines[:, 1:] * z
    exact = np.logaddexp(0, np.where(y, -x, x)).mean(1)
    assert np.abs(found - exact).max() < 1e-3 * max(1.0, slope**2)
    # What decides is the difference of two, and in it most of the rest falls out.
    assert abs((found[0] - found[1]) - (exact[0] - exact[1])) < 1e-3 * max(1.0, slope**2)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(-50, 50), st.floats(0.3, 2.0), st.floats(-1e3, 1e3))
def test_the_squared_error_of_sums_is_that_of_the_rows(seed: int, level: float, slope: float, center: float) -> None:
    rng = np.random.default_rng(seed)
    s = rng.normal(100, 20, 200)
    y = s + rng.normal(5, 10, 200)
    lines = np.array([[level, slope], [0.0, 1.0]])
    found = mean_losses(ValueSums.of_rows(s, y, center), np.eye(2), lines, 1e4)
    exact = ((y - (lines[:, :1] + lines[:, 1:] * s)) ** 2).mean(1)
    assert found == pytest.approx(exact / (2 * exact.max()), rel=1e-6)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1), st.floats(-50, 50), st.floats(0.3, 2.0), st.floats(0.5, 60), st.floats(0, 1)
)  # fmt: skip
def test_the_squared_error_knows_the_limit_of_each_line(
    seed: int, level: float, slope: float, limit: float, share: float
) -> None:
    """Only the rows of a bin in which a line meets its limit are taken together."""
    rng = np.random.default_rng(seed)
    s = rng.normal(100, 20, 500)
    y = s + rng.normal(5, 10, 500)
    lines = np.array([[level, slope], [3.0, 1.0], [0.0, 1.0]])
    mixtures = np.array([[1.0, 0, 0], [share, 1 - share, 0], [0, 0, 1.0]])
    moves = np.clip(lines[:, :1] + (lines[:, 1:] - 1) * s, -limit, limit)
    exact = (y - s - mixtures @ moves) ** 2
    found = squared_errors(ValueSums.of_rows(s, y, 100.0, 20 * BIN_WIDTH), mixtures, lines, limit)
    # A bin is a quarter of the spread wide: over it, the move of the steepest line differs by 5 at most.
    assert found == pytest.approx(exact.sum(1), rel=0.02)
    wide = squared_errors(ValueSums.of_rows(s, y, 100.0, 20 * BIN_WIDTH), mixtures, lines, 1e9)
    unlimited = (y - s - mixtures @ (lines[:, :1] + (lines[:, 1:] - 1) * s)) ** 2
    assert wide == pytest.approx(unlimited.sum(1), rel=1e-6)


@pytest.mark.parametrize("p", [math.nan, -0.1, 1.5, math.inf])
def test_rows_without_a_probability_are_refused(p: float) -> None:
    with pytest.raises(SumsFormatError, match="not a probability"):
        LogOddsSums.of_rows(np.array([0.5, p]), np.array([0, 1]))


@pytest.mark.parametrize("y", [math.nan, 0.5, 2])
def test_rows_without_a_label_are_refused(y: float) -> None:
    with pytest.raises(SumsFormatError, match="neither 0 nor 1"):
        LogOddsSums.of_rows(np.array([0.5, 0.5]), np.array([0, y]))


@pytest.mark.parametrize(
    ("score", "message"),
    [(math.nan, "not a finite number"), (math.inf, "not a finite number"), (1e200, "not numbers within")],
)
def test_values_that_have_no_square_are_refused(score: float, message: str) -> None:
    with pytest.raises(SumsFormatError, match=message):
        ValueSums.of_rows(np.array([score]), np.array([1.0]), 0.0)


def test_scores_and_outcomes_come_in_pairs() -> None:
    with pytest.raises(SumsFormatError, match="one score and one outcome are needed for each row"):
        LogOddsSums.of_rows(np.array([0.5, 0.5]), np.array([1]))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "sums of a window"),
        ({"kind": "log_odds"}, "bins is missing"),
        ({"kind": "log_odds", "bins": [[0, 1, 0.1]]}, "bins.0. is .*, not .bin from -49 to 48"),
        ({"kind": "log_odds", "bins": [[math.nan, 1, 0.1, 0, 0]]}, "not .bin from"),
        ({"kind": "log_odds", "bins": [[0.5, 1, 0.1, 0, 0]]}, "not .bin from"),
        ({"kind": "log_odds", "bins": [[49, 1, 12.3, 0, 0]]}, "not .bin from"),
        ({"kind": "log_odds", "bins": [[0, 1, 0.1, 0, 0], [0, 1, 0.1, 0, 0]]}, "each bin must occur once"),
        ({"kind": "log_odds", "bins": [[0, -1, 0, 0, 0]]}, "counts -1 rows"),
        ({"kind": "log_odds", "bins": [[0, 1.5, 0.2, 0, 0]]}, "counts 1.5 rows"),
        ({"kind": "log_odds", "bins": [[0, math.nan, 0.2, 0, 0]]}, "counts nan rows"),
        ({"kind": "log_odds", "bins": [[0, 1, 0.3, 0, 0]]}, "sum to 0.3, outside of the bin"),
        ({"kind": "log_odds", "bins": [[0, 0, 0, 2, math.nan]]}, "outside of the bin"),
        ({**of_values([]).to_document(), "width": 0.0}, "with a width above 0"),
        ({**of_values([]).to_document(), "center": math.nan}, "center nan"),
        ({**of_values([]).to_document(), "bins": [[0, 1, 0.1, 0, 0]]}, "not .bin from -49 to 48, rows, score"),
        ({**of_values([]).to_document(), "bins": [[50, 1, 0, 0, 0, 0, 0]]}, "not .bin from"),
        ({**of_values([]).to_document(), "bins": [[0, -1, 0, 0, 0, 0, 0]]}, "rows must be whole"),
        ({**of_values([]).to_document(), "bins": [[0, 1.5, 0, 0, 0, 0, 0]]}, "rows must be whole"),
        ({**of_values([]).to_document(), "bins": [[0, 1, math.nan, 0, 0, 0, 0]]}, "not numbers within"),
        ({**of_values([]).to_document(), "bins": [[0, 1, 0, 0, 0, -2.0, 0]]}, "at least 0"),
        ({**of_values([]).to_document(), "bins": [[0, 1, 0, 0, 0, 0, 0]] * 2}, "each bin must occur once"),
    ],
)
def test_what_is_no_sums_is_refused(document: Any, message: str) -> None:
    with pytest.raises(SumsFormatError, match=message):
        read_sums(document)


def test_sums_of_two_kinds_or_centers_do_not_add_up() -> None:
    values: Any = of_values([(1.0, 2.0)])
    with pytest.raises(SumsDifferError, match="different models"):
        of_odds([(0.5, 1)]) + values
    with pytest.raises(SumsDifferError, match="different models"):
        values + of_odds([(0.5, 1)])
    with pytest.raises(SumsDifferError, match=r"counted from 3.0 .* and from 4.0"):
        values + of_values([(1.0, 2.0)], 4.0)
