from __future__ import annotations

import math
import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from everloop.monitoring.divergence import (
    distance,
    distance_of_one_row,
    sampling_p_value,
    smallest_share,
    stability_index,
)
from everloop.statistics.chi_square import chi_square_tail
from everloop.statistics.f_distribution import f_tail

SMALL = smallest_share(50)
CELLS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=2, max_size=30)


@given(st.floats(0, 5_000), st.floats(0.1, 500))
def test_tail_is_scipys(value: float, freedom: float) -> None:
    assert chi_square_tail(value, freedom) == pytest.approx(special.chdtrc(freedom, value), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize(("value", "freedom"), [(-1, 1), (1, 0), (float("nan"), 1)])
def test_tail_refuses_what_is_no_chi_square(value: float, freedom: float) -> None:
    with pytest.raises(ValueError, match="no chi-square tail"):
        chi_square_tail(value, freedom)


@pytest.mark.slow
@given(CELLS)
def test_index_is_symmetric_and_not_negative(cells: list[tuple[int, int]]) -> None:
    left, right = [a for a, _ in cells], [b for _, b in cells]
    assert stability_index(left, right) >= 0
    assert stability_index(left, right) == pytest.approx(stability_index(right, left))
    assert stability_index(left, left) == 0


@pytest.mark.slow
@given(CELLS, st.randoms(use_true_random=False))
def test_distances_are_rounded_alike_by_every_python(cells: list[tuple[int, int]], order: random.Random) -> None:
    """``sum`` adds floats one way before Python 3.12 and another from there on; only exact sums have no order."""
    other = order.sample(cells, len(cells))
    far = [distance([a for a, _ in found], [b for _, b in found], SMALL) for found in (cells, other)]
    of_one = [distance_of_one_row([a for a, _ in found], SMALL) for found in (cells, other)]
    assert far[0] == far[1]
    assert of_one[0] == of_one[1]


def test_index_of_a_known_shift() -> None:
    # (0.5 - 0.6) ln(0.5 / 0.6) + (0.5 - 0.4) ln(0.5 / 0.4)
    assert stability_index([500_000, 500_000], [600_000, 400_000]) == pytest.approx(0.0405, abs=1e-4)


def test_sampling_test_is_the_g_test_or_pearsons_whichever_finds_less() -> None:
    reference, window = [120, 80, 300], [30, 40, 75]
    ratio = stats.chi2_contingency([reference, window], lambda_="log-likelihood")
    pearson = stats.chi2_contingency([reference, window])
    rows = 645
    q = 1 + (rows / 500 + rows / 145 - 1) * (rows / 150 + rows / 120 + rows / 375 - 1) / (6 * rows * 2)
    expected = stats.chi2.sf(min(ratio.statistic / q, pearson.statistic), 2)
    assert sampling_p_value(reference, window) == pytest.approx(expected, rel=1e-9)


def test_sampling_test_of_two_cells_is_fishers() -> None:
    tails = [stats.fisher_exact([[90, 10], [30, 12]], alternative=side).pvalue for side in ("less", "greater")]
    assert sampling_p_value([90, 10], [30, 12]) == pytest.approx(2 * min(tails), rel=1e-9)


@pytest.mark.parametrize("level", [0.05, 0.01, 0.001])
@pytest.mark.parametrize(
    ("totals", "rows"),
    [([1007, 1007], 14), ([40, 40], 40), ([1900, 114], 100), ([680, 680, 664], 24), ([1990, 20, 10], 20)],
)
def test_sampling_test_keeps_its_level_exactly(totals: list[int], rows: int, level: float) -> None:
    """Of all ways in which so many rows of cells that add up to these can be the window's."""
    news = 0.0
    for window in product(*(range(min(total, rows) + 1) for total in totals[1:])):
        first = rows - sum(window)
        if not 0 <= first <= totals[0]:
            continue
        drawn = [first, *window]
        if sampling_p_value([t - b for t, b in zip(totals, drawn, strict=True)], drawn) <= level:
            ways = math.prod(math.comb(t, b) for t, b in zip(totals, drawn, strict=True))
            news += ways / math.comb(sum(totals), rows)
    assert news <= level


@pytest.mark.slow
@pytest.mark.parametrize("rows", [60, 300])
@pytest.mark.parametrize("shares", [[0.1] * 10, [0.98, *[0.001] * 20]])
def test_sampling_test_keeps_its_level_with_few_rows_and_rare_values(rows: int, shares: list[float]) -> None:
    """Where cells expect a row or two, the likelihood ratio alone is news five times as often as it says."""
    rng = np.random.default_rng(5)
    trials = 1000
    before, after = rng.multinomial(2000, shares, size=trials), rng.multinomial(rows, shares, size=trials)
    found = [sampling_p_value(a, b) for a, b in zip(before.tolist(), after.tolist(), strict=True)]
    assert np.mean(np.array(found) <= 0.01) <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / trials)


def test_a_value_that_never_occurred_is_news_among_rare_ones() -> None:
    reference = [20_000, *[2] * 20, 0]
    assert sampling_p_value(reference, [290, *[0] * 20, 10]) < 1e-6
    assert sampling_p_value(reference, [299, *[0] * 20, 1]) > 0.01


@pytest.mark.slow
@given(CELLS)
def test_sampling_test_is_a_probability(cells: list[tuple[int, int]]) -> None:
    assert 0 <= sampling_p_value([a for a, _ in cells], [b for _, b in cells]) <= 1


def test_nothing_to_compare_is_no_difference() -> None:
    assert sampling_p_value([5, 0], [7, 0]) == 1.0
    assert sampling_p_value([0, 0], [7, 1]) == 1.0


@given(st.floats(0, 1e6), st.floats(1, 30), st.floats(1, 500))
def test_f_tail_is_scipys(value: float, numerator: float, denominator: float) -> None:
    expected = special.fdtrc(numerator, denominator, value)
    assert f_tail(value, numerator, denominator) == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_f_tail_refuses_what_is_no_f() -> None:
    with pytest.raises(ValueError, match="no F tail"):
        f_tail(1, 0, 5)


def test_the_distance_that_chance_leaves_is_that_of_one_row_over_the_rows() -> None:
    rng = np.random.default_rng(6)
    reference = [400_000, 300_000, 290_000, 10_000]
    found = [distance(reference, rng.multinomial(50, np.array(reference) / 1e6).tolist(), 0.02) for _ in range(4000)]
    assert np.mean(found) == pytest.approx(distance_of_one_row(reference, 0.02) / 50, rel=0.05)


def test_value_that_never_occurred_counts_as_little_as_a_short_reference_knows() -> None:
    assert smallest_share(10) == 0.1
    assert smallest_share(500) == 0.02
    assert distance([100, 0], [0, 100], 0.1) == pytest.approx(1 + 10)
