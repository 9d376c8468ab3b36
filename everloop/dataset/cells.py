"""Turns the columns of a file, as Arrow has them, into the columns that the contract is compared with.

A cell that is not of its column's type stays as it stands, for :mod:`everloop.dataset.frame_contract` to name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from everloop.dataset import cell_notes
from everloop.dataset.columns import EARLIEST, LATEST, as_times, bears_no_zone, localized
from everloop.dataset.exceptions import HistoryFileError
from everloop.dataset.file_format import MISSING_WORDS, TIME_UNITS, TRUTHS, FileFormat

if TYPE_CHECKING:
    import pyarrow

_NUMBER = r"^[+-]?(([0-9]+{mark}?[0-9]*|{mark}[0-9]+)([eE][+-]?[0-9]+)?|(?i:inf(inity)?))$"
_FIRST = pd.Timestamp("1970-01-01", tz="UTC")
_EPOCH = r"^[+-]?[0-9]{1,30}([.][0-9]{1,30})?$"


@dataclass
class Cells:
    """Reads columns by one file format, and keeps what a person should know about how they were read.

    Attributes
    ----------
    is_text : bool
        Whether the file had texts alone, as a CSV has: then numbers are read out of them.
    notes : list of str
        Sentences: which words counted as missing, and which of them were taken as categories.
    """

    file_format: FileFormat
    is_text: bool
    notes: list[str] = field(default_factory=list)

    def numbers(self, name: str, array: pyarrow.Array, *, truths: bool) -> pd.Series:
        """float64 with NaN for missing; with ``truths``, true is 1 and false 0 where every cell is one of the two."""
        import pyarrow
        from pyarrow import types

        array = _plain(array)
        if types.is_null(array.type):
            return pd.Series(np.full(len(array), np.nan), name=name)
        if types.is_boolean(array.type) and truths:
            array = array.cast(pyarrow.uint8())
        if types.is_integer(array.type) or types.is_floating(array.type) or types.is_decimal(array.type):
            values = array.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)
            return pd.Series(values, name=name, dtype=np.float64)
        if types.is_string(array.type) and self.is_text:
            return self._parsed_numbers(name, array, truths)
        return self._objects(name, array)

    def texts(self, name: str, array: pyarrow.Array, declared: Sequence[str] = ()) -> pd.Series:
        """Texts as they stand; None for the empty one and for what is said to mean missing.

        Parameters
        ----------
        declared : sequence of str
            Categories that nobody must be told of.
        """
        column = self._objects(name, _plain(array))
        column = column.mask(column.isin(["", *self.file_format.missing_words]), None)
        self.notes += cell_notes.of_categories(name, column[column.map(lambda c: isinstance(c, str))], declared)
        return column

    def keys(self, name: str, array: pyarrow.Array) -> pd.Series:
        """What carries a key, no digit of it lost: :func:`everloop.dataset.columns.as_keys` takes it from here."""
        from pyarrow import types

        array = _plain(array)
        if types.is_floating(array.type):
            values = array.to_numpy(zero_copy_only=False)
            return pd.Series(values.astype(_float_type(array.type)), name=name)
        column = self._objects(name, array)
        return column.mask(column.isin(self.file_format.missing_words), None) if len(column) else column

    def times(self, name: str, array: pyarrow.Array) -> pd.Series:
        """UTC instants. Only what is said to be a time is one: a number needs its unit, another text its format."""
        import pyarrow.compute as pc
        from pyarrow import types

        array = _plain(array)
        if types.is_null(array.type):
            return pd.Series(pd.NaT, index=range(len(array)), name=name, dtype="datetime64[ms, UTC]")
        if types.is_timestamp(array.type):
            local = array.type.tz is None
            self._note_local(name, local)
            return self._instants(name, array, TIME_UNITS[array.type.unit], local=local)
        if types.is_date(array.type):
            ticks = 86_400 * TIME_UNITS["s"] if types.is_date32(array.type) else TIME_UNITS["ms"]
            return self._instants(name, array, ticks, local=True)
        unit = self.file_format.time_unit
        if unit is not None and not types.is_string(array.type):
            return self._plausible(self._counted_times(name, array, TIME_UNITS[unit]), unit)
        if not types.is_string(array.type):
            return self._read_times(self._objects(name, array))
        words = [*MISSING_WORDS, *self.file_format.missing_words]
        column = self._objects(name, pc.utf8_trim_whitespace(array))
        self.notes += cell_notes.of_missing(name, column, words)
        column = column.mask(column.isin(words), None)
        if unit is not None:
            return self._plausible(self._counted_texts(name, column, TIME_UNITS[unit]), unit)
        form = self.file_format.time_format
        self._note_local(name, any(map(bears_no_zone, column)) if form is None else "%z" not in form)
        return self._read_times(column)

    def _parsed_numbers(self, name: str, array: pyarrow.Array, truths: bool) -> pd.Series:
        import pyarrow
        import pyarrow.compute as pc

        words = [*MISSING_WORDS, *self.file_format.missing_words]
        texts = pc.utf8_trim_whitespace(array)
        missing = pc.or_(pc.is_in(texts, pyarrow.array(words)), pc.is_null(texts))
        read = pd.Series(texts.to_numpy(zero_copy_only=False), dtype=object)
        self.notes += cell_notes.of_missing(name, read, words)
        if truths and _all(pc.or_(missing, pc.is_in(texts, pyarrow.array(list(TRUTHS))))):
            return read.map(TRUTHS).astype(np.float64).rename(name)
        mark = self.file_format.decimal
        pattern = _NUMBER.replace("{mark}", "[.]" if mark == "." else ",")
        number = pc.and_(pc.match_substring_regex(texts, pattern), pc.invert(missing))
        plain = texts if mark == "." else pc.replace_substring(texts, ",", ".")
        values = pc.if_else(number, plain, None).cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
        column = pd.Series(values, name=name, dtype=np.float64)
        self.notes += cell_notes.of_grouping(name, read[column.notna()], self.file_format)
        wrong = pc.invert(pc.or_(number, missing)).to_numpy(zero_copy_only=False)
        if wrong.any():
            cells = array.to_numpy(zero_copy_only=False)
            column = column.astype(object).mask(wrong, pd.Series(cells, dtype=object))
        return column

    def _instants(self, name: str, array: pyarrow.Array, nanoseconds: int, *, local: bool) -> pd.Series:
        """Arrow's counts of a unit since 1970; ``local`` where they count on a clock without a zone."""
        import pyarrow

        counts = array.cast(pyarrow.int32() if str(array.type) == "date32[day]" else pyarrow.int64())
        missing = counts.is_null().to_numpy(zero_copy_only=False)
        values = counts.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        return self._from_counts(name, values, missing, nanoseconds, local=local)

    def _from_counts(
        self, name: str, values: np.ndarray, missing: np.ndarray, nanoseconds: int, *, local: bool
    ) -> pd.Series:
        per_ms = TIME_UNITS["ms"]
        bound = min(int(LATEST.astype(np.int64)) * per_ms // nanoseconds + 1, np.iinfo(np.int64).max)
        beyond = ((values > bound) | (values < -bound)) & ~missing
        safe = np.where(beyond, 0, values)
        ms = safe // (per_ms // nanoseconds) if nanoseconds <= per_ms else safe * (nanoseconds // per_ms)
        stamps = ms.astype("datetime64[ms]")
        beyond |= ((stamps < EARLIEST) | (stamps > LATEST)) & ~missing
        stamps[missing | beyond] = np.datetime64("NaT")
        column = self._localized(pd.Series(stamps, name=name), [str(s) for s in stamps] if local else None)
        if beyond.any():
            column = column.astype(object)
            column[beyond] = [f"{value} x {nanoseconds / 1e9:g} s since 1970" for value in values[beyond]]
        return column

    def _counted_times(self, name: str, array: pyarrow.Array, nanoseconds: int) -> pd.Series:
        from pyarrow import types

        if types.is_integer(array.type):
            missing = array.is_null().to_numpy(zero_copy_only=False)
            values = array.fill_null(0).to_numpy(zero_copy_only=False)
            if values.dtype.kind == "u":
                values = np.minimum(values, np.iinfo(np.int64).max).astype(np.int64)
            return self._from_counts(name, values.astype(np.int64), missing, nanoseconds, local=False)
        column = self._objects(name, array)
        if types.is_float32(array.type) or types.is_float16(array.type):
            raise ValueError(
                f"its cells are {array.type}, too imprecise for a count of seconds since 1970: write it as int64"
            )
        if types.is_floating(array.type) or types.is_decimal(array.type):
            return self._counted_texts(name, column.map(_exact_text, na_action="ignore"), nanoseconds)
        return column

    def _plausible(self, times: pd.Series, unit: str) -> pd.Series:
        """Refuses a unit by which everything would have happened in the first year that is counted from."""
        # What is not a time is text here, and is told as that: it is not to be read as a time after all.
        known = pd.to_datetime(times.where(times.map(lambda cell: isinstance(cell, pd.Timestamp))), utc=True)
        if known.notna().any() and known.min() >= _FIRST and known.max() < _FIRST + pd.Timedelta(days=366):
            raise ValueError(
                f"by --time-unit {unit} all of its times are in 1970, up to {known.max():%Y-%m-%d %H:%M}. Use the "
                "unit that the file really has; if the times are right, write them as 1970-03-01T05:00:00Z"
            )
        return times

    def _counted_texts(self, name: str, column: pd.Series, nanoseconds: int) -> pd.Series:
        missing = column.isna().to_numpy()
        number = column.astype("string").str.match(_EPOCH).fillna(False).to_numpy(dtype=bool)
        counts = [int(Fraction(c) * nanoseconds // 1) if n else 0 for c, n in zip(column, number, strict=True)]
        fits = np.array([abs(c) <= np.iinfo(np.int64).max for c in counts], dtype=bool)
        values = np.array([c if f else 0 for c, f in zip(counts, fits, strict=True)], dtype=np.int64)
        times = self._from_counts(name, values, missing | ~number | ~fits, 1, local=False)
        wrong = ~missing & (~number | ~fits)
        said = np.full(len(column), f" by --time-unit {self.file_format.time_unit}", dtype=object)
        return _left(times, wrong, column, said)

    def _read_times(self, column: pd.Series) -> pd.Series:
        """Times out of texts, or whatever else stands there."""
        form, zone = self.file_format.time_format, self.file_format.time_zone
        if form is None:
            typed = as_times(column, zone=zone)
            aware, wrong = typed.values.dt.tz_localize("UTC"), typed.mistyped
            unclear = wrong & ~as_times(column).mistyped if zone else np.zeros(len(column), dtype=bool)
        else:
            texts = column.where(column.map(lambda c: isinstance(c, str)), None)
            parsed = pd.to_datetime(texts, format=form, errors="coerce", utc="%z" in form)
            aware = parsed if "%z" in form else localized(parsed, zone)
            unclear = (aware.isna() & parsed.notna()).to_numpy()
            aware = aware.dt.floor("ms").astype("datetime64[ms, UTC]")
            wrong = aware.isna().to_numpy() & column.notna().to_numpy()
        said = f" by --time-format {form}" if form else ""
        return _left(aware, wrong, column, np.where(unclear, f"{said} in {zone}", said))

    def _localized(self, naive: pd.Series, shown: list[str] | None) -> pd.Series:
        """Times of a clock in the zone that is said as UTC; those that the clock shows never or twice stay texts."""
        if shown is None or self.file_format.time_zone is None:
            return localized(naive, None)
        aware = localized(naive, self.file_format.time_zone)
        unclear = aware.isna() & naive.notna()
        said = np.full(len(naive), f" in {self.file_format.time_zone}", dtype=object)
        return _left(aware, unclear.to_numpy(), pd.Series(shown), said)

    def _objects(self, name: str, array: pyarrow.Array) -> pd.Series:
        return pd.Series(array.to_pylist(), name=name, dtype=object)

    def _note_local(self, name: str, local: bool) -> None:
        if local and self.file_format.time_zone is None:
            self.notes.append(f"{name}: times without a zone are read as UTC; --time-zone sets another zone")


def convert(path: object, name: str, conversion: Callable[[], pd.Series]) -> pd.Series:
    """What ``conversion`` makes of the column ``name``.

    Raises
    ------
    HistoryFileError
        When its values can't be read at all.
    """
    import pyarrow

    try:
        return conversion()
    except (ValueError, OverflowError, KeyError, TypeError, ArithmeticError, pyarrow.ArrowException) as error:
        raise HistoryFileError(f"{path}: the column {name!r} can't be read: {error}") from error


def _plain(array: pyarrow.Array) -> pyarrow.Array:
    """The values themselves: without dictionary, extension, or another width of texts."""
    import pyarrow
    import pyarrow.compute
    from pyarrow import types

    if isinstance(array, pyarrow.ExtensionArray):
        array = array.storage
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_run_end_encoded(array.type):
        array = pyarrow.compute.run_end_decode(array)
    if types.is_nested(array.type):
        raise ValueError(f"its cells are {array.type}; put one value into each cell")
    if types.is_large_string(array.type) or types.is_string_view(array.type):
        array = array.cast(pyarrow.string())
    return array


def _left(times: pd.Series, wrong: np.ndarray, cells: pd.Series, said: np.ndarray) -> pd.Series:
    """The times, and what stands where there is none, with what was said about it: it could pass for another time."""
    if not wrong.any():
        return times
    told = [f"{cell}{word}" if isinstance(cell, str) else cell for cell, word in zip(cells, said, strict=True)]
    return times.astype(object).mask(wrong, pd.Series(told, index=times.index, dtype=object))


def _exact_text(value: Any) -> str:
    return format(value, "f") if np.isfinite(float(value)) else str(value)


def _float_type(type_: pyarrow.DataType) -> str:
    return {"halffloat": "float16", "float": "float32"}.get(str(type_), "float64")


def _all(array: pyarrow.Array) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(array, min_count=0).as_py())
