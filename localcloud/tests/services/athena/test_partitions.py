"""Which partitions a query needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.services.athena import partitions
from localcloud.services.athena.exceptions import QueryFailedError
from localcloud.services.athena.partitions import partitions_of
from localcloud.services.athena.statement import parse
from localcloud.services.firehose.seam import format_java
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
    with duckdb.cursor() as connection:
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


CONDITIONS = st.one_of(
    st.tuples(st.just("date"), st.sampled_from(["=", "<", "<=", ">", ">="]), st.integers(-40, 140)),
    st.tuples(st.integers(-40, 140), st.sampled_from(["=", "<", "<=", ">", ">="]), st.just("date")),
    st.tuples(st.just("date"), st.just("BETWEEN"), st.tuples(st.integers(-40, 140), st.integers(-40, 140))),
)


@given(
    conditions=st.lists(CONDITIONS, max_size=3),
    java_and_python=st.sampled_from(
        [("yyyy-MM-dd", "%Y-%m-%d"), ("yyyy/MM", "%Y/%m"), ("dd.MM.yyyy", "%d.%m.%Y"), ("yyyy/MM/dd", "%Y/%m/%d")]
    ),
    interval=st.integers(1, 3),
)
@settings(deadline=None, max_examples=40)
def test_conditions_leave_the_dates_of_which_they_hold(
    conditions: list[tuple[Any, str, Any]], java_and_python: tuple[str, str], interval: int
) -> None:
    """Whatever order their texts have."""
    pattern, directives = java_and_python
    first, last = datetime(2012, 11, 20), datetime(2013, 2, 20)

    def shown(side: Any) -> str:
        if isinstance(side, tuple):
            return " AND ".join(map(shown, side))
        return side if isinstance(side, str) else f"'{first + timedelta(days=side):{directives}}'"

    options = {
        "projection.date.format": pattern,
        "projection.date.range": f"{first:{directives}},{last:{directives}}",
        "projection.date.interval": str(interval),
    }
    found = table({"date": "string"}, {**DATES, **options})
    where = " AND ".join(" ".join((shown(left), op, shown(right))) for left, op, right in conditions) or "true"
    rows = "SELECT date, place FROM (SELECT unnest(?::VARCHAR[]) AS date, unnest(range(?)) AS place)"
    days = list(wanted(found, "true"))
    with duckdb.cursor() as connection:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE days AS {rows}", [days, len(days)])
        left = connection.execute(f"SELECT date FROM days WHERE {where} ORDER BY place").fetchall()
    assert wanted(found, where) == [date for (date,) in left]


def test_a_query_of_a_few_days_does_not_write_out_decades(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def counted(pattern: str, at: datetime) -> str:
        written.append(at)
        return format_java(pattern, at)

    monkeypatch.setattr(partitions, "format_java", counted)
    options = {"projection.date.range": "1913-01-01,NOW"}
    where = "date >= '2013-01-02' AND date < '2013-01-04'"
    assert wanted(table({"date": "string"}, {**DATES, **options}), where) == ["2013-01-02", "2013-01-03"]
    assert len(written) < 1_000


def test_an_alias_names_the_table() -> None:
    assert wanted(table({"date": "string"}, DATES), "p.date = '2013-01-02'", "d.t AS p") == ["2013-01-02"]


INJECTED = {
    "projection.enabled": "true",
    "projection.u.type": "injected",
    "storage.location.template": "s3://b/t/${u}/rows/",
}


@pytest.mark.parametrize(
    ("where", "values"),
    [
        ("u = 'one-1'", ["one-1"]),
        ("'one-1' = u AND x > 1", ["one-1"]),
        ("u IN ('a', 'b')", ["a", "b"]),
        ("u IN ('a', 'b') AND u = 'b'", ["b"]),
        ("u = 'a' AND u = 'b'", []),
    ],
)
def test_an_injected_key_has_the_values_that_the_query_names(where: str, values: list[str]) -> None:
    assert wanted(table({"u": "string"}, INJECTED), where) == values


def test_an_injected_key_stands_in_the_location() -> None:
    found = table({"u": "string"}, INJECTED)
    with duckdb.connect(":memory:") as connection:
        (use,) = parse("SELECT 1 FROM t WHERE u = 'a'", "d", connection).uses
    assert [partition.location for partition in partitions_of(found, use, NOW)] == ["s3://b/t/a/rows/"]


@pytest.mark.parametrize("where", ["x = 1", "u > 'a'", "u = x", "u LIKE 'a%'", "u IN (SELECT 'a')", "NOT u = 'a'"])
def test_an_injected_key_has_to_be_named(where: str) -> None:
    with pytest.raises(QueryFailedError, match="CONSTRAINT_VIOLATION: For the injected projected partition column u"):
        wanted(table({"u": "string"}, INJECTED), where)


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
        ({"projection.date.type": "list"}, "'list' is none of"),
        ({"projection.date.range": "yesterday,NOW"}, "does not have the format"),
        ({"projection.date.interval.unit": "MONTHS"}, "interval.unit"),
    ],
)
def test_projections_that_are_not_understood(change: dict[str, str], message: str) -> None:
    with pytest.raises(QueryFailedError, match=message):
        wanted(table({"date": "string"}, DATES | change), "1 = 1")
