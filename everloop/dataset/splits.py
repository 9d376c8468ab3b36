"""Splits labelled rows into a training part and a locked test part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from everloop.dataset.set_rules import all_test, no_rows


@dataclass(frozen=True)
class TimeSplit:
    """A split by time.

    Attributes
    ----------
    boundary : datetime64[ms]
        Rows up to it are trained on, later ones test.
    train, test : bool arrays, shape (rows,)
        Each row is in exactly one.
    """

    boundary: np.datetime64
    train: np.ndarray
    test: np.ndarray


def time_split(times: np.ndarray, test_days: int) -> TimeSplit:
    """Lock away the newest ``test_days`` days of rows.

    The days are counted back from the newest row, so the same rows are split alike whenever that is done.

    Parameters
    ----------
    times : datetime64 array, shape (rows,)
        UTC, in any order.

    Raises
    ------
    SplitError
        When a part would be empty.
    """
    if not len(times):
        raise no_rows()
    times = times.astype("datetime64[ms]")
    newest = times.max()
    boundary = newest - np.timedelta64(test_days, "D")
    test = times > boundary
    if test.all():
        raise all_test(len(times), str(times.min()), str(newest), test_days)
    return TimeSplit(boundary, ~test, test)
