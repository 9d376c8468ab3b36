"""One worker process: the execution environment of one function version."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from localcloud.core.preloaded.preloading import Preloading
from localcloud.core.preloaded.started import NotStartedError, StartedProgram
from localcloud.core.processes import HAS_PROC, resident_mb
from localcloud.services.lambda_.runtime.api import RuntimeApi, RuntimeApiTimeoutError, RuntimeCall, WorkerGoneError
from localcloud.services.lambda_.runtime.exceptions import WorkerStartError
from localcloud.services.lambda_.runtime.extensions import ExtensionFailedError
from localcloud.services.lambda_.runtime.prepared import FLAGS
from localcloud.services.lambda_.runtime.processor import ProcessorShare

log = logging.getLogger(__name__)

INIT_SECONDS = 10.0
"""How long AWS lets a function initialise before it starts again inside the invocation."""

MAX_RESPONSE_BYTES = 6_291_556
ASKS_WITHIN_SECONDS = 5.0
"""How long a runtime may take to ask for its next event before it is frozen."""

_SECONDS_BETWEEN_PS = 1.0
TOKEN_VARIABLE = "_RUNTIME_API_TOKEN"
"""Where our own runtime client finds what its calls must carry."""
_CLIENT = Path(__file__).with_name("client.py")


@dataclass(frozen=True)
class WorkerSpec:
    """How to start a worker.

    Attributes
    ----------
    environment : dict
        All that the process sees, except what only the worker knows (the Runtime API's address, /tmp).
    task_directory, temporary_directory : Path
    memory_mb : int
        The limit on resident memory.
    client : str
        ``awslambdaric`` or ``python`` (our own client).
    preloading : Preloading, optional
        What the process starts from where it can.
    processor_share : float, optional
        Processors that it has from its first event on; all of the machine's where there is none.
    """

    environment: dict[str, str]
    task_directory: Path
    temporary_directory: Path
    memory_mb: int
    client: str = "awslambdaric"
    preloading: Preloading | None = None
    processor_share: float | None = None

    @property
    def program(self) -> Sequence[str]:
        """What follows ``python`` and its options."""
        if self.client == "awslambdaric":
            return ["-m", "awslambdaric", self.environment["_HANDLER"]]
        return [str(_CLIENT)]


@dataclass(frozen=True)
class Outcome:
    """What became of one event.

    Attributes
    ----------
    payload : bytes
        The result, or Lambda's error document.
    error : bool
        Whether the payload is an error.
    output : list of str
        Lines written by the function, in order.
    worker_is_usable : bool
        False when the process ended or was killed.
    """

    payload: bytes
    error: bool
    output: list[str]
    duration_ms: float
    max_memory_mb: int
    worker_is_usable: bool
    platform_line: str | None = None


class _OutOfMemoryError(MemoryError):
    pass


class Worker:
    """A process that answers one event at a time.

    Attributes
    ----------
    unused_since : datetime or None
        The local clock's time when it was last given back; None before.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._pending = bytearray()
        self._waiting: RuntimeCall | None = None
        self.started = time.monotonic()
        self.last_used = self.started
        self.unused_since: datetime | None = None
        self.init_ms: float | None = None
        self.max_memory_mb = 0
        self._began = self._deadline = self.started
        self._killed = False
        self._frozen = False
        self._memory = 0
        self._memory_due = 0.0
        token = secrets.token_urlsafe(24) if spec.client == "python" else None
        self._api = RuntimeApi(token, _told_to_extensions(spec.environment))
        spec.temporary_directory.mkdir(parents=True, exist_ok=True)
        environment = dict(spec.environment)
        environment["AWS_LAMBDA_RUNTIME_API"] = self._api.address
        if token is not None:
            environment[TOKEN_VARIABLE] = token
        environment["TMPDIR"] = str(spec.temporary_directory)
        self._output, written = os.pipe()
        try:
            self._process = _begin(spec, environment, written)
        except OSError as error:
            self._api.close()
            os.close(self._output)
            raise WorkerStartError(f"{sys.executable} could not be started: {error}") from error
        finally:
            os.close(written)
        share = spec.processor_share
        self._share = ProcessorShare(self._process.pid, share) if share is not None else None
        os.set_blocking(self._output, False)
        self._api.watch(self._output, self._read_output)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def log_stream(self) -> str:
        """The stream of CloudWatch Logs that this worker writes to."""
        return self._spec.environment["AWS_LAMBDA_LOG_STREAM_NAME"]

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def run(self, request_id: str, headers: dict[str, str], event: bytes, timeout: float) -> Outcome:
        """Let the function answer one event.

        Parameters
        ----------
        request_id : str
        headers : dict
            The headers of the ``next`` answer besides the request id and the deadline.
        event : bytes
            JSON.
        timeout : float
            Seconds, real time, from when the function gets the event.
        """
        self._thaw()
        began = time.monotonic()
        try:
            failed = self._initialise(timeout)
            if failed is not None:
                return self._finish(request_id, began, failed, error=True)
            if self._share is not None:
                self._share.begin()
            began = time.monotonic()
            self._began, self._deadline = began, began + timeout
            deadline_ms = int((time.time() + timeout) * 1000)
            assert self._waiting is not None
            self._api.answer_next(
                self._waiting,
                {
                    "Lambda-Runtime-Aws-Request-Id": request_id,
                    "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
                    **headers,
                },
                event,
            )
            self._waiting = None
            self._api.begin_invocation(
                {
                    "deadlineMs": deadline_ms,
                    "requestId": request_id,
                    "invokedFunctionArn": headers.get("Lambda-Runtime-Invoked-Function-Arn", ""),
                    "tracing": {"type": "X-Amzn-Trace-Id", "value": headers.get("Lambda-Runtime-Trace-Id", "")},
                }
            )
            return self._collect(request_id, began, began + timeout)
        except RuntimeApiTimeoutError:
            return self._stop(request_id, began, "Sandbox.Timedout", f"Task timed out after {timeout:.2f} seconds")
        except _OutOfMemoryError:
            message = "Runtime exited with error: signal: killed"
            return self._stop(request_id, began, "Runtime.OutOfMemory", message)
        except WorkerGoneError:
            return self._stop(request_id, began, "Runtime.ExitError", self._exit_reason())
        except ExtensionFailedError as error:
            return self._stop(request_id, began, error.kind, str(error))

    @property
    def works_on(self) -> bool:
        """Whether extensions may have work left when an event is answered: :meth:`finish` waits for them."""
        return self._api.extensions.want_invocations

    def finish(self, request_id: str, answered: Outcome) -> Outcome:
        """Wait until the extensions have done with an event that is answered; within the event's own time limit.

        Returns
        -------
        Outcome
            The payload is that of ``answered``. An error means that the worker was ended before they had done: its
            caller has been answered all the same.
        """
        try:
            self._wait_for_both(self._deadline)
            done = self._finish(request_id, self._began, answered.payload, error=answered.error)
        except RuntimeApiTimeoutError:
            message = f"Task timed out after {self._deadline - self._began:.2f} seconds"
            done = self._stop(request_id, self._began, "Sandbox.Timedout", message)
        except _OutOfMemoryError:
            message = "Runtime exited with error: signal: killed"
            done = self._stop(request_id, self._began, "Runtime.OutOfMemory", message)
        except WorkerGoneError:
            done = self._stop(request_id, self._began, "Runtime.ExitError", self._exit_reason())
        except ExtensionFailedError as error:
            done = self._stop(request_id, self._began, error.kind, str(error))
        return replace(done, payload=answered.payload, output=[*answered.output, *done.output])

    def _wait_for_both(self, deadline: float) -> None:
        """Until the runtime and all extensions have asked for what is next."""
        while self._waiting is None or not self._api.extensions.are_ready:
            call = (
                self._api.wait(deadline, self._check)
                if self._waiting is None
                else self._api.wait_for_extensions(deadline, self._check)
            )
            if call is None:
                return
            if call.kind == "next" and self._waiting is None:
                self._waiting = call
            else:
                self._api.answer(call, 403)

    def freeze(self) -> bool:
        """Stop the process and all that it started until its next event, once its runtime has asked for that.

        False where it can't be used again: it has ended, or does not ask.
        """
        try:
            if self._waiting is None:
                call = self._api.wait(time.monotonic() + ASKS_WITHIN_SECONDS, self._check)
                if call.kind != "next":
                    self._api.answer(call, 403)
                    return False
                self._waiting = call
            self._end_share()
            os.killpg(self._process.pid, signal.SIGSTOP)
        except (RuntimeApiTimeoutError, WorkerGoneError, _OutOfMemoryError, ExtensionFailedError, ProcessLookupError):
            return False
        self._frozen = True
        return True

    def _thaw(self) -> None:
        if self._frozen:
            self._frozen = False
            with contextlib.suppress(ProcessLookupError):  # it has ended, which is found when it is asked
                os.killpg(self._process.pid, signal.SIGCONT)

    def _end_share(self) -> None:
        if self._share is not None:
            self._share.end()

    def kill(self) -> None:
        """End the process and all that it started."""
        if self._killed:
            return
        self._killed = True
        self._end_share()
        self.interrupt()
        self._process.wait()
        self._read_output()
        self._api.close()
        os.close(self._output)
        shutil.rmtree(self._spec.temporary_directory, ignore_errors=True)

    def interrupt(self) -> None:
        """End the process while another thread waits for it; that thread cleans up."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def memory_mb(self) -> int:
        """Resident memory in MB, read a moment ago at most; 0 when the process is gone."""
        now = time.monotonic()
        if now >= self._memory_due:
            self._memory = resident_mb(self._process.pid)
            self._memory_due = now + (0.0 if HAS_PROC else _SECONDS_BETWEEN_PS)
        return self._memory

    def _initialise(self, timeout: float) -> bytes | None:
        """Wait until the runtime asks for an event; the error document when it reports that it can not."""
        if self._waiting is not None:
            return None
        limit = time.monotonic() + (timeout if self.init_ms is not None else INIT_SECONDS + timeout)
        call = self._api.wait(limit, self._check)
        if call.kind == "init_error":
            self._api.answer(call, 202)
            return call.body
        if call.kind != "next":
            self._api.answer(call, 403)
            raise WorkerGoneError(f"the runtime called {call.kind} before it asked for an event")
        self._waiting = call
        self._wait_for_both(limit)
        if self.init_ms is None:
            self.init_ms = (time.monotonic() - self.started) * 1000
        return None

    def _collect(self, request_id: str, began: float, deadline: float) -> Outcome:
        while True:
            call = self._api.wait(deadline, self._check)
            if call.kind not in ("response", "error") or call.request_id != request_id:
                self._api.answer(call, 403)
                continue
            too_large = len(call.body) > MAX_RESPONSE_BYTES
            self._api.answer(call, 202)
            if too_large:
                payload = error_document(
                    "Function.ResponseSizeTooLarge",
                    f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes).",
                )
                return self._finish(request_id, began, payload, error=True)
            return self._finish(request_id, began, call.body, error=call.kind == "error")

    def _finish(self, request_id: str, began: float, payload: bytes, *, error: bool) -> Outcome:
        duration = (time.monotonic() - began) * 1000
        self._read_output()
        memory = self.memory_mb()
        self.max_memory_mb = max(self.max_memory_mb, memory)
        if memory > self._spec.memory_mb:
            message = "Runtime exited with error: signal: killed"
            return self._stop(request_id, began, "Runtime.OutOfMemory", message)
        self.last_used = time.monotonic()
        usable = self.init_ms is not None
        return Outcome(payload, error, self._lines(), duration, self.max_memory_mb, usable)

    def _stop(self, request_id: str, began: float, kind: str, message: str) -> Outcome:
        duration = (time.monotonic() - began) * 1000
        self.max_memory_mb = max(self.max_memory_mb, self.memory_mb())
        self.kill()
        text = f"RequestId: {request_id} Error: {message}"
        line = f"{request_id} {message}" if kind == "Sandbox.Timedout" else f"{text}\n{kind}"
        payload = error_document(kind, text)
        return Outcome(payload, True, self._lines(), duration, self.max_memory_mb, False, line)

    def _check(self) -> None:
        if not self.is_alive:
            raise WorkerGoneError("the process ended")
        memory = self.memory_mb()
        self.max_memory_mb = max(self.max_memory_mb, memory)
        if memory > self._spec.memory_mb:
            raise _OutOfMemoryError

    def _exit_reason(self) -> str:
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "Runtime exited with error: connection closed"
        if code == 0:
            return "Runtime exited without providing a reason"
        if code < 0:
            return f"Runtime exited with error: signal: {signal.strsignal(-code)}".lower().replace("runtime", "Runtime")
        return f"Runtime exited with error: exit status {code}"

    def _read_output(self) -> None:
        while True:
            try:
                data = os.read(self._output, 65536)
            except BlockingIOError:
                return
            except (OSError, ValueError):
                return
            if not data:
                self._api.unwatch()
                return
            self._pending += data

    def _lines(self) -> list[str]:
        text, self._pending = self._pending.decode("utf-8", "replace"), bytearray()
        return [line for line in text.split("\n") if line]


def _told_to_extensions(environment: dict[str, str]) -> dict[str, str]:
    variables = {
        "functionName": "AWS_LAMBDA_FUNCTION_NAME",
        "functionVersion": "AWS_LAMBDA_FUNCTION_VERSION",
        "handler": "_HANDLER",
    }
    return {key: environment[name] for key, name in variables.items() if name in environment}


def _begin(spec: WorkerSpec, environment: dict[str, str], output: int) -> StartedProgram | subprocess.Popen[bytes]:
    """Start the process, as the leader of a group of its own."""
    if spec.preloading is not None:
        try:
            return spec.preloading.start(spec.program, environment, spec.task_directory, output)
        except NotStartedError as error:
            log.info("a worker of %s starts plainly: %s", environment.get("AWS_LAMBDA_FUNCTION_NAME"), error)
    return subprocess.Popen(
        [sys.executable, *FLAGS, *spec.program],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=spec.task_directory,
        env=environment,
        start_new_session=True,
    )


def error_document(kind: str, message: str, **more: Any) -> bytes:
    """The payload of an invocation that failed outside the function."""
    return json.dumps({"errorType": kind, "errorMessage": message, **more}).encode()
