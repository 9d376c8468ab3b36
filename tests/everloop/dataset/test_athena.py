from __future__ import annotations

from typing import Any

import pytest

from everloop.dataset.athena import AthenaQueries
from everloop.dataset.exceptions import QueryFailedError


class FakeAthena:
    """Answers a query after some looks at it, a page of rows at a time."""

    def __init__(
        self,
        pages: list[list[list[str | None]]],
        *,
        looks: int = 0,
        state: str = "SUCCEEDED",
        reason: str = "no such column",
    ) -> None:
        self.pages, self.looks, self.state, self.reason = pages, looks, state, reason
        self.started: list[dict[str, Any]] = []
        self.stopped: list[str] = []

    def start_query_execution(self, **arguments: Any) -> dict[str, Any]:
        self.started.append(arguments)
        return {"QueryExecutionId": "q1"}

    def get_query_execution(self, QueryExecutionId: str) -> dict[str, Any]:
        self.looks -= 1
        if self.looks >= 0:
            return {"QueryExecution": {"Status": {"State": "RUNNING"}}}
        return {"QueryExecution": {"Status": {"State": self.state, "StateChangeReason": self.reason}}}

    def get_query_results(self, QueryExecutionId: str, MaxResults: int, NextToken: str = "0") -> dict[str, Any]:
        place = int(NextToken)
        rows = [{"Data": [{} if v is None else {"VarCharValue": v} for v in row]} for row in self.pages[place]]
        following = {"NextToken": str(place + 1)} if place + 1 < len(self.pages) else {}
        return {"ResultSet": {"Rows": rows}, **following}

    def stop_query_execution(self, QueryExecutionId: str) -> None:
        self.stopped.append(QueryExecutionId)


def queries(client: FakeAthena, sleeps: list[float], **changes: Any) -> AthenaQueries:
    given = {"database": "everloop", "workgroup": "everloop", "output_location": "s3://lake/athena-results/"}
    return AthenaQueries(client=client, sleep=sleeps.append, **{**given, **changes})


def test_rows_of_all_pages_by_column_with_null_as_none() -> None:
    client = FakeAthena([[["part", "n"], ["a", "1"]], [["b", None]]])
    assert queries(client, []).rows("SELECT 1") == [{"part": "a", "n": "1"}, {"part": "b", "n": None}]
    assert client.started[0]["QueryExecutionContext"] == {"Database": "everloop"}
    assert client.started[0]["WorkGroup"] == "everloop"


def test_waits_are_short_at_first_and_grow() -> None:
    sleeps: list[float] = []
    queries(FakeAthena([[["n"]]], looks=60), sleeps).rows("SELECT 1")
    assert sleeps[0] == 0.02
    assert sleeps == sorted(sleeps)
    assert sleeps[-1] == 1.0


def test_failure_says_athenas_reason() -> None:
    with pytest.raises(QueryFailedError, match="q1 failed: no such column"):
        queries(FakeAthena([], state="FAILED"), []).rows("SELECT x")


def test_query_that_does_not_end_is_stopped() -> None:
    client = FakeAthena([], looks=10_000)
    with pytest.raises(QueryFailedError, match="did not end within 5 seconds"):
        queries(client, [], give_up_seconds=5).rows("SELECT 1")
    assert client.stopped == ["q1"]
