"""Athena on one DuckDB: SELECT and UNLOAD over the tables of ``late_train``, with the objects in S3.

The dialect is that of the local cloud, whose macros give DuckDB Trino's meaning; what Athena would refuse is that
cloud's matter.
"""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from localcloud.services.athena.results import text
from tests.helpers.watched_lake import own_database

FEATURES = "distance DOUBLE, wind DOUBLE, line VARCHAR, operator VARCHAR"
TABLES = {
    "history": f'key VARCHAR, time TIMESTAMP, label DOUBLE, {FEATURES}, "$path" VARCHAR',
    "predictions": f"prediction_id VARCHAR, request_id VARCHAR, version INTEGER, time TIMESTAMP, key VARCHAR,"
    f" prediction DOUBLE, probability DOUBLE, latency_ms DOUBLE, raw_score DOUBLE,"
    f" calibration_sha256 VARCHAR, prediction_low DOUBLE, prediction_high DOUBLE,"
    f" capture_share DOUBLE, {FEATURES}, date VARCHAR",
    "labels": "label_id VARCHAR, prediction_id VARCHAR, key VARCHAR, label DOUBLE, time TIMESTAMP, date VARCHAR",
    "frozen": f"key VARCHAR, time TIMESTAMP, label DOUBLE, s BIGINT, {FEATURES}, u VARCHAR",
}
FILES = 3
"""Of an UNLOAD."""

_UNLOAD = re.compile(r"UNLOAD \((?P<select>.*)\) TO 's3://(?P<bucket>[^/]+)/(?P<prefix>[^']+)' WITH \(.*\)", re.DOTALL)
_FROZEN = re.compile(r"unloaded/late_train/(?P<attempt>[^/]+)/rows/")


@dataclass
class FakeAthena:
    """Stands for a boto3 ``athena`` client.

    Attributes
    ----------
    queries : list of str
        What it was asked, in order.
    failing : dict
        By what a query contains, the ``AthenaError`` with which it fails from now on.
    """

    s3: Any
    connection: duckdb.DuckDBPyConnection = field(default_factory=own_database)
    queries: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    failing: dict[str, dict[str, Any]] = field(default_factory=dict)
    executions: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, list[list[str | None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET integer_division = true")
        for name, columns in TABLES.items():
            self.connection.execute(f"CREATE TABLE late_train_{name} ({columns})")

    def fill(self, table: str, frame: Any) -> None:
        """Put rows into a table; columns that ``frame`` lacks are null."""
        self.connection.register("given", frame)
        self.connection.execute(f"INSERT INTO late_train_{table} BY NAME SELECT * FROM given")

    def empty(self, table: str) -> None:
        """Take all rows out of a table."""
        self.connection.execute(f"DELETE FROM late_train_{table}")

    @property
    def unloads(self) -> list[str]:
        """The targets of the UNLOADs so far."""
        return [f"s3://{m['bucket']}/{m['prefix']}" for m in map(_UNLOAD.fullmatch, self.queries) if m]

    def start_query_execution(self, *, QueryString: str, **_: Any) -> dict[str, str]:
        identifier = str(uuid.uuid4())
        self.queries.append(QueryString)
        execution: dict[str, Any] = {"Status": {"State": "SUCCEEDED"}, "Statistics": {"DataScannedInBytes": 100}}
        self.executions[identifier] = execution
        error = next((error for part, error in self.failing.items() if part in QueryString), None)
        if error is not None:
            execution["Status"] = {"State": "FAILED", "StateChangeReason": "made to fail", "AthenaError": error}
        elif unload := _UNLOAD.fullmatch(QueryString):
            execution["Statistics"]["DataManifestLocation"] = self._unload(identifier, unload)
        else:
            self._select(identifier, QueryString)
        return {"QueryExecutionId": identifier}

    def get_query_execution(self, *, QueryExecutionId: str) -> dict[str, Any]:
        return {"QueryExecution": self.executions[QueryExecutionId]}

    def get_query_results(self, *, QueryExecutionId: str, **_: Any) -> dict[str, Any]:
        lines = self.answers[QueryExecutionId]
        rows = [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in line]} for line in lines]
        return {"ResultSet": {"Rows": rows}}

    def stop_query_execution(self, *, QueryExecutionId: str) -> None:
        self.stopped.append(QueryExecutionId)

    def _select(self, identifier: str, sql: str) -> None:
        found = self.connection.execute(sql)
        names: list[str | None] = [column[0] for column in found.description]
        self.answers[identifier] = [names, *([text(cell) for cell in row] for row in found.fetchall())]

    def _unload(self, identifier: str, unload: re.Match[str]) -> str:
        table = self.connection.sql(unload["select"]).to_arrow_table()
        paths = [self._put(unload, part) for part in _split(table) if part.num_rows]
        if frozen := _FROZEN.fullmatch(unload["prefix"]):
            self.connection.register("unloaded", table)
            self.connection.execute(
                f"INSERT INTO late_train_frozen BY NAME SELECT *, '{frozen['attempt']}' AS u FROM unloaded"
            )
        key = f"athena-results/{identifier}-manifest.csv"
        self.s3.put_object(Bucket=unload["bucket"], Key=key, Body="".join(f"{path}\n" for path in paths).encode())
        return f"s3://{unload['bucket']}/{key}"

    def _put(self, unload: re.Match[str], part: pa.Table) -> str:
        buffer = io.BytesIO()
        pq.write_table(part, buffer, use_deprecated_int96_timestamps=True)
        key = f"{unload['prefix']}{uuid.uuid4()}"
        self.s3.put_object(Bucket=unload["bucket"], Key=key, Body=buffer.getvalue())
        return f"s3://{unload['bucket']}/{key}"


def _split(table: pa.Table) -> Iterator[pa.Table]:
    share = -(-table.num_rows // FILES)
    return (table.slice(index * share, share) for index in range(FILES))
