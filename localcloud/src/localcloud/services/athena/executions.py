"""Queries as Athena keeps them: from their submission to their results in S3."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from localcloud.core.context import CloudContext
from localcloud.iam.access import Access
from localcloud.iam.guard import DeniedError
from localcloud.services.athena.engine import Answer, QueryEngine
from localcloud.services.athena.exceptions import InvalidQueryError, QueryCancelledError, QueryFailedError
from localcloud.services.athena.results import column_info, csv, text_rows
from localcloud.services.athena.statement import Statement, Unload
from localcloud.services.s3.seam import NoSuchBucketError, ObjectStore

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 2.0
_ROWS_PER_PAGE = 1000


@dataclass
class QueryExecution:
    """One query. ``status`` is QUEUED, RUNNING, SUCCEEDED, FAILED or CANCELLED.

    What it says is parsed until it is over, and its answer is in the file ``result``: of the history of many days
    only what is asked for is read.
    """

    id: str
    query: str
    context: dict[str, str]
    workgroup: Any
    output_location: str
    submitted: datetime
    statement: Statement | None
    is_unload: bool
    status: str = "QUEUED"
    reason: str = ""
    completed: datetime | None = None
    statistics: dict[str, Any] = field(default_factory=dict)
    result: Path | None = None
    update_count: int | None = None
    token: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_over(self) -> bool:
        """Whether the query has ended, whichever way."""
        return self.status in ("SUCCEEDED", "FAILED", "CANCELLED")

    def describe(self) -> dict[str, Any]:
        """The ``QueryExecution`` of the API."""
        status: dict[str, Any] = {"State": self.status, "SubmissionDateTime": self.submitted.timestamp()}
        if self.reason:
            status["StateChangeReason"] = self.reason
            status["AthenaError"] = {"ErrorCategory": 2, "Retryable": False, "ErrorMessage": self.reason}
        if self.completed is not None:
            status["CompletionDateTime"] = self.completed.timestamp()
        return {
            "QueryExecutionId": self.id,
            "Query": self.query,
            "StatementType": "DML",
            "SubstatementType": "UNLOAD" if self.is_unload else "SELECT",
            "ResultConfiguration": {"OutputLocation": self.output_location},
            "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
            "QueryExecutionContext": self.context,
            "Status": status,
            "Statistics": self.statistics,
            "WorkGroup": self.workgroup.name,
            "EngineVersion": self.workgroup.configuration["EngineVersion"],
        }

    def results(self, token: str | None, limit: int | None) -> dict[str, Any]:
        """The ``ResultSet`` of the API, a page of it."""
        columns, rows = json.loads(self.result.read_text()) if self.result else ([], [])
        lines = rows if self.is_unload else [[column["Name"] for column in columns], *rows]
        first = int(token or 0)
        last = first + (limit or _ROWS_PER_PAGE)
        page = [
            {"Data": [{} if value is None else {"VarCharValue": value} for value in line]} for line in lines[first:last]
        ]
        answer: dict[str, Any] = {
            "ResultSet": {"Rows": page, "ResultSetMetadata": {"ColumnInfo": columns}},
            "UpdateCount": self.update_count or 0,
        }
        if last < len(lines):
            answer["NextToken"] = str(last)
        return answer

    def forget(self) -> None:
        """Delete the file of the answer; what is in S3 stays."""
        if self.result is not None:
            self.result.unlink(missing_ok=True)


class Executions:
    """Starts queries, and writes their results.

    Queries run one after another on a thread of their own, each with an activity token; starting one waits a
    moment for it, so that most are over when the caller first asks.
    """

    def __init__(self, context: CloudContext) -> None:
        self._context = context
        self._engine = QueryEngine(context, context.state_directory / "athena")
        self._results = context.state_directory / "athena-results"
        self._results.mkdir(parents=True, exist_ok=True)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="athena")

    def start(
        self, query: str, context: dict[str, str], workgroup: Any, location: str | None, access_key_id: str | None
    ) -> QueryExecution:
        """Start a query with the rights of whoever owns an access key.

        Raises
        ------
        InvalidQueryError
            When it can not even be started.
        """
        catalogue = context.get("Catalog", "AwsDataCatalog")
        if catalogue.lower() != "awsdatacatalog":
            raise InvalidQueryError(f"catalog {catalogue} does not exist")
        statement = self._engine.parse(query, context.get("Database"))
        identifier = str(uuid.uuid4())
        execution = QueryExecution(
            id=identifier,
            query=query,
            context=context,
            workgroup=workgroup,
            output_location=_output_location(workgroup, location, identifier, statement),
            submitted=self._context.clock.now(),
            statement=statement,
            is_unload=statement.unload is not None,
            statistics={"EngineExecutionTimeInMillis": 0, "DataScannedInBytes": 0},
        )
        access = Access(self._context, access_key_id)
        self._context.activity.enter("athena")
        future: Future[None] = self._executor.submit(self._run, execution, access, time.perf_counter())
        try:
            future.result(timeout=_PATIENCE_SECONDS)
        except TimeoutError:
            log.info("query %s takes longer", identifier)
        return execution

    def stop(self, execution: QueryExecution) -> None:
        """Cancel a query; what it does is thrown away."""
        with execution.lock:
            if not execution.is_over:
                self._end(execution, "CANCELLED", "Query cancelled by user")

    def _run(self, execution: QueryExecution, access: Access, submitted: float) -> None:
        started = time.perf_counter()
        try:
            with execution.lock:
                if execution.is_over:
                    return
                execution.status = "RUNNING"
                statement = execution.statement
                assert statement is not None
            store = ObjectStore(self._context, access)
            cutoff = execution.workgroup.configuration.get("BytesScannedCutoffPerQuery")
            if statement.unload is not None:
                _require_empty(statement.unload, store)
            with _folder_for_files(self._results, execution, statement) as folder:
                answer = self._engine.run(statement, access, cutoff, folder)
                with execution.lock:
                    if not execution.is_over:
                        self._write(execution, statement, answer, store, folder)
                        self._count(execution, answer, submitted, started)
                        self._end(execution, "SUCCEEDED", "")
        except QueryCancelledError as error:
            self._end(execution, "CANCELLED", str(error))
        except QueryFailedError as error:
            self._end(execution, "FAILED", str(error))
        except Exception as error:
            log.exception("query %s failed in the local Athena", execution.id)
            self._end(execution, "FAILED", f"GENERIC_INTERNAL_ERROR: {type(error).__name__}: {error}")
        finally:
            self._context.activity.leave("athena")

    def _end(self, execution: QueryExecution, status: str, reason: str) -> None:
        execution.completed = self._context.clock.now()
        execution.reason = reason
        execution.status = status
        execution.statement = None

    def _keep(self, execution: QueryExecution, columns: list[dict[str, Any]], rows: list[list[str | None]]) -> None:
        result = self._results / f"{execution.id}.json"
        result.write_text(json.dumps([columns, rows]))
        execution.result = result

    def _count(self, execution: QueryExecution, answer: Answer, submitted: float, started: float) -> None:
        ended = time.perf_counter()
        queued, total = (started - submitted) * 1000, (ended - submitted) * 1000
        planning, engine = answer.planning_seconds * 1000, (answer.planning_seconds + answer.execution_seconds) * 1000
        execution.statistics |= {
            "EngineExecutionTimeInMillis": round(engine),
            "DataScannedInBytes": answer.scanned_bytes,
            "TotalExecutionTimeInMillis": round(total),
            "QueryQueueTimeInMillis": round(queued),
            "QueryPlanningTimeInMillis": round(planning),
            "ServiceProcessingTimeInMillis": round(max(0.0, total - queued - engine)),
            "ResultReuseInformation": {"ReusedPreviousResult": False},
        }

    def _write(
        self, execution: QueryExecution, statement: Statement, answer: Answer, store: ObjectStore, folder: Path | None
    ) -> None:
        with _writing():
            if folder is None or statement.unload is None:
                self._write_csv(execution, answer, store)
            else:
                self._write_unload(execution, statement.unload, answer, store, folder)

    def _write_csv(self, execution: QueryExecution, answer: Answer, store: ObjectStore) -> None:
        assert answer.table is not None
        rows = text_rows(answer.table)
        bucket, key = _split(execution.output_location)
        store.require_location(bucket)
        store.put(bucket, key, csv(answer.table.column_names, rows))
        self._keep(execution, column_info(answer.table, answer.types), rows)

    def _write_unload(
        self, execution: QueryExecution, unload: Unload, answer: Answer, store: ObjectStore, folder: Path
    ) -> None:
        bucket, prefix = _split(unload.target)
        paths = []
        for file in sorted(folder.iterdir()):
            key = f"{prefix}{execution.id.replace('-', '_')}_{file.name}"
            store.put(bucket, key, file.read_bytes())
            paths.append(f"s3://{bucket}/{key}")
        manifest = f"{execution.output_location}-manifest.csv"
        manifest_bucket, manifest_key = _split(manifest)
        store.put(manifest_bucket, manifest_key, "".join(f"{path}\n" for path in paths).encode())
        execution.statistics["DataManifestLocation"] = manifest
        execution.update_count = answer.rows
        columns = [
            {
                "CatalogName": "hive",
                "SchemaName": "",
                "TableName": "",
                "Name": "rows",
                "Label": "rows",
                "Type": "bigint",
                "Precision": 19,
                "Scale": 0,
                "Nullable": "UNKNOWN",
                "CaseSensitive": False,
            }
        ]
        self._keep(execution, columns, [])


@contextmanager
def _writing() -> Iterator[None]:
    """Say what S3 refuses in Athena's words."""
    try:
        yield
    except DeniedError as error:
        raise QueryFailedError(f"PERMISSION_DENIED: Access denied when writing output: {error}") from error
    except NoSuchBucketError as error:
        raise QueryFailedError(f"Unable to verify/create output bucket: {error}") from error


def _require_empty(unload: Unload, store: ObjectStore) -> None:
    bucket, prefix = _split(unload.target)
    with _writing():
        store.require_location(bucket)
        if store.list(bucket, [prefix])[0]:
            raise QueryFailedError(
                f"HIVE_PATH_ALREADY_EXISTS: Target directory for table '{unload.target}' already exists"
            )


@contextmanager
def _folder_for_files(results: Path, execution: QueryExecution, statement: Statement) -> Iterator[Path | None]:
    """A folder for the files of an UNLOAD, as long as they are needed; None for other statements."""
    if statement.unload is None:
        yield None
        return
    folder = results / execution.id
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _output_location(workgroup: Any, asked: str | None, identifier: str, statement: Statement) -> str:
    configuration = workgroup.configuration
    own = (configuration.get("ResultConfiguration") or {}).get("OutputLocation")
    location = own if own and configuration["EnforceWorkGroupConfiguration"] else asked or own
    if not location:
        raise InvalidQueryError(
            "No output location provided. An output location is required either through the Workgroup result "
            "configuration setting or as an API input."
        )
    if not location.startswith("s3://"):
        raise InvalidQueryError(f"outputLocation is not a valid S3 path: {location}")
    separator = "" if location.endswith("/") else "/"
    return f"{location}{separator}{identifier}" + ("" if statement.unload else ".csv")


def _split(location: str) -> tuple[str, str]:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return bucket, key
