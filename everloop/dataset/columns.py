"""Brings columns of any origin into the three types that data has here.

Numbers are float64 (NaN is missing), texts are Python strings in an object column (None is missing), times are
``datetime64[ms]`` in UTC without a zone (NaT is missing). Nothing is guessed: what is not of the type is reported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from everloop.row_key import KeyRefusedError, row_key

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?\Z")


@dataclass(frozen=True)
class TypedColumn:
    """A column brought into its type.

    Attributes
    ----------
    values : pandas.Series
        Missing where a cell is missing or not of the type.
    mistyped : bool array
        The cells that hold something, but not something of the type.
    """

    values: pd.Series
    mistyped: np.ndarray


def as_numbers(column: pd.Series) -> TypedColumn:
    """The column as float64. Booleans and texts are not numbers."""
    none = np.zeros(len(column), dtype=bool)
    if pd.api.types.is_bool_dtype(column.dtype):
        return TypedColumn(_series(np.full(len(column), np.nan), column), column.notna().to_numpy(dtype=bool))
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype):
        return TypedColumn(_series(column.to_numpy(dtype=np.float64, na_value=np.nan), column), none)
    cells = column.to_numpy(dtype=object)
    missing = pd.isna(cells)
    number = np.fromiter((_is_number(c) for c in cells), dtype=bool, count=len(cells)) & ~missing
    values = np.full(len(cells), np.nan)
    values[number] = [_to_float(c) for c in cells[number]]
    return TypedColumn(_series(values, column), ~missing & ~number)


def as_texts(column: pd.Series) -> TypedColumn:
    """The column as Python strings. The empty text is missing."""
    cells = column.to_numpy(dtype=object)
    missing = pd.isna(cells)
    text = np.fromiter((isinstance(c, str) for c in cells), dtype=bool, count=len(cells))
    values = np.full(len(cells), None, dtype=object)
    values[text] = cells[text]
    values[values == ""] = None
    return TypedColumn(_series(values, column, dtype=object), ~missing & ~text)


@dataclass(frozen=True)
class KeyColumn:
    """A column brought into keys.

    Attributes
    ----------
    values : pandas.Series
        Keys as the lake keeps them; None where a cell is missing or no key.
    refused : dict of (str, str) to bool array
        By code and rule of :class:`everloop.row_key.KeyRefusedError`, the cells that are no key.
    """

    values: pd.Series
    refused: dict[tuple[str, str], np.ndarray]


def as_keys(column: pd.Series) -> KeyColumn:
    """The column as keys, by the one rule that requests and labels keep too: :func:`everloop.row_key.row_key`.

    A missing cell is none of the refused: whether it may be missing is the caller's rule.
    """
    exact_below = _exact_below(column.dtype)
    cells = column.to_numpy(dtype=object)
    missing = pd.isna(cells) | (cells == "")
    values = np.full(len(cells), None, dtype=object)
    refused: dict[tuple[str, str], np.ndarray] = {}
    for place in np.flatnonzero(~missing):
        cell = cells[place]
        if isinstance(cell, np.generic):
            exact_below, cell = _exact_below(cell.dtype), cell.item()
        try:
            values[place] = row_key(cell, exact_below=exact_below)
        except KeyRefusedError as error:
            reason = error.code, error.rule
            refused.setdefault(reason, np.zeros(len(cells), dtype=bool))[place] = True
    return KeyColumn(_series(values, column, dtype=object), refused)


def _exact_below(dtype: object) -> int:
    """From which size on a float of this type may stand for several whole numbers."""
    bits = {np.dtype("float16"): 11, np.dtype("float32"): 24}.get(getattr(dtype, "numpy_dtype", dtype), 53)
    return 2**bits


def as_times(column: pd.Series) -> TypedColumn:
    """The column as UTC instants, rounded down to milliseconds.

    Timestamps and ISO 8601 texts are taken; those without a zone are UTC, as in the lake's tables.
    """
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        aware = column.dt.tz_localize("UTC") if column.dt.tz is None else column.dt.tz_convert("UTC")
        return TypedColumn(_to_naive_ms(aware), np.zeros(len(column), dtype=bool))
    cells = column.to_numpy(dtype=object)
    missing = pd.isna(cells) | (cells == "")
    usable = np.fromiter((_looks_like_time(c) for c in cells), dtype=bool, count=len(cells))
    texts = pd.Series(np.where(usable, [str(c) for c in cells], None), index=column.index, dtype=object)
    parsed = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    return TypedColumn(_to_naive_ms(parsed), parsed.isna().to_numpy() & ~missing)


def _to_naive_ms(aware: pd.Series) -> pd.Series:
    return aware.dt.tz_localize(None).dt.floor("ms").astype("datetime64[ms]")


def _series(values: np.ndarray, like: pd.Series, dtype: type | None = None) -> pd.Series:
    return pd.Series(values, index=like.index, name=like.name, dtype=dtype)


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float | np.integer | np.floating) and not isinstance(cell, bool)


def _to_float(cell: int | float) -> float:
    try:
        return float(cell)
    except OverflowError:
        return np.inf if cell > 0 else -np.inf


def _looks_like_time(cell: object) -> bool:
    # isoformat of a datetime passes too; a bare year or a spreadsheet's serial number does not.
    return isinstance(cell, str | date) and _ISO_DATE.match(str(cell)) is not None
