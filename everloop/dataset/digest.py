"""The hash of a table's content: the same rows give the same hash, in whatever files they came."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import pandas as pd


def table_sha256(frame: pd.DataFrame, *, header: Mapping[str, object]) -> str:
    """SHA-256 of a table of typed columns, and of ``header``.

    Column by column: numbers as IEEE 754 little-endian with one NaN and one zero, times as milliseconds, texts as
    UTF-8 with their lengths (-1 is missing). The order of rows and columns counts, the index does not.

    Parameters
    ----------
    frame : pandas.DataFrame
        See :mod:`everloop.dataset.columns`.
    header : mapping
        JSON facts that belong to the identity, e.g. the boundary of a split.
    """
    columns = [[str(name), frame[name].dtype.kind] for name in frame.columns]
    facts = {"header": dict(header), "columns": columns, "rows": len(frame)}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
    for name in frame.columns:
        for part in _column_parts(frame[name]):
            digest.update(part)
    return digest.hexdigest()


def _column_parts(column: pd.Series) -> list[bytes]:
    if column.dtype.kind == "f":
        values = column.to_numpy(dtype="<f8") + 0.0  # turns -0.0 into 0.0
        return [np.where(np.isnan(values), np.nan, values).tobytes()]
    if column.dtype.kind == "M":
        return [column.to_numpy().astype("datetime64[ms]").astype("<i8").tobytes()]
    if column.dtype.kind == "O":
        texts = [None if text is None else text.encode() for text in column]
        lengths = np.array([-1 if text is None else len(text) for text in texts], dtype="<i8")
        return [lengths.tobytes(), b"".join(text for text in texts if text is not None)]
    raise TypeError(f"the column {column.name!r} is {column.dtype}, not a number, time or text")
