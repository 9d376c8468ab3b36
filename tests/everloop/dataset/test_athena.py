from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import awswrangler
import pandas as pd
import pytest

from everloop.dataset.athena import AthenaReader
from everloop.dataset.exceptions import ContractViolationError
from everloop.dataset.frame_contract import check_snapshot
from everloop.dataset.lake import lake_columns
from tests.helpers.declarations import binary_document, declare

DECLARATION = declare(binary_document())
AS_OF = datetime(2013, 2, 1, tzinfo=UTC)


def read(monkeypatch: pytest.MonkeyPatch, answer: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    asked: dict[str, Any] = {}

    def read_sql_query(sql: str, **options: Any) -> pd.DataFrame:
        asked.update(options, sql=sql)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(awswrangler.athena, "read_sql_query", read_sql_query)
    reader = AthenaReader(session=None, database="everloop", workgroup="everloop")
    return reader.read("SELECT 1", "s3://lake/out/", lake_columns(DECLARATION)), asked


def test_rows_are_unloaded_to_the_given_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pd.DataFrame({"key": ["a"]})
    found, asked = read(monkeypatch, rows)
    assert found is rows
    assert (asked["ctas_approach"], asked["unload_approach"]) == (False, True)
    assert (asked["s3_output"], asked["workgroup"]) == ("s3://lake/out/", "everloop")


@pytest.mark.parametrize("name", ["EmptyDataFrame", "NoFilesFound"])
def test_a_result_without_rows_is_an_empty_table_of_the_columns(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    found, _ = read(monkeypatch, getattr(awswrangler.exceptions, name)("nothing there"))
    assert list(found.columns) == lake_columns(DECLARATION)
    with pytest.raises(ContractViolationError, match="0 labelled rows"):
        check_snapshot(found, DECLARATION, AS_OF)


def test_a_failed_query_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(awswrangler.exceptions.QueryFailed):
        read(monkeypatch, awswrangler.exceptions.QueryFailed("no such table"))
