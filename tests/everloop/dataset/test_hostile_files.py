"""Whatever a file holds, reading and checking it costs in proportion to its bytes, and refusing it takes few words."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from everloop.cli.exceptions import RefusedDataError
from everloop.cli.operations.history import told
from everloop.cli.operations.labels import read_labels
from everloop.dataset.exceptions import ContractViolationError, DatasetError
from everloop.dataset.frame_contract import check_history, check_snapshot
from everloop.dataset.history_file import read_history_file
from support.growth import assert_linear
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import START, history_table

DECLARATION = declare(binary_document())
AS_OF = START + timedelta(days=30)
COLUMNS = "train_id,departure,late,distance,wind,line,operator"
LONGEST_REFUSAL = 10_000
"""Characters."""

HISTORIES: dict[str, Callable[[int], str]] = {
    "nothing but bad rows": lambda n: f"{COLUMNS}\n" + "".join(f"{i},soon,x,-1,1,east,a\n" for i in range(n // 28)),
    "one key again and again": lambda n: f"{COLUMNS}\n" + "a,2013-01-01,1,1,1,north,a\n" * (n // 28),
    "many columns": lambda n: f"{COLUMNS}," + ",".join(f"c{i}" for i in range(n // 7)) + "\n",
    "one column again and again": lambda n: f"{COLUMNS}," + ",".join("c" for _ in range(n // 2)) + "\n",
    "a column in many spellings": lambda n: (
        f"{COLUMNS[:-8]}," + ",".join(f"{' ' * (i % 9)}operator" for i in range(n // 14))
    ),
    "a number of many digits": lambda n: f"{COLUMNS}\na,2013-01-01,1,{'9' * n},1,north,a\n",
    "a fraction of many digits": lambda n: f"{COLUMNS}\na,2013-01-01,1,0.{'9' * n},1,north,a\n",
    "a long key": lambda n: f"{COLUMNS}\n{'k' * n},2013-01-01,1,1,1,north,a\n",
    "a long time": lambda n: f"{COLUMNS}\na,2013-01-01T00:00{'0' * n},1,1,1,north,a\n",
    "a quote without an end": lambda n: f'{COLUMNS}\n"{"a" * n}',
    "a header without an end": lambda n: "a" * n,
    "rows of other lengths": lambda n: f"{COLUMNS}\n" + "a,b\n" * (n // 4),
}
LABELS: dict[str, Callable[[int], str]] = {
    "nothing but bad rows": lambda n: "key,label\n" + "k,x\n" * (n // 4),
    "two values": lambda n: "key,label\n" + "".join(f"k{i % 7},{i}\n" for i in range(n // 8)),
    "many columns": lambda n: ",".join(f"c{i}" for i in range(n // 7)) + "\n",
    "one column again and again": lambda n: ",".join("c" for _ in range(n // 2)) + "\n",
    "a number of many digits": lambda n: f"key,label\nk,{'9' * n}\n",
    "a long key": lambda n: f"key,label\n{'k' * n},x\n",
}


def check(file: Path) -> str:
    """What is told of a file of history."""
    try:
        return told(check_history(read_history_file(file, DECLARATION), DECLARATION, AS_OF))
    except DatasetError as error:
        return str(error)


def take(file: Path) -> str:
    """What is told of a file of labels."""
    try:
        return str(len(read_labels(file).labels))
    except RefusedDataError as error:
        return str(error)


def written(folder: Path, text: str) -> Path:
    """A file of its own: a large and a small one may be there together."""
    file = folder / f"rows-{len(text)}.csv"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.slow
@pytest.mark.parametrize("name", HISTORIES)
def test_a_file_of_history_costs_in_proportion(tmp_path: Path, name: str) -> None:
    assert_linear(lambda size: written(tmp_path, HISTORIES[name](size)), check, size=15_000)
    assert len(check(written(tmp_path, HISTORIES[name](50_000)))) < LONGEST_REFUSAL


@pytest.mark.slow
@pytest.mark.parametrize("name", LABELS)
def test_a_file_of_labels_costs_in_proportion(tmp_path: Path, name: str) -> None:
    assert_linear(lambda size: written(tmp_path, LABELS[name](size)), take, size=15_000)
    assert len(take(written(tmp_path, LABELS[name](50_000)))) < LONGEST_REFUSAL


@pytest.mark.slow
def test_parquet_may_call_its_columns_as_it_likes(tmp_path: Path) -> None:
    # GIVEN a Parquet file with thousands of columns, one of them with a name a terminal would obey
    table = pyarrow.table({**{f"c{i}": [1] for i in range(3000)}, "\x1b]0;gone\x07" + "x" * 10_000: [1]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    # WHEN it is refused; THEN in few words, which hold no more of the name than what it is
    text = check(tmp_path / "rows.parquet")
    assert len(text) < 2000
    assert "\x1b" not in text


@pytest.mark.slow
def test_a_small_file_that_unpacks_to_a_large_one_is_read_so_far_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 4 * 1024**2
    monkeypatch.setattr("everloop.dataset.table_file.MOST_UNPACKED", limit)
    file = tmp_path / "rows.csv.gz"
    file.write_bytes(gzip.compress(COLUMNS.encode() + bytes(16 * limit)))
    tracemalloc.start()
    text = check(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "unpacks to more than 4,194,304 bytes" in text
    assert peak < 4 * limit


def test_a_parquet_file_of_few_bytes_and_many_rows_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everloop.dataset.table_file.MOST_UNPACKED", 4 * 1024**2)
    row = dict(zip(COLUMNS.split(","), ("a", "2013-01-01", 1, 1.0, 1.0, "north", "a"), strict=True))
    file = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({name: [value] * 200_000 for name, value in row.items()}), file)
    assert file.stat().st_size < 200_000
    tracemalloc.start()
    text = check(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "bytes hold 200,000 rows, too many to have a key each" in text
    assert peak < 1024**2


PARQUETS: dict[str, Callable[[int], pyarrow.Table]] = {
    "many columns": lambda n: pyarrow.table({f"c{i}": [1] for i in range(n)}),
    "one column again and again": lambda n: pyarrow.table([pyarrow.array([1])] * n, names=["c"] * n),
    "a structure of many fields": lambda n: pyarrow.table({"x": pyarrow.array([{f"f{i}": 1 for i in range(n)}])}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PARQUETS)
def test_a_parquet_schema_costs_in_proportion(tmp_path: Path, name: str) -> None:
    def write(size: int) -> Path:
        file = tmp_path / f"rows-{size}.parquet"
        pyarrow.parquet.write_table(PARQUETS[name](size), file)
        return file

    assert_linear(write, check, size=1_000)


@pytest.mark.slow
def test_parquet_groups_cost_in_proportion(tmp_path: Path) -> None:
    def write(size: int) -> Path:
        file = tmp_path / f"rows-{size}.parquet"
        row = dict(zip(COLUMNS.split(",")[1:], ("2013-01-01", 1, 1.0, 1.0, "north", "a"), strict=True))
        table = {"train_id": [f"t{i}" for i in range(size)], **{name: [value] * size for name, value in row.items()}}
        pyarrow.parquet.write_table(pyarrow.table(table), file, row_group_size=1)
        return file

    assert_linear(write, check, size=300)


def test_nesting_in_parquet_is_refused_in_a_sentence(tmp_path: Path) -> None:
    kind: Any = pyarrow.int64()
    value: Any = 1
    for _ in range(200):
        kind, value = pyarrow.list_(kind), [value]
    pyarrow.parquet.write_table(pyarrow.table({"x": pyarrow.array([value], kind)}), tmp_path / "rows.parquet")
    assert len(check(tmp_path / "rows.parquet")) < 2000


def test_a_table_with_many_faults_is_told_in_few_words_and_keeps_them_all() -> None:
    table = pd.concat([history_table(3), pd.DataFrame({f"c{i}": [1, 1, 1] for i in range(2000)})], axis=1)
    with pytest.raises(ContractViolationError) as refused:
        check_snapshot(table, DECLARATION, AS_OF)
    assert len(refused.value.violations) > 2000
    assert len(str(refused.value)) < LONGEST_REFUSAL
