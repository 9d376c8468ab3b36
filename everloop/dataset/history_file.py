"""Reads a file of past rows: CSV or Parquet, with the declared columns."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from everloop.dataset.columns import as_times
from everloop.dataset.exceptions import HistoryFileError

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

_MISSING_NUMBERS = ("", "NA", "NaN", "nan", "null")
"""What R, pandas and SQL tools write for a number they don't have. A category may well be called NA."""


def read_history_file(path: Path, declaration: ModelDeclaration) -> pd.DataFrame:
    """Read ``path`` into the declared columns, in declared order: key, time, target, features.

    Times become UTC instants (without a zone they are read as UTC), numbers float64, texts objects with None
    for missing. A cell that is not of its column's type is left as it stands, for
    :func:`everloop.dataset.frame_contract.check_history` to name.

    Raises
    ------
    HistoryFileError
        When the file can't be read, or its columns are not the declared ones.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _read_csv(path, declaration)
    if suffix == ".parquet":
        return _read_parquet(path, declaration)
    raise HistoryFileError(f"{path}: the name ends in {suffix or 'nothing'!r}; give a .csv or a .parquet file")


def _read_csv(path: Path, declaration: ModelDeclaration) -> pd.DataFrame:
    import pyarrow
    import pyarrow.csv

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), None)
        if header is None:
            raise HistoryFileError(f"{path}: the file is empty; its first line names the columns")
        names = _require_columns(path, header, declaration)
        # pandas would fill up rows that are too short, and cut those that are too long. Without threads, errors
        # name the row.
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False
            ),
        )
    except (OSError, UnicodeDecodeError, csv.Error, pyarrow.ArrowException) as error:
        raise HistoryFileError(f"{path}: {error}") from error
    frame = pd.DataFrame({name: table[name].to_numpy() for name in names}, dtype=object)
    data = declaration.data
    numbers = {data.target, *(f.name for f in data.numbers)}
    columns = {}
    for name in names:
        texts = frame[name]
        if name == data.time:
            columns[name] = _times(texts)
        elif name in numbers:
            columns[name] = _numbers(texts)
        else:
            columns[name] = texts.where(texts != "", None).astype(object)
    return pd.DataFrame(columns)


def _read_parquet(path: Path, declaration: ModelDeclaration) -> pd.DataFrame:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        names = _require_columns(path, table.column_names, declaration)
        frame = table.select(names).to_pandas()
        # Beside a missing value, pandas would make floats of whole numbers, and long ones lose digits.
        frame[declaration.data.key] = table[declaration.data.key].to_pandas(integer_object_nulls=True)
    except (OSError, pyarrow.ArrowException) as error:
        raise HistoryFileError(f"{path}: {error}") from error
    frame[declaration.data.time] = _times(frame[declaration.data.time])
    return frame


def _require_columns(path: Path, found: list[str], declaration: ModelDeclaration) -> list[str]:
    data = declaration.data
    wanted = [data.key, data.time, data.target, *(f.name for f in data.features)]
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    repeated = sorted({name for name in found if found.count(name) > 1})
    problems = [
        f"{what}: {', '.join(map(repr, names))}"
        for what, names in (("missing", missing), ("not declared", extra), ("there twice", repeated))
        if names
    ]
    if problems:
        raise HistoryFileError(
            f"{path}: columns {'; '.join(problems)}; {declaration.model} declares {', '.join(wanted)}"
        )
    return wanted


def _numbers(texts: pd.Series) -> pd.Series:
    missing = texts.isin(_MISSING_NUMBERS)
    values = pd.to_numeric(texts.mask(missing), errors="coerce").astype("float64")
    wrong = values.isna() & ~missing
    return values if not wrong.any() else values.astype(object).mask(wrong, texts)


def _times(column: pd.Series) -> pd.Series:
    typed = as_times(column)
    aware = typed.values.dt.tz_localize("UTC")
    return aware if not typed.mistyped.any() else aware.astype(object).mask(typed.mistyped, column)
