"""Runs one query on Athena and reads its rows as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from everloop.monitoring.exceptions import QueryFailedError

FIRST_WAIT_SECONDS = 0.02
LONGEST_WAIT_SECONDS = 1.0
GROWTH = 1.1
"""Of the pause between two looks: a short query is seen soon after its end, a long one is not asked about often."""


@dataclass(frozen=True)
class AthenaQueries:
    """Queries of one database through one workgroup.

    Attributes
    ----------
    client
        A boto3 ``athena`` client.
    sleep : callable
        Waits for that many seconds; ``time.sleep`` in a function.
    output_location : str
        An S3 prefix for results.
    give_up_seconds : float
        How long a query may run before it is stopped.
    """

    client: Any
    sleep: Callable[[float], None]
    database: str
    workgroup: str
    output_location: str
    give_up_seconds: float = 480

    def rows(self, query: str) -> list[dict[str, str | None]]:
        """Run ``query``; its rows, each column's value as text, None where null.

        Raises
        ------
        QueryFailedError
            With Athena's own reason, or after ``give_up_seconds``.
        """
        started = self.client.start_query_execution(
            QueryString=query,
            QueryExecutionContext={"Database": self.database},
            WorkGroup=self.workgroup,
            ResultConfiguration={"OutputLocation": self.output_location},
        )
        execution = started["QueryExecutionId"]
        self._wait(execution)
        return list(self._read(execution))

    def _wait(self, execution: str) -> None:
        waited, pause = 0.0, FIRST_WAIT_SECONDS
        while True:
            status = self.client.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                return
            if status["State"] in ("FAILED", "CANCELLED"):
                reason = status.get("StateChangeReason", "Athena gives no reason")
                raise QueryFailedError(f"the query {execution} {status['State'].lower()}: {reason}")
            if waited >= self.give_up_seconds:
                self.client.stop_query_execution(QueryExecutionId=execution)
                raise QueryFailedError(f"the query {execution} did not end in {self.give_up_seconds:g} seconds")
            self.sleep(pause)
            waited, pause = waited + pause, min(pause * GROWTH, LONGEST_WAIT_SECONDS)

    def _read(self, execution: str) -> Iterator[dict[str, str | None]]:
        token: dict[str, str] = {}
        names: list[str] | None = None
        while True:
            page = self.client.get_query_results(QueryExecutionId=execution, MaxResults=1000, **token)
            for row in page["ResultSet"]["Rows"]:
                values = [cell.get("VarCharValue") for cell in row["Data"]]
                if names is None:  # the first row of the first page names the columns
                    names = [value or "" for value in values]
                    continue
                yield dict(zip(names, values, strict=True))
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}
