"""The process that has imported: ``python server.py LISTENER VARIABLES OWN COMPILED GRACE MODULE…``.

LISTENER is a descriptor, COMPILED a folder or empty, GRACE the seconds that programs may take for their end.

It is run as a file and imports nothing but the standard library and what it is told, for what is imported here is
there in every program. It ends when its standard input does, and all its programs with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import io
import json
import os
import select
import signal
import socket
import sys
import time
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

READ_AT_IMPORT = (
    *("PYTHON", "LC_", "LANG", "TZ", "LD_", "MALLOC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_"),
    *("NPY_", "NUMEXPR_", "ARROW_", "MIMALLOC_", "JOBLIB_", "SKLEARN_", "SCIPY_", "PANDAS_", "ONNX"),
)
"""What names of variables begin with that the interpreter or a library reads when it starts, or is imported.

Those that Python code reads are noticed; these are for the rest.
"""

LIBRARIES = "LD_LIBRARY_PATH"

_MAX_REQUEST_BYTES = 4 << 20
_REQUEST_SECONDS = 10.0
"""How long one that has connected may take to send its request, for which all others wait."""


class Refused(Exception):
    """A program that has to be started plainly; the message says why."""


class Program:
    """What to become: a module or a file, with its arguments.

    Attributes
    ----------
    arguments : list of str
        The interpreter's, from ``-m`` or the file on.
    environment : mapping
    directory : str
        The working directory.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.arguments: list[str] = request["arguments"]
        self.environment: dict[str, str] = request["environment"]
        self.directory: str = request["directory"]
        self.umask: int = request["umask"]
        self.ignored: list[int] = request["ignored"]

    @property
    def path(self) -> list[str]:
        """What comes first in ``sys.path``: the program's folder, then PYTHONPATH."""
        given = self.environment.get("PYTHONPATH", "")
        added = [os.path.normpath(self._in_directory(part)) for part in given.split(os.pathsep)] if given else []
        own = self.directory if self.arguments[0] == "-m" else os.path.dirname(os.path.realpath(self.file))
        return [*([] if sys.flags.safe_path else [own]), *dict.fromkeys(added)]

    @property
    def file(self) -> str:
        """The file, where it is no module."""
        return self._in_directory(self.arguments[0])

    def _in_directory(self, path: str) -> str:
        return os.path.join(self.directory, path)


class Prepared:
    """What is imported here, and what that followed from.

    Parameters
    ----------
    variables : mapping
        The variables that this process began with.
    preset : iterable of str
        Those that it has, and a program may set later or not at all.
    own : iterable of str
        Those that it has for itself; no program's answer to them matters.

    Attributes
    ----------
    path : list of str
        The folders of PYTHONPATH here. Programs that have them too, last, import from the same.
    """

    def __init__(self, variables: Mapping[str, str], preset: Iterable[str] = (), own: Iterable[str] = ()) -> None:
        self.variables = dict(variables)
        self.path = [folder for folder in variables.get("PYTHONPATH", "").split(os.pathsep) if folder]
        self._preset = frozenset(preset)
        self._own = frozenset(own)
        self._asked: set[str] = set()
        self._loaded: set[str] = set()

    def load(self, modules: Iterable[str]) -> None:
        """Import, and notice which variables are looked at."""
        encode = os.environ.encodekey

        def noticed(name: str) -> Any:
            self._asked.add(name)
            return encode(name)

        os.environ.encodekey = noticed  # every look at a variable encodes its name
        try:
            for name in modules:
                with contextlib.suppress(Exception):  # what can't be imported tells so where a program imports it
                    importlib.import_module(name)
        finally:
            os.environ.encodekey = encode
        self._loaded = {name.partition(".")[0] for name in sys.modules} - {"__main__"}

    def added_path(self, program: Program) -> list[str]:
        """The folders of the program's path before those that are in this one's.

        Raises
        ------
        Refused
        """
        begun = len(program.path) - len(self.path)
        if program.path[max(begun, 0) :] != self.path:
            raise Refused("its packages come from other folders")
        return program.path[:begun]

    def check(self, program: Program) -> None:
        """Find that a plain start would import what is imported here.

        Raises
        ------
        Refused
        """
        first = program.arguments[:1]
        alone = first == ["-m"] and len(program.arguments) < 2
        if alone or not first or (first != ["-m"] and first[0].startswith("-")):
            raise Refused("only `-m module` and a file are begun from here")
        if first != ["-m"] and not os.path.isfile(program.file):
            raise Refused(f"{program.file} is no file")
        self._check_variables(program.environment)
        for folder in self.added_path(program):
            for name in _importable(folder):
                if name in self._loaded or name in ("sitecustomize", "usercustomize"):
                    raise Refused(f"{name} of {folder} would be imported")

    def _check_variables(self, theirs: Mapping[str, str]) -> None:
        ours = self.variables
        for name in {*theirs, *ours, *self._asked} - {"PYTHONPATH", *self._own}:
            if not (name.startswith(READ_AT_IMPORT) or name in self._asked) or theirs.get(name) == ours.get(name):
                continue
            if name in self._preset and name not in theirs:
                continue
            if name == LIBRARIES and _with_libraries(theirs.get(name)) == _with_libraries(ours.get(name)):
                continue
            raise Refused(f"{name} is another one here")


def _with_libraries(path: str | None) -> list[str]:
    """Those folders of a path that hold a library at all."""
    folders = dict.fromkeys(folder or os.curdir for folder in path.split(os.pathsep)) if path else {}
    return [folder for folder in folders if any(".so" in name for name in _listed(folder))]


def _importable(folder: str) -> set[str]:
    return {name.partition(".")[0] for name in _listed(folder)}


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Refused(f"{folder} can't be listed: {error}") from error


class Server:
    """Takes requests and makes copies of this process.

    Parameters
    ----------
    listener : socket
        Where clients connect.
    prepared : Prepared
    learn : callable
        Called before each copy is made.
    grace_seconds : float
        How long programs may take to end by SIGTERM when this process ends; by SIGKILL they end then.
    """

    def __init__(
        self, listener: socket.socket, prepared: Prepared, learn: Callable[[], None], grace_seconds: float
    ) -> None:
        self._listener = listener
        self._prepared = prepared
        self._learn = learn
        self._grace_seconds = grace_seconds
        self._poll = select.poll()
        self._clients: dict[int, tuple[socket.socket, int]] = {}
        self._ends: dict[int, tuple[socket.socket, int]] = {}

    def serve(self) -> tuple[Program, list[int]] | None:
        """Until standard input ends. In a copy it returns what that is to become, and its three streams."""
        if not os.get_blocking(0) and _has_ended(0):
            return None
        self._poll.register(0, select.POLLIN)
        self._poll.register(self._listener, select.POLLIN)
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == 0:
                    self._end_all()
                    return None
                if descriptor == self._listener.fileno():
                    become = self._begin()
                    if become is not None:
                        return become
                elif descriptor in self._ends:
                    self._tell_end(descriptor)
                elif descriptor in self._clients:
                    self._hear(descriptor)

    def _begin(self) -> tuple[Program, list[int]] | None:
        client, _ = self._listener.accept()
        streams: list[int] = []
        try:
            request, streams = _receive(client)
            program = Program(request)
            self._prepared.check(program)
            self._learn()
            child = os.fork()
        except (Refused, ValueError, OSError) as error:
            _say(client, {"refused": str(error)})
            client.close()
            _close(streams)
            return None
        if not child:
            for other, _ in (*self._clients.values(), (client, 0), (self._listener, 0)):
                other.close()
            _close([*self._ends])
            return program, streams
        _close(streams)
        with contextlib.suppress(OSError):
            os.setpgid(child, child)  # here and in the copy: whoever comes first
        end = os.pidfd_open(child)
        self._clients[client.fileno()] = self._ends[end] = (client, child)
        self._poll.register(client, select.POLLIN)
        self._poll.register(end, select.POLLIN)
        _say(client, {"process": child})
        return None

    def _hear(self, descriptor: int) -> None:
        """Pass a signal on; a client that is gone was killed, and its program is killed with it."""
        client, child = self._clients[descriptor]
        try:
            numbers = client.recv(64, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            numbers = b""
        for number in numbers or bytes([signal.SIGKILL]):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, number)
        if not numbers:
            self._forget(descriptor)

    def _tell_end(self, descriptor: int) -> None:
        client, child = self._ends.pop(descriptor)
        self._poll.unregister(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(child, 0)
        if client.fileno() in self._clients:
            _say(client, {"status": os.waitstatus_to_exitcode(status)})
            self._forget(client.fileno())

    def _forget(self, descriptor: int) -> None:
        client, _ = self._clients.pop(descriptor)
        self._poll.unregister(descriptor)
        client.close()

    def _end_all(self) -> None:
        self._listener.close()  # who comes now starts plainly
        if self._grace_seconds:
            self._signal_all(signal.SIGTERM)
            deadline = time.monotonic() + self._grace_seconds
            while self._ends and (left := deadline - time.monotonic()) > 0:
                ended, _, _ = select.select([*self._ends], [], [], left)
                for descriptor in ended:
                    self._tell_end(descriptor)
        self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: int) -> None:
        for _, child in self._ends.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, number)


def _has_ended(pipe: int) -> bool:
    """Whether nobody writes there any more. Where nobody did when it was opened, only reading tells: no wait ends."""
    try:
        return os.read(pipe, 1) == b""
    except BlockingIOError:
        return False


def _receive(client: socket.socket) -> tuple[dict[str, Any], list[int]]:
    client.settimeout(_REQUEST_SECONDS)
    data, streams, _, _ = socket.recv_fds(client, 65536, 3)
    try:
        if len(streams) != 3:
            raise Refused("that is no request")
        request = _document(client, data)
    except BaseException:
        _close(streams)  # whoever reads what is written there waits for as long as they are open anywhere
        raise
    client.settimeout(None)
    return request, streams


def _document(client: socket.socket, data: bytes) -> dict[str, Any]:
    """The request of which ``data`` is the beginning."""
    length, _, begun = data.partition(b"\n")
    if not length.isdigit() or int(length) > _MAX_REQUEST_BYTES:
        raise Refused("that is no request")
    parts, missing = [begun], int(length) - len(begun)
    while missing > 0:
        part = client.recv(min(missing, 65536))
        if not part:
            raise Refused("the request breaks off")
        parts.append(part)
        missing -= len(part)
    request: dict[str, Any] = json.loads(b"".join(parts))
    return request


def _say(client: socket.socket, document: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        client.sendall(json.dumps(document).encode() + b"\n")


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def generators() -> list[Any]:
    """The generators of random numbers that modules made when they were imported.

    In a copy Python begins its own anew; from these all copies would draw the same.
    """
    random: Any = sys.modules.get("random")
    return [] if random is None else [made for made in gc.get_objects() if issubclass(type(made), random.Random)]


def take_place(
    program: Program, streams: list[int], by_imports: Mapping[str, str], path: list[str], random: Iterable[Any] = ()
) -> None:
    """Make this process what a plain start of the program would be, up to its first line.

    Parameters
    ----------
    by_imports : mapping
        Variables that the interpreter or what is imported has set.
    path : list of str
        What the program's path begins with, before this one's.
    random : iterable of random.Random
        Generators that begin anew.
    """
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    _close(stream for stream in streams if stream > 2)
    os.chdir(program.directory)
    os.umask(program.umask)
    os.environ.clear()
    os.environ.update({**by_imports, **program.environment})
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in program.ignored:  # a process begins with what its parent ignores
        signal.signal(number, signal.SIG_IGN)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        text = _anew(getattr(sys, name), number)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    for generator in random:
        generator.seed()
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].tempdir = None  # type: ignore[attr-defined]  # asked for anew: it comes from TMPDIR
    sys.path[:0] = path
    sys.orig_argv = [sys.executable, *program.arguments]
    sys.argv = program.arguments[1:] if program.arguments[0] == "-m" else list(program.arguments)


def _anew(stream: io.TextIOWrapper, number: int) -> io.TextIOWrapper:
    """A standard stream as the interpreter makes it: the one from before knows of another file whether it can seek."""
    raw = io.FileIO(number, "wb" if number else "rb", closefd=False)
    raw.name = stream.name
    binary: Any = raw
    if not isinstance(stream.buffer, io.RawIOBase):  # as it is with PYTHONUNBUFFERED
        binary = io.BufferedWriter(raw) if number else io.BufferedReader(raw)
    lines = binary is not raw and (number == 2 or raw.isatty())
    text = io.TextIOWrapper(
        binary, stream.encoding, stream.errors, newline="\n", line_buffering=lines, write_through=stream.write_through
    )
    text.mode = stream.mode  # type: ignore[misc]  # the interpreter sets it as well
    return text


def run(program: Program) -> None:
    """Run it as ``__main__``, which is a module of its own.

    Raises
    ------
    SystemExit
        As the program asked for, or 1 after an error that it let out.
    """
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    try:
        exec(_code(program, main), main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next  # from the program's own first line on
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        if isinstance(error, KeyboardInterrupt):
            sys.stdout.flush()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        raise SystemExit(1) from None


def _code(program: Program, main: types.ModuleType) -> Any:
    if program.arguments[0] != "-m":
        main.__file__ = program.file
        with io.open_code(program.file) as file:
            return compile(file.read(), program.file, "exec")
    name = program.arguments[1]
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{name}.__main__")
    code = spec.loader.get_code(spec.name) if spec is not None and spec.loader is not None else None  # type: ignore[attr-defined]  # of those that load code
    if spec is None or code is None:
        raise SystemExit(f"{sys.executable}: No module named {name}")
    main.__spec__, main.__loader__, main.__package__ = spec, spec.loader, spec.parent
    main.__file__ = sys.argv[0] = str(spec.origin)
    return code


def _begun_with() -> dict[str, str]:
    """The variables that this process was given; where it has no locale, the interpreter itself sets one more."""
    with open("/proc/self/environ", "rb") as file:
        pairs = (os.fsdecode(pair).partition("=") for pair in file.read().split(b"\0") if pair)
        return {name: value for name, _, value in pairs}


def become() -> Program | None:
    """Import, serve, and return only in a copy, which has taken its place; None when there is nothing more to serve."""
    listener, preset, own, compiled, grace, *modules = sys.argv[1:]
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of this file, which no program has
    prepared = Prepared(_begun_with(), filter(None, preset.split(",")), filter(None, own.split(",")))
    share_compiled = _beside("compiled.py")["share_compiled"]
    descriptions = _beside("descriptions.py")["Descriptions"](os.getcwd())
    prepared.load(modules)
    kept = compiled or os.path.join(os.getcwd(), "compiled")
    os.makedirs(kept, 0o700, exist_ok=True)
    gc.collect()
    made = generators()
    gc.freeze()
    found = Server(socket.socket(fileno=int(listener)), prepared, descriptions.learn, float(grace)).serve()
    if found is None:
        return None
    program, streams = found
    by_imports = {name: value for name, value in os.environ.items() if name not in prepared.variables}
    take_place(program, streams, by_imports, prepared.added_path(program), made)
    share_compiled(kept, in_place_of_writing=bool(compiled))
    descriptions.use()
    return program


def _beside(name: str) -> dict[str, Any]:
    """What a file of this folder defines; it is no module here, for none of this project's is there in a program."""
    path = os.path.join(os.path.dirname(__file__), name)
    names: dict[str, Any] = {"__name__": name, "__file__": path}
    with io.open_code(path) as file:
        exec(compile(file.read(), path, "exec"), names)
    return names


if __name__ == "__main__":
    begun = become()
    if begun is not None:
        run(begun)
