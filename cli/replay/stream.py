"""A data file as the world would have shown it: questions hour by hour, outcomes once their lag has passed."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd

from everloop.cli.operations.history import file_remedy, told
from everloop.cli.replay.exceptions import ReplayDataError
from everloop.dataset.exceptions import DatasetError
from everloop.dataset.file_format import FileFormat
from everloop.dataset.frame_contract import check_history
from everloop.dataset.history_file import read_history_file
from everloop.limits import EARLIEST_CAPTURED, EARLIEST_TIME, LATEST_TIME
from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.typed_json import JsonObject

_NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""The clock of a replay follows its rows: none is from the future."""


@dataclass(frozen=True)
class Questions:
    """Rows asked together, at the start of the hour their time falls in; as the API takes them."""

    at: datetime
    instances: list[JsonObject]


@dataclass(frozen=True)
class Outcomes:
    """The labels of one day's rows, at the hour by which the last of them is known."""

    at: datetime
    day: str
    rows: pd.DataFrame


@dataclass(frozen=True)
class ReplayData:
    """The file, cut at the date history ends: ``history`` is imported, ``stream`` is lived through."""

    history: pd.DataFrame
    stream: pd.DataFrame
    starts_at: datetime

    def days(self) -> int:
        """Days the stream spans."""
        return int((self.stream["time"].iloc[-1] - self.stream["time"].iloc[0]).days) + 1


def load(
    file: Path,
    declaration: ModelDeclaration,
    until_history: datetime,
    file_format: FileFormat | None = None,
    *,
    note: Callable[[str], None] = lambda sentence: None,
    skip_refused: bool = False,
) -> ReplayData:
    """Read ``file``, its rows in any order, and cut it at ``until_history`` (UTC).

    Outcomes that were not known at the cut are not part of history: their labels are blanked, because a
    model trained at the cut could not have seen them.

    Every row is compared with the data contract first: a row that the API would refuse, or that has no time to be
    asked at, would be a hole in it.

    Parameters
    ----------
    file_format, note
        As :func:`everloop.dataset.history_file.read_history_file` takes them.
    skip_refused : bool
        Whether rows that break the contract are told and left out, where others are left.

    Raises
    ------
    ReplayDataError
        The file can't be read, rows break the contract, or one of the two parts is empty.
    """
    try:
        frame = read_history_file(file, declaration, file_format, note=note)
    except DatasetError as error:
        raise ReplayDataError(str(error), f"{file_remedy(error, declaration)}; nothing was replayed") from error
    check = check_history(frame, declaration, _NEVER)
    if check.violations and not (skip_refused and len(check.accepted)):
        remedy = "fix the file: the replay sends every row of it"
        if check.refused and len(check.accepted):
            remedy += "; or leave out the bad rows: --skip-refused"
        raise ReplayDataError(f"{file} breaks the data contract; nothing was replayed\n{told(check)}", remedy)
    if check.refused:
        note(f"left out, and not sent: {len(check.refused):,} of {len(frame):,} rows\n{told(check)}")
        frame = frame.drop(index=[refused.row - 1 for refused in check.refused])
    time = declaration.data.time
    # As requests and labels bring them to the lake.
    frame[declaration.data.key] = check.accepted[declaration.data.key].to_numpy()
    frame = frame.rename(columns={time: "time"})
    cut = pd.Timestamp(until_history)
    history, stream = frame[frame["time"] < cut].copy(), frame[frame["time"] >= cut].copy()
    if history.empty or stream.empty:
        raise ReplayDataError(
            f"{file} spans {frame['time'].min()} to {frame['time'].max()}, so {until_history} leaves "
            f"{number_of(len(history), 'row')} of history and {len(stream)} to replay",
            "choose an --until-history between the two",
        )
    _require_days_the_lake_has(file, stream["time"])
    unknown = history["time"] + timedelta(hours=declaration.data.label_lag_hours) > cut
    history.loc[unknown, declaration.data.target] = None
    return ReplayData(history.rename(columns={"time": time}), stream.reset_index(drop=True), until_history)


def _require_days_the_lake_has(file: Path, asked: pd.Series) -> None:
    """What is captured lies in partitions by day, and those begin on a certain one."""
    first, last = asked.iloc[0].date(), asked.iloc[-1].date()
    # The tables know tomorrow as their last day, and the clock runs on after the last outcome.
    if first < EARLIEST_CAPTURED or last > LATEST_TIME.date() - timedelta(days=366):
        raise ReplayDataError(
            f"{file} is replayed from {first} to {last}; predictions are captured from {EARLIEST_CAPTURED} to "
            f"{LATEST_TIME.date() - timedelta(days=366)}",
            "choose --until-history so that the replay starts within this range, and remove later rows; history"
            f" may start as early as {EARLIEST_TIME:%Y-%m-%d}",
        )


def timeline(data: ReplayData, declaration: ModelDeclaration) -> Iterator[Questions | Outcomes]:
    """Questions and outcomes in the order of their instants; at one instant, outcomes first."""
    days = [(day, rows) for day, rows in data.stream.groupby(data.stream["time"].dt.floor("D"), sort=True)]
    outcomes = (Outcomes(_known_at(day, declaration).to_pydatetime(), f"{day:%Y-%m-%d}", rows) for day, rows in days)
    both: tuple[Iterable[Questions | Outcomes], ...] = (outcomes, _questions(days, declaration))
    yield from heapq.merge(*both, key=lambda event: event.at)


def _questions(days: Iterable[tuple[pd.Timestamp, pd.DataFrame]], declaration: ModelDeclaration) -> Iterator[Questions]:
    for _day, rows in days:
        hours = rows["time"].dt.floor("h").tolist()
        instances = to_instances(rows, declaration)
        for hour, asked in groupby(zip(hours, instances, strict=True), key=itemgetter(0)):
            yield Questions(hour.to_pydatetime(), [instance for _hour, instance in asked])


def _known_at(day: pd.Timestamp, declaration: ModelDeclaration) -> pd.Timestamp:
    """When the outcomes of a UTC day are all known: its end, and the lag."""
    return day + timedelta(days=1, hours=declaration.data.label_lag_hours)


def to_instances(rows: pd.DataFrame, declaration: ModelDeclaration) -> list[JsonObject]:
    """The rows as the API takes them: key and features, missing values as null; no time, no target."""
    columns = [declaration.data.key, *(f.name for f in declaration.data.features)]
    # Column by column: pandas' own records cost several times as much for a few rows.
    values = [[None if _is_missing(value) else value for value in rows[name].tolist()] for name in columns]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
