"""What a file's end is read to say is what pyarrow says of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.dataset.parquet_footer import TAIL_BYTES, Footer, FooterError, read_footer

KINDS: dict[str, tuple[pa.DataType, str | None]] = {
    "float64": (pa.float64(), "number"),
    "float32": (pa.float32(), "number"),
    "int64": (pa.int64(), "number"),
    "int8": (pa.int8(), "number"),
    "uint32": (pa.uint32(), "number"),
    "string": (pa.string(), "category"),
    "large_string": (pa.large_string(), "category"),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), "category"),
    "bool": (pa.bool_(), None),
    "date": (pa.date32(), None),
    "timestamp": (pa.timestamp("ms"), None),
    "decimal": (pa.decimal128(9, 2), None),
    "binary": (pa.binary(), None),
    "list": (pa.list_(pa.float64()), None),
    "struct": (pa.struct([("a", pa.float64()), ("b", pa.struct([("c", pa.string())]))]), None),
}


def written(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def tail_of(content: bytes) -> Callable[[int], bytes]:
    return lambda count: content[-count:]


def test_each_type_is_told_as_what_a_lake_takes_it_for() -> None:
    table = pa.table({name: pa.nulls(3, kind) for name, (kind, _) in KINDS.items()})
    found = read_footer(tail_of(written(table.replace_schema_metadata({"everloop.key": "Flug-Nr. ✈"}))))
    assert found.rows == 3
    assert found.kinds == {name: what for name, (_, what) in KINDS.items() if what is not None}
    assert found.metadata["everloop.key"] == "Flug-Nr. ✈"


def test_old_writers_and_times_of_96_bits_are_read() -> None:
    table = pa.table({"n": [1.0], "t": pa.array([0], pa.timestamp("ns")), "c": ["a"]})
    content = written(table, version="1.0", use_deprecated_int96_timestamps=True, compression="gzip")
    assert read_footer(tail_of(content)).kinds == {"n": "number", "c": "category"}


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=300), min_size=1, max_size=40, unique=True
    ),
    rows=st.integers(0, 50),
    group=st.integers(1, 20),
)
def test_any_columns_and_groups_of_rows(names: list[str], rows: int, group: int) -> None:
    columns = {name: pa.array([float(i)] * rows if i % 2 else ["x"] * rows) for i, name in enumerate(names)}
    columns = {n: c if rows else pa.nulls(0, pa.float64()) for n, c in columns.items()}
    found = read_footer(tail_of(written(pa.table(columns), row_group_size=group)))
    assert list(found.kinds) == names
    assert found.rows == rows


@pytest.mark.slow
def test_a_long_footer_takes_a_second_read() -> None:
    table = pa.table({f"a_column_with_a_long_name_{i:06}": [1.0] for i in range(2000)})
    content, asked = written(table), []

    def tail(count: int) -> bytes:
        asked.append(count)
        return content[-count:]

    assert len(read_footer(tail).kinds) == 2000
    assert asked == [TAIL_BYTES, asked[-1]]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100, b"\x00" * 8 + b"\xff\xff\xff\x7fPAR1"])
def test_what_is_no_parquet_file_is_refused(content: bytes) -> None:
    with pytest.raises(FooterError, match="no Parquet file"):
        read_footer(tail_of(content))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.integers(0, 400))
def test_a_damaged_footer_is_refused_or_read_and_never_hangs(place: int, byte: int, cut: int) -> None:
    content = bytearray(WHOLE)
    length = int.from_bytes(content[-8:-4], "little")
    content[-9 - place % length] = byte
    del content[len(content) - 8 - length : len(content) - 8 - length + cut % length]
    try:
        found = read_footer(tail_of(bytes(content)))
    except FooterError:
        return
    assert isinstance(found, Footer)


WHOLE = written(pa.table({name: pa.nulls(3, kind) for name, (kind, _) in KINDS.items()}))
