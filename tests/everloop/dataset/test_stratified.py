"""A stratified test part has as many rows of each class as are declared, and stays the newest rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from everloop.dataset.athena import AthenaQueries
from everloop.dataset.exceptions import SplitError
from everloop.dataset.frozen import Place
from everloop.dataset.snapshot import SnapshotParts, build_snapshot
from everloop.dataset.snapshot_facts import Snapshot
from everloop.dataset.snapshot_making import describe
from everloop.lake_tables import SUPERSEDED
from everloop.model_file.schema import ModelDeclaration
from tests.fakes.athena import FakeAthena
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import lake_table

AS_OF = datetime(2013, 2, 1, tzinfo=UTC)
PLACE = Place("lake", "late_train", "train-1-one")


def rows(every: int) -> pd.DataFrame:
    """20 days, a row an hour, of which one in ``every`` is a one."""
    return lake_table(480, label=[float(i % every == 0) for i in range(480)])


def declaration(wanted: int = 10, most: int = 12) -> ModelDeclaration:
    split = {"strategy": "stratified", "test_days": 2, "rows_of_each_class": wanted, "most_test_days": most}
    return declare(binary_document(data={"split": split, "minimum_rows": 100}))


def in_pandas(table: pd.DataFrame, **asked: Any) -> SnapshotParts:
    return build_snapshot(table, declaration(**asked), query="SELECT 1", as_of=AS_OF)


def in_queries(table: pd.DataFrame, **asked: Any) -> Snapshot:
    athena = FakeAthena(s3=None)
    athena.fill("frozen", table.assign(**{SUPERSEDED: 0}, u=PLACE.attempt))
    queries = AthenaQueries(athena, lambda _: None, "everloop", "everloop", "s3://lake/athena-results/")
    try:
        return describe(queries, declaration(**asked), PLACE, query="SELECT 1", as_of=AS_OF)
    finally:
        athena.connection.close()


@pytest.mark.slow
@pytest.mark.parametrize(("every", "days"), [(3, 2), (10, 5), (24, 10)])
def test_the_test_part_has_as_many_days_as_the_rarest_class_needs(every: int, days: int) -> None:
    found = in_pandas(rows(every))
    assert found.snapshot.rows["test"] == 24 * days
    assert found.test["label"].sum() >= 10
    assert found.train["time"].max() < found.test["time"].min()
    # AND one day less would be too few, or fewer than are declared
    fewer = found.test[-24 * (days - 1) :]
    assert days == 2 or fewer["label"].sum() < 10
    told = in_queries(rows(every))
    assert (told.snapshot_hash, told.boundary, told.rows) == (
        found.snapshot.snapshot_hash,
        found.snapshot.boundary,
        found.snapshot.rows,
    )


@pytest.mark.parametrize(
    ("every", "asked", "told"),
    [
        (24, {"most": 9}, "class 1 with 10 rows since 2013-01-11T00:00:00"),
        (100, {}, "class 1 with fewer than 10 labelled rows"),
        (3, {"wanted": 400}, "classes 0, 1 with fewer than 400"),
    ],
)
def test_a_class_that_is_too_rare_is_named(every: int, asked: dict[str, Any], told: str) -> None:
    for make in (in_pandas, in_queries):
        with pytest.raises(SplitError) as refused:
            make(rows(every), **asked)
        assert told in str(refused.value)
        assert "data.split.most_test_days" in str(refused.value)
