"""Runs invocations: picks the version, lends a worker, writes the log, counts the metrics."""

from __future__ import annotations

import importlib.util
import itertools
import logging
import math
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from localcloud.core.activity import Activity
from localcloud.services.lambda_.runtime.exceptions import RequestTooLargeError, TooManyRequestsError
from localcloud.services.lambda_.runtime.functions import FunctionVersion, Resolved
from localcloud.services.lambda_.runtime.layers import LayerInstaller
from localcloud.services.lambda_.runtime.pool import WorkerPools
from localcloud.services.lambda_.runtime.prepared import PreparedWorkers
from localcloud.services.lambda_.runtime.processor import share_of
from localcloud.services.lambda_.runtime.store import FunctionStore
from localcloud.services.lambda_.runtime.worker import Outcome, Worker, WorkerSpec

log = logging.getLogger(__name__)

MAX_SYNC_PAYLOAD_BYTES = 6_291_456
_LOG_TAIL_BYTES = 4096


@dataclass(frozen=True)
class InvocationResult:
    """The answer to an invocation.

    Attributes
    ----------
    executed_version : str
    payload : bytes
        What the function returned, or its error document.
    function_error : str or None
        ``Unhandled`` when the function failed.
    log_tail : bytes
        The last 4 KB of its log.
    """

    request_id: str
    executed_version: str
    payload: bytes
    function_error: str | None
    log_tail: bytes


@dataclass(frozen=True)
class InvocationRecord:
    """What the metrics of an invocation are made of; ``duration_ms`` contains ``extensions_ms``, after the answer."""

    function_name: str
    qualifier: str | None
    version: str
    at: datetime
    duration_ms: float
    error: bool
    throttled: bool = False
    extensions_ms: float | None = None


@dataclass(frozen=True)
class _Invocation:
    """An event on its way."""

    resolved: Resolved
    worker: Worker
    request_id: str
    began_at: datetime
    first_use: bool


class InvocationSink(Protocol):
    """Takes logs and metrics of invocations."""

    def write_log(self, group: str, stream: str, lines: list[str], at: datetime) -> None:
        """Keep lines of a function's log."""

    def count(self, record: InvocationRecord) -> None:
        """Count an invocation."""


class Invoker:
    """Invokes functions of one store.

    Parameters
    ----------
    credentials : callable
        Role ARN and session name → ``aws_access_key_id``, ``aws_secret_access_key``, ``aws_session_token``.
    client : str
        Which runtime client the workers use: ``awslambdaric`` or ``python``.
    prepared : PreparedWorkers, optional
        What workers start from; they start plainly without.
    concurrency : int
        Invocations of all functions that run at once.
    """

    def __init__(
        self,
        *,
        store: FunctionStore,
        pools: WorkerPools,
        installer: LayerInstaller,
        activity: Activity,
        now: Callable[[], datetime],
        sink: InvocationSink,
        credentials: Callable[[str, str], dict[str, str]],
        endpoint: str,
        region: str,
        temporary_directory: Path,
        client: str,
        prepared: PreparedWorkers | None = None,
        concurrency: int = 1_000,
    ) -> None:
        self._concurrency = concurrency
        self._store = store
        self._pools = pools
        self._installer = installer
        self._activity = activity
        self._now = now
        self._sink = sink
        self._credentials = credentials
        self._endpoint = endpoint
        self._region = region
        self._temporary = temporary_directory
        self._client = client
        self._prepared = prepared or PreparedWorkers()
        self._serial = itertools.count(1)
        self._running: Counter[str] = Counter()
        self._running_lock = threading.Lock()
        store.on_latest_changed = lambda version: pools.retire(version.revision_id)

    def invoke(
        self,
        name: str,
        qualifier: str | None,
        event: bytes,
        *,
        request_id: str | None = None,
        client_context: str | None = None,
    ) -> InvocationResult:
        """Invoke and wait for the answer.

        Raises
        ------
        ResourceNotFoundError, RequestTooLargeError, TooManyRequestsError
        """
        if len(event) > MAX_SYNC_PAYLOAD_BYTES:
            raise RequestTooLargeError(
                f"{len(event)} byte payload is too large for the RequestResponse invocation type "
                f"(limit {MAX_SYNC_PAYLOAD_BYTES} bytes)"
            )
        resolved = self._store.resolve(name, qualifier)
        return self.run(resolved, event, request_id or str(uuid.uuid4()), client_context)

    def run(
        self, resolved: Resolved, event: bytes, request_id: str, client_context: str | None = None
    ) -> InvocationResult:
        """Run one event on the version that was resolved.

        Returns with the answer. Where the function has extensions, its worker stays busy until they have done, and so
        does what counts as activity and as concurrency.
        """
        version = resolved.version
        with self._activity.busy(f"lambda {version.name}"):
            self._count_in(resolved)
            try:
                return self._run(resolved, event, request_id, client_context)
            finally:
                self._count_out(version)

    def _run(self, resolved: Resolved, event: bytes, request_id: str, client_context: str | None) -> InvocationResult:
        version = resolved.version
        key = version.revision_id
        worker = self._pools.borrow(key, lambda: self._start(version))
        began_at = self._now()
        first_use = worker.init_ms is None
        headers = {
            "Lambda-Runtime-Invoked-Function-Arn": resolved.invoked_arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(began_at.timestamp()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
        }
        if client_context:
            headers["Lambda-Runtime-Client-Context"] = client_context
        invocation = _Invocation(resolved, worker, request_id, began_at, first_use)
        outcome = None
        try:
            outcome = worker.run(request_id, headers, event or b"{}", float(version.timeout))
        finally:
            if outcome is None:
                self._pools.give_back(key, worker, usable=False)
        if outcome.worker_is_usable and worker.works_on:
            self._finish_later(invocation, outcome)
            lines = outcome.output
        else:
            self._pools.give_back(key, worker, usable=outcome.worker_is_usable)
            lines = self._report(invocation, outcome)
        tail = "\n".join(lines).encode()[-_LOG_TAIL_BYTES:]
        error = "Unhandled" if outcome.error else None
        return InvocationResult(request_id, version.version, outcome.payload, error, tail)

    def _finish_later(self, invocation: _Invocation, answered: Outcome) -> None:
        """Wait for the extensions in a thread: the caller has its answer."""
        version = invocation.resolved.version
        label = f"lambda {version.name}"
        self._activity.enter(label)
        with self._running_lock:
            self._running[version.name] += 1

        def finish() -> None:
            outcome = None
            try:
                outcome = invocation.worker.finish(invocation.request_id, answered)
                self._report(invocation, outcome, after=outcome.duration_ms - answered.duration_ms)
            finally:
                usable = outcome is not None and outcome.worker_is_usable
                self._pools.give_back(version.revision_id, invocation.worker, usable=usable)
                self._count_out(version)
                self._activity.leave(label)

        threading.Thread(target=finish, name=f"{label} extensions", daemon=True).start()

    def _report(self, invocation: _Invocation, outcome: Outcome, after: float | None = None) -> list[str]:
        """Write the log of an event and count it; what was written."""
        version, worker = invocation.resolved.version, invocation.worker
        lines = _log_lines(version, invocation.request_id, outcome, worker.init_ms if invocation.first_use else None)
        self._sink.write_log(version.log_group, worker.log_stream, lines, invocation.began_at)
        self._sink.count(
            InvocationRecord(
                version.name,
                invocation.resolved.qualifier,
                version.version,
                invocation.began_at,
                outcome.duration_ms,
                outcome.error,
                extensions_ms=after,
            )
        )
        return lines

    def _count_out(self, version: FunctionVersion) -> None:
        with self._running_lock:
            self._running[version.name] -= 1

    def _count_in(self, resolved: Resolved) -> None:
        name, limit = resolved.version.name, resolved.reserved_concurrency
        with self._running_lock:
            if (limit is None or self._running[name] < limit) and self._running.total() < self._concurrency:
                self._running[name] += 1
                return
        self._sink.count(
            InvocationRecord(
                name, resolved.qualifier, resolved.version.version, self._now(), 0.0, error=False, throttled=True
            )
        )
        raise TooManyRequestsError("Rate Exceeded.")

    def _start(self, version: FunctionVersion) -> Worker:
        stream = f"{self._now():%Y/%m/%d}/[{version.version}]{uuid.uuid4().hex}"
        path, libraries = self._import_path(version), [Path(layer.directory) / "lib" for layer in version.layers]
        environment = self._environment(version, stream, path, libraries)
        spec = WorkerSpec(
            environment=environment,
            task_directory=Path(version.code.directory),
            temporary_directory=self._temporary / f"{version.name}-{next(self._serial)}",
            memory_mb=version.memory_size,
            client=self._client,
            preloading=self._prepared.of(path, libraries, environment),
            processor_share=share_of(version.memory_size) if self._pools.limits.shares_processor else None,
        )
        return Worker(spec)

    def _import_path(self, version: FunctionVersion) -> list[Path]:
        """Where a function's packages are, after its own code: its layers, and at the end the runtime's."""
        layers = [
            path
            for layer in reversed(version.layers)
            for path in self._installer.python_paths(Path(layer.directory), version.runtime)
        ]
        return [*layers, self._installer.install_runtime(with_client=self._client == "awslambdaric")]

    def _environment(
        self, version: FunctionVersion, stream: str, path: list[Path], libraries: list[Path]
    ) -> dict[str, str]:
        task = Path(version.code.directory)
        credentials = self._credentials(version.role, version.name)
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "PYTHONIOENCODING": "utf-8",
            "PYTHONUTF8": "1",
            "TZ": ":UTC",
            **version.environment,
            "PYTHONPATH": ":".join(str(folder) for folder in (task, *path)),
            "LD_LIBRARY_PATH": ":".join(str(folder) for folder in (task, task / "lib", *libraries)),
            "LAMBDA_TASK_ROOT": str(task),
            "LAMBDA_RUNTIME_DIR": str(path[-1]),
            "_HANDLER": version.handler,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": version.name,
            "AWS_LAMBDA_FUNCTION_VERSION": version.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_size),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": version.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "AWS_LAMBDA_LOG_FORMAT": version.log_format,
            **({"AWS_LAMBDA_LOG_LEVEL": version.application_log_level} if version.application_log_level else {}),
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
            "AWS_SESSION_TOKEN": credentials["aws_session_token"],
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def available_client() -> str:
    """``awslambdaric`` where its compiled part is installed, otherwise ``python``."""
    return "awslambdaric" if importlib.util.find_spec("runtime_client") else "python"


def _log_lines(version: FunctionVersion, request_id: str, outcome: Outcome, init_ms: float | None) -> list[str]:
    duration = outcome.duration_ms
    billed = math.ceil(duration + (init_ms or 0.0))  # both are billed
    report = (
        f"REPORT RequestId: {request_id}\tDuration: {duration:.2f} ms\tBilled Duration: {billed} ms\t"
        f"Memory Size: {version.memory_size} MB\tMax Memory Used: {outcome.max_memory_mb} MB"
    )
    if init_ms is not None:
        report += f"\tInit Duration: {init_ms:.2f} ms"
    lines = [f"START RequestId: {request_id} Version: {version.version}", *outcome.output]
    if outcome.platform_line:
        lines.append(outcome.platform_line)
    return [*lines, f"END RequestId: {request_id}", report]
