"""Reads a file of past rows: CSV or Parquet, with the declared columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from everloop.dataset.cells import Cells, convert
from everloop.dataset.class_places import class_places
from everloop.dataset.columns import as_times
from everloop.dataset.file_format import FileFormat
from everloop.dataset.file_sniff import WantedColumns
from everloop.dataset.table_file import PARQUET_SUFFIXES, read_table
from everloop.problem_types import BINARY

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


def read_history_file(
    path: Path,
    declaration: ModelDeclaration,
    file_format: FileFormat | None = None,
    *,
    note: Callable[[str], None] = lambda sentence: None,
) -> pd.DataFrame:
    """Read ``path`` into the declared columns, in declared order: key, time, target, features.

    Times become UTC instants, numbers float64, texts objects with None for missing, classes their places. A cell
    that is not of its column's type is left as it stands, for
    :func:`everloop.dataset.frame_contract.check_history` to name.

    The rows come oldest first, whatever their order in the file; the index is the place that each has there, from 0.

    Parameters
    ----------
    file_format : FileFormat, optional
        What is said about the file; by default it is written as :class:`FileFormat` has it.
    note : callable
        Told each sentence about how cells were read that a person should know.

    Raises
    ------
    HistoryFileError
        When the file can't be read, has no rows, or its columns are not the declared ones.
    """
    said, data = file_format or FileFormat(), declaration.data
    classes = declaration.problem.classes or []
    numbers = {data.target, *(f.name for f in data.numbers)}
    named = bool(classes) and isinstance(classes[0], str)
    if named:
        numbers.discard(data.target)
    names = [data.key, data.time, data.target, *(f.name for f in data.features)]
    wanted = WantedColumns(declaration.model, names, tuple(n for n in names if n in numbers), data.time)
    table = read_table(path, said, wanted)
    cells = Cells(said, is_text=not path.name.lower().endswith(PARQUET_SUFFIXES))
    # True as an amount is a mistake; as a flag, or as one of two outcomes, it is 1.
    is_binary = declaration.problem.type == BINARY
    declared = {f.name: f.values or [] for f in data.categories}
    declared |= {data.target: list(map(str, classes))} if named else {}
    columns = {}
    for name in names:
        array = table[name]
        if name == data.key:
            columns[name] = convert(path, name, partial(cells.keys, name, array))
        elif name == data.time:
            columns[name] = convert(path, name, partial(cells.times, name, array))
        elif name in numbers:
            truths = name != data.target or is_binary
            columns[name] = convert(path, name, partial(cells.numbers, name, array, truths=truths))
        else:
            columns[name] = convert(path, name, partial(cells.texts, name, array, declared[name]))
    if classes:
        columns[data.target] = class_places(columns[data.target], classes)
    for sentence in cells.notes:
        note(sentence)
    return _oldest_first(pd.DataFrame(columns), data.time)


def _oldest_first(frame: pd.DataFrame, time: str) -> pd.DataFrame:
    """The rows by time; rows of one time, and those without, stay in the file's order."""
    times = as_times(frame[time]).values.reset_index(drop=True)
    if times.is_monotonic_increasing:
        return frame
    return frame.iloc[times.sort_values(kind="stable", na_position="last").index]
