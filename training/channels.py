"""Rows from the Parquet parts of a job's input channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.problem_types import REGRESSION
from everloop.shown import listed
from everloop.training.exceptions import ChannelError


@dataclass(frozen=True)
class Split:
    """The rows of one split.

    Attributes
    ----------
    features : DataFrame
        The declared features in declared order: numbers float64 with NaN where missing, categories strings
        with ``""`` where missing.
    target : ndarray or None
        int64 of 0 and 1, or of places of classes, or float64; None where the channel carries no labels.
    times : ndarray of datetime64[ms]
        The instant of each row, UTC.
    first, last : datetime
        The earliest and the latest row's instant.
    """

    features: pd.DataFrame
    target: np.ndarray | None
    times: np.ndarray
    first: datetime
    last: datetime

    def __len__(self) -> int:
        return len(self.features)

    @property
    def labels(self) -> np.ndarray:
        """The target of rows that carry it.

        Raises
        ------
        ChannelError
            When the channel carries no labels.
        """
        if self.target is None:
            raise ChannelError("the rows of this channel have no labels, but they are needed here")
        return self.target

    def with_later(self, other: Split) -> Split:
        """These rows, then the other labelled ones."""
        times = np.concatenate([self.times, other.times])
        return Split(
            features=pd.concat([self.features, other.features], ignore_index=True),
            target=np.concatenate([self.labels, other.labels]),
            times=times,
            first=moment(times.min()),
            last=moment(times.max()),
        )

    def only(self, rows: np.ndarray) -> Split:
        """The chosen rows, bool [rows], of which there must be one or more."""
        times = self.times[rows]
        return Split(
            features=self.features[rows].reset_index(drop=True),
            target=None if self.target is None else self.target[rows],
            times=times,
            first=moment(times.min()),
            last=moment(times.max()),
        )

    def after(self, instant: datetime) -> np.ndarray:
        """Which rows are later than ``instant``, bool [rows]."""
        return np.asarray(self.times > np.datetime64(instant.astimezone(UTC).replace(tzinfo=None), "ms"))

    @cached_property
    def days(self) -> np.ndarray:
        """The UTC day of each row, datetime64[D]."""
        return self.times.astype("datetime64[D]")


def read_split(folder: Path, declaration: ModelDeclaration, *, labelled: bool) -> Split:
    """Read every ``*.parquet`` below ``folder``: the rows by their instants, those of one instant by their keys.

    In which files they stand, and in which order, is up to the query that left them; it changes nothing.

    Parameters
    ----------
    labelled : bool
        Whether the rows have their ``label``.

    Raises
    ------
    ChannelError
        When there are no rows, a column is missing or of another type, a label is missing or no class.
    """
    return read_split_with(folder, declaration, labelled=labelled)[0]


def read_split_with(
    folder: Path, declaration: ModelDeclaration, *, labelled: bool, numbers: Sequence[str] = ()
) -> tuple[Split, dict[str, np.ndarray]]:
    """As :func:`read_split`, with more number columns of the same rows, in the same order."""
    parts = sorted(folder.rglob("*.parquet"))
    if not parts:
        raise ChannelError(f"{folder} has no *.parquet file")
    kinds = {"key": "category", "time": "time", **({"label": "number"} if labelled else {})}
    kinds |= {f.name: f.type for f in declaration.data.features} | dict.fromkeys(numbers, "number")
    table = _in_order(pa.concat_tables([_read(part, kinds) for part in parts]))
    if not table.num_rows:
        raise ChannelError(f"the files of {folder} have no rows")
    frame = {f.name: _values(table.column(f.name), f.type) for f in declaration.data.features}
    instants = table.column("time").to_numpy().astype("datetime64[ms]")
    split = Split(
        features=pd.DataFrame(frame),
        target=_target(table.column("label"), declaration, folder) if labelled else None,
        times=instants,
        first=moment(instants.min()),
        last=moment(instants.max()),
    )
    return split, {name: _numbers(table.column(name)) for name in numbers}


def _in_order(table: pa.Table) -> pa.Table:
    places = pc.sort_indices(table, sort_keys=[("time", "ascending"), ("key", "ascending")])
    in_place = bool(pc.all(pc.equal(places, pa.array(np.arange(table.num_rows, dtype=np.uint64)))).as_py())
    return table if in_place else table.take(places)


def _read(part: Path, kinds: Mapping[str, str]) -> pa.Table:
    """One part, each column as float64, string or timestamp in milliseconds."""
    try:
        with pq.ParquetFile(part) as file:
            absent = [n for n in kinds if n not in file.schema_arrow.names]
            if absent:
                have = listed(file.schema_arrow.names)
                raise ChannelError(f"{part} has no column {absent[0]!r}; it has {have}")
            table = file.read(columns=list(kinds))
    except (OSError, pa.ArrowInvalid) as error:
        raise ChannelError(f"{part} is not a readable Parquet file: {error}") from error
    columns = {name: _CONVERTERS[kind](name, table.column(name), part) for name, kind in kinds.items()}
    return pa.table(columns)


def _number(name: str, column: pa.ChunkedArray, part: Path) -> pa.ChunkedArray:
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise ChannelError(f"{part}: the column {name!r} is {kind}; a number must be double")
    return column.cast(pa.float64())


def _category(name: str, column: pa.ChunkedArray, part: Path) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise ChannelError(f"{part}: the column {name!r} is {kind}; a category must be string")
    return column.cast(pa.large_string())


def _instant(name: str, column: pa.ChunkedArray, part: Path) -> pa.ChunkedArray:
    kind = column.type
    if not pa.types.is_timestamp(kind):
        raise ChannelError(f"{part}: the column {name!r} is {kind}, not a timestamp")
    if column.null_count:
        raise ChannelError(f"{part}: {number_of(column.null_count, 'row has', 'rows have')} no {name}")
    # An instant with a zone is held in UTC; dropping the zone leaves that.
    return column.cast(pa.timestamp("ms", kind.tz), safe=False).cast(pa.timestamp("ms"))


_CONVERTERS = {"number": _number, "category": _category, "time": _instant}


def _values(column: pa.ChunkedArray, kind: str) -> np.ndarray | pd.Series:
    if kind == "number":
        return _numbers(column)
    return pd.Series(column.fill_null("").to_pylist(), dtype=object)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _target(column: pa.ChunkedArray, declaration: ModelDeclaration, folder: Path) -> np.ndarray:
    values = _numbers(column)
    missing = int(np.isnan(values).sum())
    if missing:
        raise ChannelError(f"{folder}: {number_of(missing, 'row has', 'rows have')} no label")
    if declaration.problem.type == REGRESSION:
        return values
    classes = declaration.problem.classes
    if classes:
        odd = np.flatnonzero(~np.isin(values, np.arange(len(classes))))
        if len(odd):
            names = ", ".join(map(str, classes))
            raise ChannelError(
                f"{folder}: the label of row {odd[0]} is {values[odd[0]]:g}, not the place of one of {names}"
            )
        return values.astype(np.int64)
    odd = np.flatnonzero((values != 0) & (values != 1))
    if len(odd):
        raise ChannelError(f"{folder}: the label of row {odd[0]} is {values[odd[0]]:g}, neither 0 nor 1")
    return values.astype(np.int64)


def moment(instant: np.datetime64) -> datetime:
    """An instant of a row, in UTC."""
    moment: datetime = instant.astype("datetime64[ms]").astype(datetime)
    return moment.replace(tzinfo=UTC)
