"""Runs queries on Athena, and reads their answers as text: a few rows each, however many were counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from everloop.dataset.exceptions import QueryFailedError, QueryInterruptedError

FIRST_WAIT_SECONDS = 0.02
LONGEST_WAIT_SECONDS = 1.0
GROWTH = 1.1
"""Of the pause between two looks: a short query is seen soon after its end, a long one is not asked about often."""


@dataclass(frozen=True)
class Unloaded:
    """What an UNLOAD left.

    Attributes
    ----------
    manifest_uri : str
        The object in which Athena lists the files that the query wrote, a line each.
    scanned_bytes : int
        What it is billed for.
    """

    manifest_uri: str
    scanned_bytes: int


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
        QueryInterruptedError
            When Athena says that the same query may pass.
        """
        return self.all_rows([query])[0]

    def all_rows(self, queries: Sequence[str]) -> list[list[dict[str, str | None]]]:
        """The rows of each query; they run at the same time. Raises as :meth:`rows`."""
        started = [self._start(query) for query in queries]
        for execution in started:
            self._wait(execution, started)
        return [list(self._read(execution)) for execution in started]

    def unload(self, selects: Sequence[tuple[str, str]]) -> list[Unloaded]:
        """Leave the rows of queries as Parquet files below S3 prefixes, at the same time.

        Parameters
        ----------
        selects : sequence of (query, S3 prefix)
            Athena refuses a prefix below which something stands already.

        Raises
        ------
        QueryFailedError, QueryInterruptedError
            As :meth:`rows`. What was written by then stays where it is.
        """
        started = [self._start(unload_statement(query, uri)) for query, uri in selects]
        return [_unloaded(execution, self._wait(execution, started)) for execution in started]

    def _start(self, query: str) -> str:
        started = self.client.start_query_execution(
            QueryString=query,
            QueryExecutionContext={"Database": self.database},
            WorkGroup=self.workgroup,
            ResultConfiguration={"OutputLocation": self.output_location},
        )
        return str(started["QueryExecutionId"])

    def _wait(self, execution: str, beside: Sequence[str]) -> dict[str, Any]:
        """The execution once it has succeeded. Where it has not, those beside it are stopped: nobody waits for them."""
        waited, pause = 0.0, FIRST_WAIT_SECONDS
        while True:
            found: dict[str, Any] = self.client.get_query_execution(QueryExecutionId=execution)["QueryExecution"]
            status = found["Status"]
            if status["State"] == "SUCCEEDED":
                return found
            if status["State"] in ("FAILED", "CANCELLED"):
                self._stop(other for other in beside if other != execution)
                reason = status.get("StateChangeReason", "Athena gives no reason")
                told = f"the query {execution} {status['State'].lower()}: {reason}"
                if status.get("AthenaError", {}).get("Retryable"):
                    raise QueryInterruptedError(f"{told}; the same query may pass")
                raise QueryFailedError(told)
            if waited >= self.give_up_seconds:
                self._stop(beside)
                raise QueryFailedError(f"the query {execution} did not end within {self.give_up_seconds:g} seconds")
            self.sleep(pause)
            waited, pause = waited + pause, min(pause * GROWTH, LONGEST_WAIT_SECONDS)

    def _stop(self, executions: Iterator[str] | Sequence[str]) -> None:
        for execution in executions:
            self.client.stop_query_execution(QueryExecutionId=execution)

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


def unload_statement(query: str, uri: str) -> str:
    """The statement that leaves the rows of ``query`` below ``uri``; snappy is the one codec every reader here has."""
    return f"UNLOAD (\n{query}\n) TO '{uri}' WITH (format = 'PARQUET', compression = 'SNAPPY')"


def _unloaded(execution: str, found: dict[str, Any]) -> Unloaded:
    statistics = found.get("Statistics", {})
    place = statistics.get("DataManifestLocation")
    if not place:
        raise QueryFailedError(f"the query {execution} succeeded, and Athena does not say which files it wrote")
    return Unloaded(str(place), int(statistics.get("DataScannedInBytes", 0)))
