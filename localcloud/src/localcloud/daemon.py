"""Starts, finds and stops local clouds. Imports nothing of moto."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localcloud.core import allocator
from localcloud.core.credentials import ACCOUNT_ID, CONTROL_PATH, OPERATOR_FILE, REGION, Operator
from localcloud.core.preloaded.preloading import Preloading
from localcloud.core.preloaded.standing import standing_folder
from localcloud.core.processes import is_there

CLOUD_FILE = "cloud.json"
LOG_FILE = "cloud.log"
_START_SECONDS = 90.0
_STOP_SECONDS = 20.0
_TAIL_LINES = 30


class CloudNotStartedError(RuntimeError):
    """The local cloud did not come up; the message has the end of its log."""


class CloudAlreadyRunningError(RuntimeError):
    """A local cloud runs on this state directory already."""


class ControlError(RuntimeError):
    """A control endpoint refused; the message is its own."""


@dataclass(frozen=True)
class Processes:
    """What a cloud's processes start from; plainly, and from some of its own, unless it is told of others.

    Attributes
    ----------
    python : sequence of str
        What to type for ``python`` and its options, of which one keeps the working directory off the import path.
    standing : Path or None
        Where those stand that functions and jobs of several clouds start from.
    """

    python: Sequence[str] = (sys.executable, "-P")
    standing: Path | None = None


PLAINLY = Processes()


@dataclass(frozen=True)
class RunningCloud:
    """A local cloud that answers.

    Attributes
    ----------
    pid : int
    endpoint : str
        The URL of its AWS API.
    state_directory : Path
    operator : Operator
        Credentials that may do everything in it.
    control_path : str
        Where its control endpoints are.
    account_id, region : str
        Those of everything in it.
    """

    pid: int
    endpoint: str
    state_directory: Path
    operator: Operator
    control_path: str = CONTROL_PATH
    account_id: str = ACCOUNT_ID
    region: str = REGION

    def environment(self) -> dict[str, str]:
        """The variables that point every AWS tool at it, as its operator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.operator.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.operator.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def clock(self) -> dict[str, Any]:
        """``now`` and ``moved``."""
        return self._call("GET", "clock")

    def advance(self, to: datetime, *, timeout_seconds: float = 3600) -> dict[str, Any]:
        """Move the clock; returns when all that was due on the way is done: ``now``, ``moved`` and ``ran``."""
        return self._call("POST", "clock", {"to": to.isoformat()}, timeout_seconds)

    def pass_time(self, to: datetime, *, timeout_seconds: float = 3600) -> dict[str, Any]:
        """As :meth:`advance`, also of a cloud on real time: its clock goes on from ``to``."""
        return self._call("POST", "pass", {"to": to.isoformat()}, timeout_seconds)

    def activity(self) -> dict[str, int]:
        """What is going on now."""
        return dict(self._call("GET", "activity")["busy"])

    def memory(self) -> dict[str, Any]:
        """Resident memory by part and the peak, in MB."""
        return self._call("GET", "memory")

    def usage(self) -> dict[str, list[dict[str, Any]]]:
        """What ``iam-usage.json`` tells, with the counts as they are now."""
        return self._call("GET", "usage")

    def stop(self) -> None:
        """End it and all its children; returns when the process is gone."""
        try:
            self._call("POST", "shutdown", {}, 5)
        except (OSError, ControlError):
            _signal(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while _is_alive(self.pid):
            if time.monotonic() > deadline:
                _signal(self.pid, signal.SIGKILL)
            time.sleep(0.05)
        for name in (CLOUD_FILE, OPERATOR_FILE):
            (self.state_directory / name).unlink(missing_ok=True)

    def _call(
        self, method: str, name: str, document: dict[str, Any] | None = None, timeout: float = 30
    ) -> dict[str, Any]:
        # Straight to the port: a proxy of the environment must not get between this computer and itself.
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=timeout)
        try:
            body = None if document is None else json.dumps(document).encode()
            headers = {
                "Content-Type": "application/json",
                "Authorization": f"Bearer {self.operator.control_token}",
            }
            connection.request(method, f"{self.control_path}{name}", body, headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise ControlError(f"{self.endpoint} did not finish its answer: {error!r}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise ControlError(json.loads(text).get("message", text) if text.startswith("{") else text)
        return dict(json.loads(text))


def start(
    port: int,
    state_directory: Path,
    cache_directory: Path,
    start_at: datetime | None = None,
    *,
    settings: Path | None = None,
    account_kind: str = "established",
    cold_starts: bool = False,
    account_id: str = ACCOUNT_ID,
    region: str = REGION,
    control_path: str = CONTROL_PATH,
    working_directory: Path | None = None,
    stop_with_parent: bool = False,
    processes: Processes = PLAINLY,
) -> RunningCloud:
    """Start a local cloud and wait until it answers.

    Parameters
    ----------
    port : int
        Where its AWS API is to answer.
    start_at : datetime, optional
        Where a moved clock starts; real time without it.
    settings : Path, optional
        A TOML file with what the services are told (:mod:`localcloud.core.settings`).
    account_kind : str
        What the account may do: one of :data:`localcloud.core.account.KINDS`.
    cold_starts : bool
        Whether functions start as on AWS: each start imports everything, and happens again after ten unused minutes.
    account_id, region : str
        Those of everything in it.
    control_path : str
        Where its control endpoints are to be.
    working_directory : Path, optional
        The directory of its process; the state directory unless given.
    stop_with_parent : bool
        Whether it ends when the calling process does.
    processes : Processes
        What it starts from; :func:`shared_processes` has others, for who starts several clouds.

    Raises
    ------
    CloudAlreadyRunningError
        When one runs on the state directory.
    CloudNotStartedError
        When the process ends, or does not become ready in time.
    """
    running = find(state_directory)
    if running is not None:
        raise CloudAlreadyRunningError(
            f"a local cloud already runs on {state_directory} (process {running.pid}, {running.endpoint}): stop it"
            " first, or use another state directory"
        )
    state_directory.mkdir(parents=True, exist_ok=True)
    for name in (CLOUD_FILE, OPERATOR_FILE):
        (state_directory / name).unlink(missing_ok=True)
    log_path = state_directory / LOG_FILE
    command = [*processes.python, "-m", "localcloud.server", "--port", str(port), "--control-path", control_path]
    command += ["--account-id", account_id, "--region", region]
    command += ["--account-kind", account_kind, "--state-directory", str(state_directory.resolve())]
    command += ["--cache-directory", str(cache_directory.resolve())]
    if settings is not None:
        command += ["--settings", str(settings.resolve())]
    if start_at is not None:
        command += ["--start", start_at.isoformat()]
    if cold_starts:
        command += ["--cold-starts"]
    if processes.standing is not None:
        command += ["--standing", str(processes.standing)]
    if stop_with_parent:
        command += ["--parent", str(os.getpid())]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=working_directory or state_directory,
            env=allocator.environment(os.environ),
            start_new_session=True,
        )
    return _wait_until_ready(process, state_directory, log_path)


@contextlib.contextmanager
def shared_processes() -> Iterator[Processes]:
    """While this lasts, clouds may start from one process that has imported once what each of them would import.

    So may their functions and jobs. What still runs then ends, and ends with this process.
    """
    clouds = Preloading(
        ["localcloud.imported"],
        allocator.environment(os.environ),
        flags=PLAINLY.python[1:],
        own_home=False,
        grace_seconds=_STOP_SECONDS,
    )
    with standing_folder() as folder, clouds.interpreter() as python:
        try:
            yield Processes(python, folder)
        finally:
            clouds.close()


def find(state_directory: Path) -> RunningCloud | None:
    """The local cloud that runs on a state directory, or None."""
    try:
        notice = json.loads((state_directory / CLOUD_FILE).read_text())
        operator = Operator.read(state_directory)
    except (FileNotFoundError, KeyError, ValueError):
        return None
    cloud = RunningCloud(
        int(notice["pid"]),
        notice["endpoint"],
        state_directory,
        operator,
        notice["control_path"],
        notice["account"],
        notice["region"],
    )
    if not _is_alive(cloud.pid):
        return None
    try:
        cloud.clock()
    except (OSError, ControlError):
        return None
    return cloud


def _wait_until_ready(process: subprocess.Popen[bytes], state_directory: Path, log_path: Path) -> RunningCloud:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CloudNotStartedError(
                f"the local cloud ended with status {process.returncode} while it started.\n{_tail(log_path)}"
            )
        cloud = find(state_directory)
        if cloud is not None:
            return cloud
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise CloudNotStartedError(f"the local cloud was not ready after {_START_SECONDS:.0f} s.\n{_tail(log_path)}")


def _tail(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n".join([f"End of its log, {path}:", *lines])


def _is_alive(pid: int) -> bool:
    try:
        finished, _ = os.waitpid(pid, os.WNOHANG)  # reap it when it is our child
        if finished:
            return False
    except ChildProcessError:
        pass
    return is_there(pid)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
