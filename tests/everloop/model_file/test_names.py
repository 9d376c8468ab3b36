"""Every name that a declaration may have works in every query and table; every other one is refused with the reason."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from everloop.dataset.frame_contract import check_history
from everloop.dataset.lake import parquet_bytes, to_lake_frame
from everloop.dataset.lake_listing import LakeListing
from everloop.dataset.snapshot_query import snapshot_query
from everloop.lake_tables import PREDICTIONS, RESERVED_COLUMNS
from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.names import NAME_PATTERN
from everloop.model_file.reader import parse_model_file
from everloop.model_file.schema import ModelDeclaration
from everloop.model_file.section_rules import CLOCK_WORDS
from everloop.monitoring.profile_queries import profile_queries
from everloop.monitoring.profile_query import unknown_labels_query, windows_at
from everloop.serving.request import RequestParser
from everloop.training.contract import build_contract
from everloop.training.onnx_export.inputs import ModelInputs
from localcloud.services.athena.statement import parse
from localcloud.services.firehose.convert import columns_schema, convert
from localcloud.services.firehose.destination import Conversion
from tests.helpers.declarations import as_yaml, binary_document, declare
from tests.helpers.requests import rows_in_body
from tests.helpers.rows import START, history_table
from tests.helpers.watched_lake import WatchedLake, WatchedRows, draw, reference_of

DAY = datetime(2013, 3, 4, tzinfo=UTC)

_WORDS = """
all and any array as between by case cast char column cross cube current_role current_user date_trunc
decimal delete desc describe distinct double drop else end escape except exists extract false filter
float for from full grant group grouping having hour if in index inner insert int intersect interval into
is join lambda lateral left like limit listagg map month natural not null of on or order outer over
partition pivot prepare primary qualify range recursive reduce right rollup row rows sample select set
similar skip struct table tablesample then timestamp to trim true truncate uescape union unnest unpivot
update user using values varchar when where window with within year rowid filename epoch positional
class def del global import none pass return self try while yield async print type object len sum
columns shape size mean count std name iloc loc at dtypes query eval attrs pop items keys
history captured arrived by_prediction by_key seen labelled repeated judged apart ranked contents
imported joined scored rated counted label_counts part bin outcomes beyond previous place n_own
total score unknown asked named_keys label_id superseded loss deviance v_z target features instances
predictions num cat feature a_ x1 z_9_
"""
"""Keywords of Trino, Hive and DuckDB, names of Python and pandas, and what our own queries call things."""

WORDS = _WORDS.split()
GROUPS = [WORDS[i : i + 24] for i in range(0, len(WORDS), 24)]


def declared(names: list[str]) -> ModelDeclaration:
    """Every other feature is a number, the others are categories; which begins, differs."""
    types = ("number", "category") if len(names[0]) % 2 else ("category", "number")
    features = [{"name": name, "type": types[i % 2], "missing": "allow"} for i, name in enumerate(names)]
    return declare(binary_document(data={"features": features}))


def rows_of(declaration: ModelDeclaration, rng: np.random.Generator, rows: int) -> WatchedRows:
    drawn = draw(rng, rows)
    numbers, categories = drawn.features["wind"], drawn.features["line"]
    drawn.features = {f.name: numbers if f.type == "number" else categories for f in declaration.data.features}
    return drawn


@pytest.mark.slow
@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_features_may_bear_any_word_in_every_query(names: list[str]) -> None:
    declaration = declared(names)
    lake = WatchedLake(declaration)
    lake.connection.execute('ALTER TABLE "late_train_history" ADD COLUMN "$path" VARCHAR')
    rng = np.random.default_rng(0)
    reference = reference_of([rows_of(declaration, rng, 20) for _ in range(10)], declaration)
    lake.live(rows_of(declaration, rng, 30), DAY)
    windows = windows_at(declaration, DAY + timedelta(days=1, hours=12))
    listing = LakeListing(date(2013, 1, 1), date(2013, 1, 1), ("a.parquet", "b.parquet"), "s3://lake/")
    snapshot = snapshot_query(declaration, DAY + timedelta(days=3), listing)
    profiles = profile_queries(declaration, reference, windows, version=1)
    # WHEN the queries run, as Athena's text and as the local Athena reads it
    for query in (snapshot, unknown_labels_query(declaration, windows), *profiles):
        found = lake.rows(query)
        assert len(lake.rows(parse(query, "everloop", lake.connection).sql(lake.connection))) == len(found)
    # THEN they find the rows, and every feature's bins
    rows = lake.rows(snapshot)
    assert len(rows) == 30
    assert set(names) < set(rows[0])
    parts = {row["part"] for query in profiles for row in lake.rows(query)}
    assert {f"feature {name}" for name in names} < parts


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_a_row_of_any_words_goes_the_whole_way(names: list[str]) -> None:
    declaration = declared(names)
    cells = {f.name: 1.5 if f.type == "number" else "a" for f in declaration.data.features}
    # from the file into the lake
    roles = history_table(3)[["train_id", "departure", "late"]]
    table = pd.concat([roles, pd.DataFrame([cells] * 3)], axis=1)
    accepted = check_history(table, declaration, START + timedelta(days=30)).accepted
    assert parquet_bytes(to_lake_frame(accepted, declaration))
    # from the request through the stream into the lake, under the columns that Glue has
    contract = build_contract(declaration, accepted, ModelInputs.of(declaration))
    body = json.dumps({"instances": [{"train_id": "t1", **cells}]}).encode()
    assert rows_in_body(RequestParser(contract), body).num.tolist() == [[1.5] * len(declaration.data.numbers)]
    columns = [{"Name": n, "Type": t} for n, t in PREDICTIONS.columns(declaration.data.features)]
    converted = convert([json.dumps(cells).encode()], columns_schema(columns), PLAIN)
    assert (converted.rows, converted.rejected) == (1, ())


PLAIN = Conversion("role", "everloop", "predictions", "snappy", True, {}, False)
"""As infra declares it."""


def mistakes(**data: Any) -> list[str]:
    document = binary_document(data=data)
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(document))
    return [f"{m.path}: {m.allowed}" for m in refused.value.mistakes]


@pytest.mark.parametrize("name", sorted(RESERVED_COLUMNS | CLOCK_WORDS))
def test_names_of_our_own_columns_and_of_the_clock_are_refused_with_all_of_them(name: str) -> None:
    (told,) = mistakes(features=[{"name": name, "type": "number"}])
    taken = RESERVED_COLUMNS if name in RESERVED_COLUMNS else CLOCK_WORDS
    assert all(word in told for word in taken)


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("Amount", "'amount'"),
        ("Invoice Amount", "'invoice_amount'"),
        ("Größe", "'grosse'"),
        ("_amount", "'amount'"),
        ("amount-eur", "'amount_eur'"),
        ("2nd_line", None),
        ("a", None),
        ("数量", None),
        ("x" * 32, "'" + "x" * 31 + "'"),
        ('a"; DROP TABLE x', "'a_drop_table_x'"),
    ],
)
def test_other_names_are_refused_with_the_closest(name: str, closest: str | None) -> None:
    (told,) = mistakes(features=[{"name": name, "type": "number"}])
    assert f"text matching {NAME_PATTERN}" in told
    assert closest is None or f"e.g. {closest}" in told


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"key": "time"}, "data.key: another name: in the lake, 'time' is the column of data.time"),
        ({"key": "label"}, "data.key: another name: in the lake, 'label' is the column of data.target"),
        ({"time": "key"}, "data.time: another name: in the lake, 'key' is the column of data.key"),
        ({"target": "time"}, "data.target: another name: in the lake, 'time' is the column of data.time"),
    ],
)
def test_a_role_does_not_bear_the_name_of_another(data: dict[str, str], says: str) -> None:
    assert says in mistakes(**data)


def test_a_role_may_bear_its_own_name_in_the_lake() -> None:
    declaration = declare(binary_document(data={"key": "key", "time": "time", "target": "label"}))
    table = history_table(3).rename(columns={"train_id": "key", "departure": "time", "late": "label"})
    accepted = check_history(table, declaration, START + timedelta(days=30)).accepted
    assert len(to_lake_frame(accepted, declaration)) == 3
