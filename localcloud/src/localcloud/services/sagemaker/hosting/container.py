"""A container of an endpoint, as a process of this machine, under SageMaker's contract for inference.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html: the program listens at a port,
answers GET /ping with 200 within two seconds once it can serve, and POST /invocations within sixty. It finds the model
below /opt/ml/model, which here is a folder of the container's own, and the port in SAGEMAKER_BIND_TO_PORT, for several
run on one machine. When it is to end it gets SIGTERM, and SIGKILL if it goes on.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcloud.services.sagemaker.hosting.exceptions import ContainerError, NotAnsweredError
from localcloud.services.sagemaker.jobs.logs import LogStream

PING_SECONDS = 2.0
INVOCATION_SECONDS = 60.0
_HOST = "127.0.0.1"
_LOOK_AGAIN_SECONDS = 0.05
_RESTART_SECONDS = 1.0
_KILL_AFTER_SECONDS = 30.0


@dataclass(frozen=True)
class Reply:
    """What a container answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Container:
    """One process, started again when it ends by itself.

    Parameters
    ----------
    command, environment
        What starts the program.
    folder : Path
        Of the container alone; deleted with it.
    log : LogStream
        Takes its output.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, log: LogStream, *, name: str
    ) -> None:
        self.name = name
        self.folder = folder
        self._command = list(command)
        self._environment = dict(environment)
        self._log = log
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self._stopping = False
        self._has_served = False
        self._ended = threading.Event()

    @property
    def log_stream(self) -> str:
        """The name of the stream that its output goes to."""
        return self._log.stream

    def start(self) -> None:
        """Start the program.

        Raises
        ------
        ContainerError
            When there is no such program.
        """
        try:
            self._spawn()
        except OSError as error:
            raise ContainerError(f"the image's command {self._command[0]!r} can't be started here: {error}") from error
        threading.Thread(target=self._follow, name=f"container {self.name}", daemon=True).start()

    def wait_until_healthy(self, seconds: float) -> bool:
        """Ask /ping until it answers 200; false when that takes longer, or when the program ends before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._ended.is_set() and not self._stopping:
            if self.is_healthy():
                self._has_served = True
                return True
            self._ended.wait(_LOOK_AGAIN_SECONDS)
        return False

    def is_healthy(self) -> bool:
        """Whether /ping answers 200 in its two seconds."""
        try:
            return self._ask("GET", "/ping", b"", {}, PING_SECONDS).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def invoke(self, body: bytes, headers: Mapping[str, str], seconds: float = INVOCATION_SECONDS) -> Reply:
        """Send a request to /invocations.

        Raises
        ------
        NotAnsweredError
            When it gives no answer in time, or none that is HTTP.
        """
        try:
            return self._ask("POST", "/invocations", body, headers, seconds)
        except TimeoutError as error:
            raise NotAnsweredError(str(error), timed_out=True) from error
        except (OSError, http.client.HTTPException) as error:
            raise NotAnsweredError(f"{type(error).__name__}: {error}", timed_out=False) from error

    def stop(self, *, kill_after_seconds: float = _KILL_AFTER_SECONDS) -> None:
        """End the program and what it started, and delete its folder."""
        with self._lock:
            self._stopping = True
            process = self._process
        if process is not None:
            _signal(process, signal.SIGTERM)
            try:
                process.wait(kill_after_seconds)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pid(self) -> int | None:
        """The process now; None where none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def _spawn(self) -> None:
        with self._lock:
            if self._stopping:
                return
            self._port = _free_port()
            self._process = subprocess.Popen(
                self._command,
                env={**self._environment, "SAGEMAKER_BIND_TO_PORT": str(self._port)},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )

    def _follow(self) -> None:
        """Log what the program writes; start it again when it ends by itself after it has served."""
        while True:
            process = self._process
            assert process is not None
            assert process.stdout is not None
            for line in process.stdout:
                self._write(line.rstrip("\n"))
            code = process.wait()
            process.stdout.close()
            with contextlib.suppress(Exception):  # the cloud may be gone by now
                self._log.flush()
            if self._stopping or not self._has_served:
                self._ended.set()
                return
            self._write(f"the container's program ended with status {code}; it is started again")
            time.sleep(_RESTART_SECONDS)
            self._spawn()
            if self._stopping:
                return

    def _write(self, line: str) -> None:
        with contextlib.suppress(Exception):
            self._log.write(line)

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=seconds)
        try:
            connection.request(method, path, body=body if method == "POST" else None, headers=dict(headers))
            response = connection.getresponse()
            content = response.read()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, content)
        finally:
            connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself in between
        os.killpg(process.pid, number)
