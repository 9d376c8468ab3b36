from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.dataset.exceptions import SplitError
from everloop.dataset.splits import time_split

DAYS = np.array([np.datetime64("2013-01-01T12:00") + np.timedelta64(d, "D") for d in (4, 0, 9, 2, 7)])


def test_the_newest_days_are_locked_away() -> None:
    split = time_split(DAYS, 2)
    assert split.test.tolist() == [False, False, True, False, False]
    assert split.boundary == np.datetime64("2013-01-08T12:00")
    assert time_split(DAYS, 3).test.tolist() == [False, False, True, False, True]


@pytest.mark.parametrize(("times", "message"), [(DAYS, "fewer"), (DAYS[:0], "no labelled rows")])
def test_a_part_without_rows_is_refused(times: np.ndarray, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        time_split(times, 10)


@pytest.mark.slow
@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=30), st.integers(1, 60))
def test_no_row_is_in_both_parts_and_test_rows_are_newer(times: list[int], days: int) -> None:
    array = np.array(times).astype("datetime64[ms]")
    try:
        split = time_split(array, days)
    except SplitError:
        assert array.max() - array.min() < np.timedelta64(days, "D")
        return
    assert (split.train ^ split.test).all()
    assert split.train.any()
    assert split.test.any()
    assert array[split.train].max() < array[split.test].min()
