"""Runs a job's program: its output goes to CloudWatch Logs as it comes, its time is limited, it can be stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcloud.services.sagemaker.jobs.exceptions import JobStoppedError
from localcloud.services.sagemaker.jobs.logs import LogStream

_KILL_AFTER_SECONDS = 5.0
"""Between SIGTERM and SIGKILL (120 on AWS)."""
_KEPT_LINES = 40

_running: set[int] = set()
_running_lock = threading.Lock()


def running_pids() -> set[int]:
    """The process ids of the jobs that run now (each leads a process group)."""
    with _running_lock:
        return set(_running)


class JobProcess:
    """One program of a job."""

    def __init__(self, log: LogStream) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._stop_requested = False
        self._timed_out = False
        self.interrupted = False
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)

    def run(self, command: Sequence[str], environment: Mapping[str, str], directory: Path, limit_seconds: float) -> int:
        """Run to the end; the exit code.

        Raises
        ------
        JobStoppedError
            When it was stopped, or took longer than ``limit_seconds`` of real time.
        FileNotFoundError, PermissionError
            When the program can not be started.
        """
        with self._lock:
            if self._stop_requested:
                raise JobStoppedError(timed_out=False)
            self.interrupted = False
            self._process = subprocess.Popen(
                list(command),
                env=dict(environment),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        timer = threading.Timer(limit_seconds, self._end_by_time)
        timer.daemon = True
        timer.start()
        with _running_lock:
            _running.add(self._process.pid)
        try:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                self.last_lines.append(line.rstrip("\n"))
                self._log.write(line.rstrip("\n"))
            code = self._process.wait()
        finally:
            timer.cancel()
            with _running_lock:
                _running.discard(self._process.pid)
            self._log.flush()
        if self._stop_requested:
            raise JobStoppedError(timed_out=self._timed_out)
        return code

    def stop(self) -> None:
        """End the program and all it started: by SIGTERM, and by SIGKILL when that is not heard."""
        with self._lock:
            self._stop_requested = True
        self._end()

    def interrupt(self) -> None:
        """End the program in the same way, as one whose instance is taken back: another may be run afterwards."""
        self.interrupted = True
        self._end()

    def _end(self) -> None:
        with self._lock:
            process = self._process
        if process is None or process.poll() is not None:
            return
        _signal(process, signal.SIGTERM)
        threading.Thread(target=self._kill_later, args=(process,), daemon=True).start()

    def _end_by_time(self) -> None:
        self._timed_out = True
        self.stop()

    @staticmethod
    def _kill_later(process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + _KILL_AFTER_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if process.poll() is None:
            _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[str], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        # It ended by itself in between.
        return


def resident_megabytes(session: int | None = None) -> int:
    """The resident memory of all that running jobs started, in MB, rounded up.

    Parameters
    ----------
    session : int or None
        One that counts besides: the process that programs of jobs start from, and those programs.
    """
    leaders = running_pids() | ({session} if session is not None else set())
    return -(-sum(_resident_kilobytes(pid) for pid in leaders) // 1024)


def _resident_kilobytes(leader: int) -> int:
    listing = subprocess.run(
        ["ps", "-o", "rss=", "-g", str(leader)], capture_output=True, text=True, check=False
    ).stdout
    return sum(int(field) for field in listing.split())
