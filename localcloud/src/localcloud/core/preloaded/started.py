"""A program that runs as a copy of a server, to whoever started it like a :class:`subprocess.Popen`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_BEGINS_WITHIN_SECONDS = 60.0
"""The first program waits until the server has imported."""

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class NotStartedError(Exception):
    """The server will not begin this program, or is not there: it has to be started plainly."""


class StartedProgram:
    """A running program.

    Parameters
    ----------
    place : Path
        The server's socket.
    arguments : sequence of str
        What follows ``python``.
    environment, directory
        What the program has.
    output : int
        The descriptor that standard output and error go to; standard input is empty.
    ended : callable
        Called once when the end is seen.

    Attributes
    ----------
    pid : int
        It leads a process group of its own.

    Raises
    ------
    NotStartedError
    """

    def __init__(
        self,
        place: Path,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        output: int,
        ended: Callable[[], None],
    ) -> None:
        self._ended = ended
        self._lock = threading.Lock()
        self._status: int | None = None
        self._heard = b""
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._server.settimeout(_BEGINS_WITHIN_SECONDS)
            self._server.connect(str(place))
            self._ask(arguments, environment, directory, output)
            begun = json.loads(self._line() or b"{}")
        except OSError as error:
            self._server.close()
            raise NotStartedError(str(error)) from error
        if "process" not in begun:
            self._server.close()
            raise NotStartedError(begun.get("refused", "the server has ended"))
        self.pid: int = begun["process"]

    def poll(self) -> int | None:
        """The exit status as Popen gives it; None while the program runs, or another thread waits for its end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; the exit status. Where several threads wait, each waits as long as it says.

        Raises
        ------
        subprocess.TimeoutExpired
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._lock.acquire(timeout=-1 if timeout is None else timeout):
            raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0.0)
        try:
            if self._status is None:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                ready, _, _ = select.select([self._server], [], [], left)
                if not ready:
                    raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0.0)
                self._end()
            assert self._status is not None
            return self._status
        finally:
            self._lock.release()

    def kill(self) -> None:
        """End it by SIGKILL, and what is in its group."""
        with contextlib.suppress(OSError):  # it has ended
            self._server.send(bytes([signal.SIGKILL]))

    def _ask(self, arguments: Sequence[str], environment: Mapping[str, str], directory: Path, output: int) -> None:
        request = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "directory": str(directory),
            "umask": _umask(),
            "ignored": [int(number) for number in _PASSED_ON if signal.getsignal(number) is signal.SIG_IGN],
        }
        document = json.dumps(request).encode()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            socket.send_fds(self._server, [f"{len(document)}\n".encode()], [nothing, output, output])
            self._server.sendall(document)
        finally:
            os.close(nothing)

    def _end(self) -> None:
        self._server.settimeout(_BEGINS_WITHIN_SECONDS)
        try:
            end = json.loads(self._line() or b"{}")
        except OSError:
            end = {}
        if "status" not in end:  # the server has ended, and its programs with it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._status = end.get("status", -signal.SIGKILL)
        self._server.close()
        self._ended()

    def _line(self) -> bytes:
        """The next line of the server; empty where it has closed."""
        while b"\n" not in self._heard:
            part = self._server.recv(4096)
            if not part:
                return b""
            self._heard += part
        line, _, self._heard = self._heard.partition(b"\n")
        return line


def _umask() -> int:
    """This process's; asking the system sets it, which other threads would notice."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        return next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))
