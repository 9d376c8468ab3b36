"""Which partitions a query needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from localcloud.services.athena.exceptions import QueryFailedError
from localcloud.services.athena.partitions import partitions_of
from localcloud.services.athena.statement import parse
from localcloud.services.glue.catalogue import CatalogueTable

NOW = datetime(2013, 1, 5, 12, tzinfo=UTC)
DATES = {
    "projection.enabled": "true",
    "projection.date.type": "date",
    "projection.date.range": "2013-01-01,NOW",
    "projection.date.format": "yyyy-MM-dd",
}


def table(keys: dict[str, str], parameters: dict[str, str], partitions: Any = ()) -> CatalogueTable:
    return CatalogueTable(
        database="d",
        name="t",
        columns=(),
        partition_keys=tuple({"Name": name, "Type": kind} for name, kind in keys.items()),
        location="s3://b/t/",
        parameters=parameters,
        serialization_library="",
        partitions=partitions,
        version="1",
    )


def wanted(found: CatalogueTable, where: str, source: str = "t") -> list[str]:
    with duckdb.connect(":memory:") as connection:
        (use,) = parse(f"SELECT 1 FROM {source} WHERE {where}", "d", connection).uses
    return [",".join(partition.values) for partition in partitions_of(found, use, NOW)]


@pytest.mark.parametrize(
    ("where", "days"),
    [
        ("date = '2013-01-02'", [2]),
        ("date BETWEEN '2013-01-02' AND '2013-01-03'", [2, 3]),
        ("date > '2013-01-03'", [4, 5]),
        ("'2013-01-02' >= date", [1, 2]),
        ("date IN ('2013-01-01', '2014-01-01')", [1]),
        ("date > '2013-01-02' AND (date < '2013-01-04' AND x = 1)", [3]),
        ("x.date = '2013-01-02'", [1, 2, 3, 4, 5]),
        ("NOT date = '2013-01-02'", [1, 2, 3, 4, 5]),
        ("date = other", [1, 2, 3, 4, 5]),
        ("date BETWEEN lower AND '2013-01-03'", [1, 2, 3, 4, 5]),
        ("date IN (SELECT '2013-01-01')", [1, 2, 3, 4, 5]),
        ("length(date) > 3", [1, 2, 3, 4, 5]),
    ],
)
def test_conditions_on_a_projected_date(where: str, days: list[int]) -> None:
    assert wanted(table({"date": "string"}, DATES), where) == [f"2013-01-0{day}" for day in days]


def test_an_alias_names_the_table() -> None:
    assert wanted(table({"date": "string"}, DATES), "p.date = '2013-01-02'", "d.t AS p") == ["2013-01-02"]


def test_several_keys_and_types() -> None:
    parameters = DATES | {
        "projection.model.type": "enum",
        "projection.model.values": "a, b",
        "projection.hour.type": "integer",
        "projection.hour.range": "0,23",
        "projection.hour.digits": "2",
    }
    found = table({"model": "string", "date": "string", "hour": "int"}, parameters)
    where = "model = 'b' AND date = '2013-01-01' AND hour BETWEEN 9 AND 10"
    assert wanted(found, where) == ["b,2013-01-01,09", "b,2013-01-01,10"]


def test_locations_follow_the_template_or_hives_names() -> None:
    with duckdb.connect(":memory:") as connection:
        (use,) = parse("SELECT 1 FROM t WHERE date = '2013-01-01'", "d", connection).uses
    template = {"storage.location.template": "s3://b/x/date=${date}/"}
    (by_template,) = partitions_of(table({"date": "string"}, DATES | template), use, NOW)
    (by_name,) = partitions_of(table({"date": "string"}, DATES), use, NOW)
    assert by_template.location == "s3://b/x/date=2013-01-01/"
    assert by_name.location == "s3://b/t/date=2013-01-01/"


def test_registered_partitions() -> None:
    found = table({"year": "int"}, {}, ((("2012",), "s3://b/12/"), (("2013",), "s3://b/13/")))
    assert wanted(found, "year > 2012") == ["2013"]


def test_a_table_without_keys_is_one_partition() -> None:
    assert wanted(table({}, {}), "1 = 1") == [""]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"projection.date.type": "injected"}, "'injected' is none of"),
        ({"projection.date.range": "yesterday,NOW"}, "does not have the format"),
        ({"projection.date.interval.unit": "MONTHS"}, "interval.unit"),
    ],
)
def test_projections_that_are_not_understood(change: dict[str, str], message: str) -> None:
    with pytest.raises(QueryFailedError, match=message):
        wanted(table({"date": "string"}, DATES | change), "1 = 1")
