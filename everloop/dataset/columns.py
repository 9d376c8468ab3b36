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

_ISO_DATE = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)(?: ?(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?",
    re.IGNORECASE | re.ASCII,
)

EARLIEST, LATEST = np.datetime64("0001-01-01", "ms"), np.datetime64("9999-12-31T23:59:59.999", "ms")
"""Instants beyond have no date that Python, or the lake, could write."""


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
    return 1 << bits


def as_times(column: pd.Series, *, zone: str | None = None) -> TypedColumn:
    """The column as UTC instants, rounded down to milliseconds.

    Timestamps and ISO 8601 texts are taken; a text may end in ``Z``, ``UTC``, ``GMT`` or an offset, after a space or
    not. Those without a zone are of ``zone``, or UTC, as in the lake's tables; the hour that a zone's clocks show
    twice or never is not an instant.
    """
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        aware = localized(column, zone) if column.dt.tz is None else column.dt.tz_convert("UTC")
        return TypedColumn(_to_naive_ms(aware), aware.isna().to_numpy() & column.notna().to_numpy())
    cells = column.to_numpy(dtype=object)
    missing = pd.isna(cells) | (cells == "")
    parts = [_iso_parts(c) for c in cells]
    offset = pd.Series([p is not None and p[1] for p in parts], index=column.index)
    texts = pd.Series([p and p[0] for p in parts], index=column.index, dtype=object)
    parsed = pd.to_datetime(texts.where(offset, None), utc=True, format="ISO8601", errors="coerce")
    bare = pd.to_datetime(texts.mask(offset, None), format="ISO8601", errors="coerce")
    parsed = parsed.where(offset, localized(bare, zone))
    within = parsed.notna().to_numpy() & _within_calendar(parsed)
    return TypedColumn(_to_naive_ms(parsed.where(within)), ~within & ~missing)


def bears_no_zone(cell: object) -> bool:
    """Whether a cell is a time of a clock without a zone."""
    parts = _iso_parts(cell)
    return parts is not None and not parts[1]


def localized(naive: pd.Series, zone: str | None) -> pd.Series:
    """Times that bear no zone as UTC; NaT where the zone's clocks show a time twice or never."""
    if zone is None:
        aware: pd.Series = naive.dt.tz_localize("UTC")
    else:
        aware = naive.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC")
    return aware


def _within_calendar(aware: pd.Series) -> np.ndarray:
    stamps = aware.dt.tz_localize(None).to_numpy().astype("datetime64[ms]")
    return np.asarray((stamps >= EARLIEST) & (stamps <= LATEST))


def _to_naive_ms(aware: pd.Series) -> pd.Series:
    naive: pd.Series = aware.dt.tz_localize(None).dt.floor("ms").astype("datetime64[ms]")
    return naive


def _series(values: np.ndarray, like: pd.Series, dtype: type | None = None) -> pd.Series:
    return pd.Series(values, index=like.index, name=like.name, dtype=dtype)


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float | np.integer | np.floating) and not isinstance(cell, bool)


def _to_float(cell: int | float) -> float:
    try:
        return float(cell)
    except OverflowError:
        return np.inf if cell > 0 else -np.inf


def _iso_parts(cell: object) -> tuple[str, bool] | None:
    """The instant in the one way of writing that parsers agree on, and whether it bears an offset.

    The isoformat of a datetime passes too; a bare year or a spreadsheet's serial number does not.
    """
    match = _ISO_DATE.fullmatch(str(cell)) if isinstance(cell, str | date) else None
    if match is None:
        return None
    day, clock, offset = match.groups()
    clock = clock and clock.replace(",", ".")  # both are ISO 8601's decimal marks
    if offset is None:
        return f"{day}T{clock or '00:00'}", False
    return f"{day}T{clock}{'+00:00' if offset.upper() in ('Z', 'UTC', 'GMT') else offset}", True
