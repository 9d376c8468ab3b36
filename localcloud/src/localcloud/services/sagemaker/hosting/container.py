"""A container of an endpoint, as a process of this machine, under SageMaker's contract for inference.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html: the program listens at a port,
answers GET /ping with 200 within two seconds once it can serve, and POST /invocations within sixty. It finds the model
below /opt/ml/model, which here is a folder of the container's own, and the port in SAGEMAKER_BIND_TO_PORT, for several
run on one machine. When it is to end it gets SIGTERM, and SIGKILL if it goes on.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
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
from typing import TextIO

from localcloud.core.preloaded.preloading import Preloading
from localcloud.core.preloaded.started import NotStartedError, StartedProgram
from localcloud.services.sagemaker.hosting.exceptions import ContainerError, NotAnsweredError
from localcloud.services.sagemaker.jobs.logs import LogStream

LOG = logging.getLogger(__name__)
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
    preloading : Preloading, optional
        What the program starts from, where its command begins with ``python``.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        log: LogStream,
        *,
        name: str,
        preloading: Preloading | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self._command = list(command)
        self._environment = dict(environment)
        self._log = log
        self._preloading = preloading
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | StartedProgram | None = None
        self._output: TextIO | None = None
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
            reading, writing = os.pipe()
            try:
                self._process = self._begin(writing)
            except BaseException:
                os.close(reading)
                raise
            finally:
                os.close(writing)
            self._output = os.fdopen(reading, encoding="utf-8", errors="replace")

    def _begin(self, output: int) -> subprocess.Popen[bytes] | StartedProgram:
        """Start the process, as the leader of a group of its own."""
        environment = {**self._environment, "SAGEMAKER_BIND_TO_PORT": str(self._port)}
        if self._preloading is not None:
            try:
                return self._preloading.start(self._command[1:], environment, self.folder, output)
            except NotStartedError as error:
                LOG.info("the container %s starts plainly: %s", self.name, error)
        return subprocess.Popen(
            self._command,
            env=environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _follow(self) -> None:
        """Log what the program writes; start it again when it ends by itself after it has served."""
        while True:
            process, output = self._process, self._output
            assert process is not None
            assert output is not None
            with output:
                for line in output:
                    self._write(line.rstrip("\n"))
            code = process.wait()
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


def _signal(process: subprocess.Popen[bytes] | StartedProgram, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself in between
        os.killpg(process.pid, number)
