from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.monitoring.build import build_reference, category_bins, complete_reference, number_bins
from everloop.monitoring.counting import count
from everloop.monitoring.divergence import distance, smallest_share
from everloop.monitoring.exceptions import ReferenceUnusableError
from everloop.monitoring.natural import natural_variation
from everloop.monitoring.profile import BinCounts
from everloop.monitoring.reference import Reference
from tests.helpers.declarations import binary_document, declare


class TestNumberBins:
    def test_distinct_values_are_divided_evenly(self) -> None:
        values = np.random.default_rng(1).normal(size=10_000)
        counts = count(number_bins(values, 10), values).counts
        assert counts[0] == counts[-1] == 0
        assert len(counts) == 12
        assert min(counts[1:-1]) > 900
        assert max(counts[1:-1]) < 1100

    def test_frequent_value_leaves_resolution_to_the_rest(self) -> None:
        rng = np.random.default_rng(1)
        values = np.concatenate([np.zeros(9_000), rng.exponential(size=1_000)])
        counts = count(number_bins(values, 10), values).counts
        assert counts[1] == 9_000
        assert sum(c > 0 for c in counts) >= 5

    def test_few_distinct_values_have_a_bin_each(self) -> None:
        values = np.repeat(np.arange(7.0), 100)
        assert count(number_bins(values, 10), values).counts == (0, *[100] * 7, 0)

    def test_what_never_occurred_lies_beyond(self) -> None:
        bins = number_bins(np.array([1.0, 2.0, 3.0]), 10)
        assert count(bins, np.array([0.9, 3.1])).counts[0] == 1
        assert count(bins, np.array([0.9, 3.1])).counts[-1] == 1

    def test_without_values_there_is_one_bin(self) -> None:
        assert number_bins(np.array([np.nan]), 10).size == 1

    @pytest.mark.slow
    @given(st.lists(st.floats(-1e300, 1e300) | st.sampled_from([0.0, 1.0, np.nan]), max_size=200))
    def test_every_value_is_counted_once_and_inside(self, values: list[float]) -> None:
        array = np.array(values, dtype=float)
        bins = number_bins(array, 10)
        counts = count(bins, array)
        assert counts.rows == len(values)
        assert counts.missing == np.isnan(array).sum()
        if bins.edges:
            assert counts.counts[0] == counts.counts[-1] == 0


def test_categories_are_the_most_frequent() -> None:
    values = [f"c{i:02d}" for i in range(30) for _ in range(30 - i)] + ["", ""]
    bins = category_bins(values)
    assert bins.categories == tuple(f"c{i:02d}" for i in range(20))
    assert count(bins, values).missing == 2


class TestNaturalVariation:
    def test_days_that_differ_more_vary_more(self) -> None:
        rng = np.random.default_rng(3)

        def daily(spread: float) -> list[BinCounts]:
            shares = [0.5 + spread * rng.normal() for _ in range(40)]
            return [BinCounts((int(1000 * s), 1000 - int(1000 * s))) for s in shares]

        calm, wild = natural_variation(daily(0.02), 1)[0], natural_variation(daily(0.1), 1)[0]
        assert wild.distance > 10 * calm.distance

    def test_longer_spans_vary_less_and_are_fewer(self) -> None:
        rng = np.random.default_rng(3)
        days = [BinCounts((n := int(rng.integers(300, 700)), 1000 - n)) for _ in range(60)]
        found = natural_variation(days, 7)
        assert [n.days for n in found] == [1, 2, 3, 4, 5, 6, 7]
        assert found[6].distance < found[0].distance / 4
        assert found[6].spans == pytest.approx(60 / 7)

    @pytest.mark.slow
    @given(st.lists(st.tuples(*[st.integers(0, 2000)] * 3, st.integers(1, 50)), min_size=10, max_size=20))
    def test_spans_are_as_far_as_shares_are_from_those_of_the_other_days(self, cells: list[tuple[int, ...]]) -> None:
        found = natural_variation([BinCounts(day) for day in cells], 2)
        floor = smallest_share(len(cells))
        for natural in found:
            far = []
            for first in range(len(cells) - natural.days + 1):
                part = np.sum(cells[first : first + natural.days], axis=0)
                far.append(distance((np.sum(cells, axis=0) - part).tolist(), part.tolist(), floor))
            assert natural.distance == pytest.approx(np.mean(far), rel=1e-9, abs=1e-15)
        assert [natural.days for natural in found] == [1, 2]

    def test_directions_are_those_along_which_days_differ(self) -> None:
        rng = np.random.default_rng(3)

        def daily(directions: int) -> list[BinCounts]:
            moves = np.zeros((200, 8))
            moves[:, :directions] = rng.normal(0, 0.1, (200, directions))
            shares = np.exp(moves)
            return [BinCounts(tuple(int(n) for n in row)) for row in 10_000 * shares / shares.sum(axis=1)[:, None]]

        one, many = natural_variation(daily(1), 1)[0].freedom, natural_variation(daily(8), 1)[0].freedom
        assert 1 <= one < 1.5
        assert 5 < many <= 8

    def test_days_that_are_all_alike_have_one_direction(self) -> None:
        found = natural_variation([BinCounts((50, 50))] * 12, 1)[0]
        assert (found.distance, found.freedom) == (0, 1)

    def test_short_reference_knows_short_spans_only(self) -> None:
        days = [BinCounts((10, 10 + i)) for i in range(11)]
        assert [n.days for n in natural_variation(days, 7)] == [1, 2]


class TestRefusals:
    def test_feature_that_is_not_given_for_every_row(self) -> None:
        declaration = declare(binary_document())
        with pytest.raises(ReferenceUnusableError, match="'distance'"):
            build_reference({}, {}, np.array(["2013-01-01"], dtype="datetime64[D]"), declaration)

    def test_scores_without_labels(self) -> None:
        declaration = declare(binary_document())
        with pytest.raises(ReferenceUnusableError, match="0 labels"):
            complete_reference(Reference(1, 1, {}), np.array([0.5]), np.array([]), np.array([0]), declaration)
