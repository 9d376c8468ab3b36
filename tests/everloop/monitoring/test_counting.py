"""Counting of days at once is counting of each day."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.monitoring.bins import NumberBins
from everloop.monitoring.counting import bin_indices, counted, counted_daily

BINS = NumberBins((0.0, 1.0, 2.5))

rows = st.lists(st.tuples(st.integers(0, 6), st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.5, 9.0, math.nan])), max_size=60)


@pytest.mark.slow
@given(rows)
def test_each_day_is_counted_as_if_alone(rows: list[tuple[int, float]]) -> None:
    day, values = np.array([d for d, _ in rows], dtype=int), np.array([v for _, v in rows], dtype=float)
    indices = bin_indices(BINS, values)
    daily = counted_daily(BINS, indices, day)
    assert daily == [counted(BINS, indices[day == d]) for d in range(day.max() + 1 if len(day) else 0)]
    assert sum(d.missing for d in daily) == np.count_nonzero(np.isnan(values))
