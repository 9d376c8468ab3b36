"""Every word that some engine or library reserves is a name or a value like any, through every query; all at once."""

from __future__ import annotations

import builtins
import keyword
import re
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from everloop.dataset.frame_contract import check_history
from everloop.dataset.lake import to_lake_frame
from everloop.dataset.lake_listing import LakeListing
from everloop.dataset.snapshot_query import snapshot_query
from everloop.lake_tables import RESERVED_COLUMNS
from everloop.model_file.names import NAME_PATTERN
from everloop.model_file.schema import ModelDeclaration
from everloop.model_file.section_rules import CLOCK_WORDS
from everloop.monitoring.profile_queries import profile_queries
from everloop.monitoring.profile_query import unknown_labels_query, windows_at
from localcloud.services.athena.statement import parse
from tests.everloop.model_file.test_names import DAY, WORDS
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import START, history_table
from tests.helpers.watched_lake import WatchedLake, WatchedRows, draw, reference_of

TYPES_AND_STATEMENTS = """
auto_increment autoincrement bigdecimal bignum bignumeric bitstring blob bpchar byte bytea clob current_catalog
current_schema datemultirange daterange datetime decfloat decimal128 decimal256 decimal32 decimal64 file fixed float4
float8 geography geometry hugeint hyperloglog inet int1 int128 int16 int2 int256 int32 int4 int4multirange int4range
int64 int8 int8multirange int8range ipaddress ipprefix jsonb keep kill logical long longblob longtext longvarchar
match_recognize mediumblob mediumint mediumtext minus namespace nullable number nummultirange numrange nvarchar
nvarchar2 optimize overwrite partitioned_by regexp rlike serdeproperties session_user settings short signed
straight_join string tdigest time_ns timestamp_ltz timestamp_ms timestamp_ns timestamp_ntz timestamp_s timestamp_us
timestampltz timestampntz timestamptz timetz tinyblob tinyint tinytext tsmultirange tsrange tstzmultirange tstzrange
ubigint uhugeint uint uint128 uint256 uinteger uncache unload usmallint utinyint uuid varbinary varchar2 variant vector
xor
"""
"""What sqlglot's tokenizers of Trino, Athena, Presto, Hive, Spark and DuckDB know beyond DuckDB's own list."""


def reserved_words() -> list[str]:
    """In lower case, as far as they have the form of a name and are not refused."""
    rows = duckdb.connect().execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
    words = {row[0] for row in rows}.union(WORDS, TYPES_AND_STATEMENTS.split(), keyword.kwlist, keyword.softkwlist)
    words.update(dir(builtins), dir(pd.DataFrame), dir(pd.Series))
    named = {word.lower() for word in words if re.fullmatch(NAME_PATTERN, word.lower())}
    return sorted(named - RESERVED_COLUMNS - CLOCK_WORDS)


ALL = reserved_words()
QUARTERS = [ALL[0::4], ALL[1::4], ALL[2::4], ALL[3::4]]
"""As many as the record of a training set has room for."""

VALUES = [*ALL, *RESERVED_COLUMNS, *CLOCK_WORDS]
HOSTILE = ["o'er", '"', "''", "--", "/*", ";", "\\", "%", "_", "?", "$1", ":x", "{}", "NULL", "NaN", "None", "N/A", "Ä"]


def wide(features: list[dict[str, Any]]) -> ModelDeclaration:
    return declare(binary_document(data={"features": features}, serving={"max_rows": 1}))


def counted(row: dict[str, Any]) -> str:
    """A row without the sums of a profile, whose last digits hang on the order of their terms."""
    return repr([row["part"], row["bin"], row["n"]] if "v_zz" in row else sorted(row.items()))


def answers(declaration: ModelDeclaration, rows: WatchedRows) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The snapshot's rows, and how many rows each feature's bins hold; Athena and the local Athena agree on both."""
    lake = WatchedLake(declaration)
    lake.connection.execute(f'ALTER TABLE "{declaration.model}_history" ADD COLUMN "$path" VARCHAR')
    reference = reference_of([rows] * 10, declaration)
    lake.live(rows, DAY)
    windows = windows_at(declaration, DAY + timedelta(days=1, hours=12))
    listing = LakeListing(date(2013, 1, 1), date(2013, 1, 1), ("a.parquet", "b.parquet"), "s3://lake/")
    snapshot = snapshot_query(declaration, DAY + timedelta(days=3), listing)

    def ask(query: str) -> list[dict[str, Any]]:
        locally = parse(query, "everloop", lake.connection).sql(lake.connection)
        found = lake.rows(query)
        assert sorted(counted(row) for row in lake.rows(locally)) == sorted(counted(row) for row in found)
        return found

    ask(unknown_labels_query(declaration, windows))
    binned: dict[str, int] = {}
    for query in profile_queries(declaration, reference, windows, version=1):
        for row in ask(query):
            binned[row["part"]] = binned.get(row["part"], 0) + int(row["n"])
    return ask(snapshot), binned


@pytest.mark.slow
@pytest.mark.parametrize("names", QUARTERS, ids=["0", "1", "2", "3"])
def test_a_column_of_any_reserved_word_holds_what_was_captured(names: list[str]) -> None:
    types = ("number", "category")
    declaration = wide([{"name": n, "type": types[i % 2], "missing": "allow"} for i, n in enumerate(names)])
    # GIVEN that each column has values of its own
    rows = draw(np.random.default_rng(0), 6)
    rows.features = {
        f.name: np.arange(6.0) + 10 * i if f.type == "number" else [f"{f.name}{i}" for i in range(6)]
        for i, f in enumerate(declaration.data.features)
    }
    # WHEN the snapshot and the profile are taken
    snapshot, binned = answers(declaration, rows)
    # THEN no word was read as anything else than its column
    for name in names:
        assert {row[name] for row in snapshot} == {str(value) for value in rows.features[name]}
    assert {name: binned.get(f"feature {name}") for name in names} == dict.fromkeys(names, 6)


@pytest.mark.slow
def test_a_category_of_any_reserved_word_is_counted() -> None:
    values = [*VALUES, *HOSTILE]
    groups = [values[i : i + 12] for i in range(0, len(values), 12)]
    declaration = wide([{"name": f"f{i}", "type": "category", "values": group} for i, group in enumerate(groups)])
    rows = draw(np.random.default_rng(0), 12)
    rows.features = {f"f{i}": (group * 12)[:12] for i, group in enumerate(groups)}
    snapshot, binned = answers(declaration, rows)
    for name, given in rows.features.items():
        assert sorted(row[name] for row in snapshot) == sorted(given)
        assert binned[f"feature {name}"] == 12


@pytest.mark.slow
def test_roles_may_bear_any_reserved_word() -> None:
    table = history_table(3)
    words = [word for word in ALL if word not in table]
    third = len(words) // 3
    # one word of three: a role's column is renamed before anything else is done with it
    for key, time, target in zip(words[:third:3], words[third : 2 * third : 3], words[2 * third :: 3], strict=False):
        declaration = declare(binary_document(data={"key": key, "time": time, "target": target}))
        renamed = table.rename(columns={"train_id": key, "departure": time, "late": target})
        accepted = check_history(renamed, declaration, START + timedelta(days=30)).accepted
        assert to_lake_frame(accepted, declaration)["key"].tolist() == table["train_id"].tolist()
