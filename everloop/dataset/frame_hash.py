"""The hash of :mod:`everloop.dataset.content_hash` over a table in memory, to the same digit as the queries' own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd

from everloop.dataset.content_hash import SUMS

MISSING = "-"
HEX_OF_A_NUMBER = 16


def frame_sums(rows: pd.DataFrame) -> list[int]:
    """The four sums over all rows, in any order of the rows.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``key``, ``time``, ``label`` and the features, in the declaration's order. Columns of numbers are
        floats, and those of texts have missing values as None or NaN.
    """
    sums = [0] * len(SUMS)
    for cells in zip(*(_texts(rows[name]) for name in rows.columns), strict=True):
        digest = hashlib.sha256(",".join(cells).encode()).digest()
        for i in range(len(SUMS)):
            sums[i] += int.from_bytes(digest[8 * i : 8 * i + 8], "big", signed=True)
    return sums


def _texts(column: pd.Series) -> Iterator[str]:
    kind = column.dtype.kind
    if kind == "M":
        return map(str, column.dt.tz_localize(None).astype("datetime64[ms]").astype("int64").tolist())
    return _numbers(column.to_numpy(dtype=float)) if kind == "f" else _strings(column)


def _numbers(values: np.ndarray) -> Iterator[str]:
    # Adding nothing turns -0.0 into 0.0.
    digits = (values + 0.0).astype(">f8").tobytes().hex().upper()
    for place, missing in enumerate(np.isnan(values).tolist()):
        yield MISSING if missing else digits[HEX_OF_A_NUMBER * place : HEX_OF_A_NUMBER * (place + 1)]


def _strings(column: pd.Series) -> Iterator[str]:
    for value, missing in zip(column.tolist(), column.isna().tolist(), strict=True):
        yield MISSING if missing else f"{len(value)}:{value}"
