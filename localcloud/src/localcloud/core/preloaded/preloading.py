"""A server of programs, started with the first of them and ended when none has used it for a while."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from localcloud.core.preloaded.standing import ALIVE, note_server, server_of, standing_folder
from localcloud.core.preloaded.started import NotStartedError, StartedProgram

_HERE = Path(__file__).parent
_IDLE_SECONDS = 300.0
_END_SECONDS = 5.0

_left_alone: list[subprocess.Popen[bytes]] = []
"""Servers that this process started, and that do not end with it."""


def _can_preload() -> bool:
    """Whether this is a Linux with what the server uses; elsewhere libraries of the system do not bear a fork."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # an older kernel, or a sandbox that has not heard of it
        return False
    return True


CAN_PRELOAD = _can_preload()
"""Whether programs start from a server here; they start plainly otherwise."""


class Preloading:
    """Modules that programs import, imported once.

    Parameters
    ----------
    modules : sequence of str
        Those that every program of its kind imports. With none, programs start plainly.
    environment : mapping
        What programs start with, as far as an interpreter or a library reads it at the start.
    preset : mapping
        Variables besides, which programs set themselves before they import.
    idle_seconds : float
        How long the server stays without a program.
    path : sequence of Path
        The folders that all programs have last in their PYTHONPATH, before which they may have their own.
    flags : sequence of str
        The interpreter's options, which are those of all programs.
    own_home : bool
        Whether it has a home of its own while it imports; otherwise what ``environment`` says, or none.
    compiled : Path, optional
        A folder in which programs leave what they compile, in place of beside their modules; other servers may have it
        too.
    grace_seconds : float
        How long programs may take to end by SIGTERM when the server ends; without it they end by SIGKILL.
    standing : Path, optional
        A folder (:mod:`localcloud.core.preloaded.standing`) in which the server stands for others too, who say the same
        of all this. It is then not this one's to end; its programs are.

    Attributes
    ----------
    preset : mapping
    """

    def __init__(
        self,
        modules: Sequence[str],
        environment: Mapping[str, str],
        preset: Mapping[str, str] | None = None,
        idle_seconds: float = _IDLE_SECONDS,
        *,
        path: Sequence[Path] = (),
        flags: Sequence[str] = (),
        own_home: bool = True,
        compiled: Path | None = None,
        grace_seconds: float = 0.0,
        standing: Path | None = None,
    ) -> None:
        self._modules = tuple(modules) if CAN_PRELOAD else ()
        self._path = os.pathsep.join(map(str, path))
        self._flags = list(flags)
        self._own_home = own_home
        self._compiled = "" if compiled is None else str(compiled.resolve())
        self._grace_seconds = grace_seconds
        self._environment = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
        self.preset = dict(preset or {})
        self._idle_seconds = idle_seconds
        self._standing = standing
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._mine = contextlib.ExitStack()
        self._users = 0
        self._timer: threading.Timer | None = None

    def session(self) -> int | None:
        """The session of the server and of all programs that run; None while there is none."""
        if self._standing is not None:
            return server_of(self._stands_in(self._standing))
        server = self._server
        return None if server is None or server.poll() is not None else server.pid

    @contextlib.contextmanager
    def interpreter(self) -> Iterator[list[str]]:
        """What to type for ``python`` and its options in a command while this lasts."""
        if not self._modules:
            yield [sys.executable, *self._flags]
            return
        place = self._used()
        try:
            yield [sys.executable, "-I", "-S", str(_HERE / "client.py"), str(place), ",".join(self._flags)]
        finally:
            self._unused()

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], directory: Path, output: int
    ) -> StartedProgram:
        """Begin a program.

        Parameters
        ----------
        arguments : sequence of str
            What follows ``python`` and its options.
        output : int
            The descriptor that standard output and error go to.

        Raises
        ------
        NotStartedError
            When it has to be started plainly.
        """
        if not self._modules:
            raise NotStartedError("nothing is imported for it")
        place = self._used()
        try:
            return StartedProgram(place, arguments, environment, directory, output, self._unused)
        except BaseException:
            self._unused()
            raise

    def close(self) -> None:
        """End the server, and with it what runs."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._end()

    def _used(self) -> Path:
        with self._lock:
            self._users += 1
            if self._timer is not None:
                self._timer.cancel()
            return self._running()

    def _unused(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._standing is None:
                self._timer = threading.Timer(self._idle_seconds, self._end_idle)
                self._timer.daemon = True
                self._timer.start()

    def _running(self) -> Path:
        if self._standing is not None:
            return self._standing_at(self._standing)
        if self._folder is not None and self._server is not None and self._server.poll() is None:
            return self._folder / "socket"
        self._end()
        # Short, for a socket's name has room for a hundred characters, and this user's alone.
        self._folder = Path(tempfile.mkdtemp(prefix="preloaded-"))
        self._server = self._started(self._folder, subprocess.PIPE)
        return self._folder / "socket"

    def _standing_at(self, standing: Path) -> Path:
        """The place of the server that stands for all, by a folder of this one's own: its programs end with that."""
        folder = self._stands_in(standing)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _answers(folder / "socket"):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(0o700)
                alive = os.open(standing / ALIVE, os.O_RDONLY | os.O_NONBLOCK)
                try:
                    server = self._started(folder, alive)
                finally:
                    os.close(alive)
                note_server(folder, server.pid)
                _left_alone.append(server)
        if self._folder is None:
            self._folder = self._mine.enter_context(standing_folder())
            (self._folder / "socket").symlink_to(folder / "socket")
        return self._folder / "socket"

    def _stands_in(self, standing: Path) -> Path:
        said = (self._modules, self._path, self._flags, self._own_home, self._compiled, self._grace_seconds)
        key = repr((said, sorted(self._environment.items()), sorted(self.preset.items())))
        return standing / hashlib.sha256(key.encode()).hexdigest()[:16]

    def _started(self, folder: Path, until: int) -> subprocess.Popen[bytes]:
        """A server in a folder, until there is nobody who writes to what it reads."""
        place = folder / "socket"
        # It listens before it imports: the first program waits for it, and none finds nobody there.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(place))
            listener.listen(64)
            number = listener.fileno()
            home = {"HOME": str(folder)} if self._own_home else {}
            path = {"PYTHONPATH": self._path} if self._path else {}
            words = [sys.executable, *self._flags, str(_HERE / "server.py")]
            words += [str(number), ",".join(self.preset), ",".join(home), self._compiled, str(self._grace_seconds)]
            return subprocess.Popen(
                [*words, *self._modules],
                stdin=until,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**home, **self._environment, **self.preset, **path},
                pass_fds=[number],
                cwd=folder,
                start_new_session=True,
            )

    def _end_idle(self) -> None:
        with self._lock:
            if not self._users:
                self._end()

    def _end(self) -> None:
        if self._server is not None and self._server.stdin is not None:
            self._server.stdin.close()
            try:
                self._server.wait(_END_SECONDS + self._grace_seconds)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._mine.close()
        self._server = self._folder = None


def _answers(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(place)) == 0
