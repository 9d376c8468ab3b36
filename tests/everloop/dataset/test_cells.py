"""What is no time stays what stands there."""

from __future__ import annotations

import warnings

import pandas as pd
import pyarrow

from everloop.dataset.cells import Cells
from everloop.dataset.file_format import FileFormat


def test_a_text_among_counted_times_is_read_as_no_time_in_any_other_way() -> None:
    cells = Cells(FileFormat(time_unit="s"), is_text=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pandas says so where it guesses at a text
        warnings.simplefilter("ignore", ResourceWarning)  # of garbage that another test left
        times = cells.times("at", pyarrow.array(["1970-05-03x", "1700000000", None]))
    assert times.tolist()[:2] == ["1970-05-03x by --time-unit s", pd.Timestamp(1700000000, unit="s", tz="UTC")]
    assert times.isna().tolist() == [False, False, True]
