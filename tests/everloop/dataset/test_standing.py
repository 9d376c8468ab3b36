"""The standing set is the days before the first test part, and its rows are in no part that is learned from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from everloop.dataset.athena import AthenaQueries
from everloop.dataset.exceptions import SplitError
from everloop.dataset.frozen import Place
from everloop.dataset.snapshot import build_snapshot
from everloop.dataset.snapshot_facts import Snapshot
from everloop.dataset.snapshot_making import describe, parts_of
from everloop.dataset.standing import Period, Standing
from everloop.lake_tables import SUPERSEDED
from tests.fakes.athena import FakeAthena
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import lake_table

AS_OF = datetime(2013, 2, 1, tzinfo=UTC)
PLACE = Place("lake", "late_train", "train-1-one")
# 240 rows, one an hour from January 1 on; the test part is the newest two days.
DECLARATION = declare(binary_document(data={"split": {"test_days": 2}}))
BOUNDARY = datetime(2013, 1, 8, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def athena() -> Iterator[FakeAthena]:
    athena = FakeAthena(s3=None)
    athena.fill("frozen", lake_table(240).assign(**{SUPERSEDED: 0}, u=PLACE.attempt))
    yield athena
    athena.connection.close()


def made(athena: FakeAthena, standing: Standing | None) -> Snapshot:
    queries = AthenaQueries(athena, lambda _: None, "everloop", "everloop", "s3://lake/athena-results/")
    return describe(queries, DECLARATION, PLACE, query="SELECT 1", as_of=AS_OF, standing=standing)


def keys(athena: FakeAthena, snapshot: Snapshot) -> dict[str, set[Any]]:
    parts = parts_of(DECLARATION, PLACE, snapshot.boundary, snapshot.standing, chosen=True)
    del parts["test_features"]
    return {name: set(athena.connection.execute(query).df()["key"]) for name, query in parts.items()}


@pytest.mark.slow
def test_the_first_training_puts_the_days_before_its_test_part_aside(athena: FakeAthena) -> None:
    found = made(athena, Standing(3))
    assert found.standing == Period(BOUNDARY - timedelta(days=3), BOUNDARY)
    assert found.rows == {"train": 120, "test": 48, "standing": 72, "unlabelled": 0, "superseded": 0}
    # THEN each row is in one part
    parts = keys(athena, found)
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 120, "test": 48, "standing": 72}
    assert len(set.union(*parts.values())) == 240
    # AND the set is another one than without
    assert made(athena, None).snapshot_hash != found.snapshot_hash == made(athena, Standing(3)).snapshot_hash
    assert found.to_document()["standing"] == {"after": "2013-01-05T23:00:00Z", "until": "2013-01-08T23:00:00Z"}
    assert "standing" not in made(athena, None).to_document()


@pytest.mark.slow
def test_a_later_one_leaves_the_same_days_out(athena: FakeAthena) -> None:
    chosen = Period(datetime(2013, 1, 3, tzinfo=UTC), datetime(2013, 1, 4, tzinfo=UTC))
    found = made(athena, Standing(3, chosen))
    assert (found.standing, found.rows["train"], found.rows["standing"]) == (chosen, 168, 24)
    # AND a set whose days have left the training window, or that the test part reaches into, leaves no row in both
    assert made(athena, Standing(3, Period(chosen.after - timedelta(99), chosen.after - timedelta(90)))).rows == {
        "train": 192,
        "test": 48,
        "standing": 0,
        "unlabelled": 0,
        "superseded": 0,
    }
    over = made(athena, Standing(3, Period(BOUNDARY - timedelta(days=1), BOUNDARY + timedelta(days=1))))
    assert (over.rows["train"], over.rows["test"], over.rows["standing"]) == (168, 48, 24)
    assert not keys(athena, over)["standing"] & keys(athena, over)["test"]


@pytest.mark.parametrize(
    "standing",
    [
        Standing(3),
        Standing(3, Period(datetime(2013, 1, 3, tzinfo=UTC), datetime(2013, 1, 4, tzinfo=UTC))),
        Standing(3, Period(BOUNDARY - timedelta(days=1), BOUNDARY + timedelta(days=1))),
        Standing(3, Period(BOUNDARY - timedelta(99), BOUNDARY - timedelta(90))),
    ],
)
def test_pandas_takes_the_same_rows_apart(athena: FakeAthena, standing: Standing) -> None:
    table = build_snapshot(lake_table(240), DECLARATION, query="SELECT 1", as_of=AS_OF, standing=standing)
    found = made(athena, standing)
    assert (table.snapshot.snapshot_hash, table.snapshot.rows, table.snapshot.standing) == (
        found.snapshot_hash,
        found.rows,
        found.standing,
    )
    assert table.standing is not None
    ours = {"train": table.train, "test": table.test, "standing": table.standing}
    assert {name: set(rows["key"]) for name, rows in ours.items()} == keys(athena, found)


@pytest.mark.parametrize("days", [30, 1])
def test_pandas_refuses_the_same(days: int) -> None:
    rows = lake_table(240)
    if days == 1:
        rows = rows[(rows["time"] < "2013-01-07") | (rows["time"] > "2013-01-09")]
    told = "all are of the standing set" if days == 30 else "no labelled row is of the 1 day before the test part"
    with pytest.raises(SplitError, match=told):
        build_snapshot(rows, DECLARATION, query="SELECT 1", as_of=AS_OF, standing=Standing(days))


def test_days_that_leave_nothing_to_learn_from_or_hold_no_row_are_refused(athena: FakeAthena) -> None:
    with pytest.raises(SplitError, match=r"192 labelled rows before the test part, and all are of the standing set"):
        made(athena, Standing(30))
    athena.connection.execute("BEGIN")
    try:
        athena.connection.execute("DELETE FROM late_train_frozen WHERE time BETWEEN '2013-01-07' AND '2013-01-09'")
        with pytest.raises(SplitError, match=r"no labelled row is of the 1 day before the test part"):
            made(athena, Standing(1))
    finally:
        athena.connection.execute("ROLLBACK")


def test_a_period_is_read_as_it_was_written() -> None:
    period = Period(datetime(2013, 1, 3, tzinfo=UTC), datetime(2013, 1, 4, 0, 0, 0, 1000, tzinfo=UTC))
    assert Period.parse(str(period)) == period
    assert Period.parse("none") is None
    with pytest.raises(ValueError, match="two instants with a slash"):
        Period.parse("2013")
    assert period.holds(period.until, period.until)
    assert not period.holds(period.after, period.until)
