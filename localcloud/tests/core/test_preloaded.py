"""A program that is started from what has imported is what a plain start of it is, but for the time that takes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.core.preloaded.preloading import CAN_PRELOAD, Preloading

pytestmark = [
    pytest.mark.skipif(not CAN_PRELOAD, reason="programs start plainly here"),
    pytest.mark.xdist_group("preloaded"),
]

VARIABLES = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}
SHOWN = """
import json, os, sys, time
main = sys.modules["__main__"]
print(json.dumps({
    "arguments": sys.argv, "all arguments": sys.orig_argv, "path": sys.path, "variables": dict(os.environ),
    "directory": os.getcwd(), "name": __name__, "file": __file__, "package": __package__,
    "module": main.__spec__ and [main.__spec__.name, main.__spec__.origin], "here": main.__dict__ is globals(),
    "names": sorted(set(globals()) - {"__cached__", "__annotations__"}), "umask": os.umask(0), "zone": time.tzname,
    "input": sys.stdin.read(), "flags": repr(sys.flags), "executable": sys.executable,
    "streams": [(s.encoding, s.errors, s.line_buffering, s.write_through) for s in (sys.stdin, sys.stdout, sys.stderr)],
    "signals": [repr(__import__("signal").getsignal(n)) for n in (1, 2, 13, 15)],
    "open": sorted(os.listdir("/proc/self/fd"))[:3], "preloaded": "colorsys" in sys.modules,
}))
"""


@pytest.fixture(scope="module")
def preloading() -> Iterator[Preloading]:
    server = Preloading(["colorsys", "random", "tempfile", "no_such_module"], VARIABLES, {"OMP_WAIT_POLICY": "PASSIVE"})
    with server.interpreter():
        yield server
    server.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    code = tmp_path / "code"
    (code / "package").mkdir(parents=True)
    for name in ("shown.py", "package/__init__.py", "package/__main__.py", "package/inner.py"):
        (code / name).write_text("" if name.endswith("__init__.py") else SHOWN)
    return code


def both(
    preloading: Preloading, arguments: list[str], folder: Path, variables: dict[str, str] | None = None
) -> list[subprocess.CompletedProcess[str]]:
    """What a plain start and one from the server come to."""
    environment = {**VARIABLES, "TMPDIR": str(folder), **(variables or {})}
    with preloading.interpreter() as words:
        return [
            subprocess.run(
                [*start, *arguments],
                env=environment,
                cwd=folder,
                input="given",
                capture_output=True,
                text=True,
                umask=0o27,
            )
            for start in ([sys.executable], words)
        ]


STARTS = [
    (["shown.py", "a", "--b=c d", ""], {}),
    (["./shown.py"], {"PYTHONPATH": "package"}),
    (["package/inner.py", "ü"], {"WORD": "é\udcff", "PYTHONPATH": ".:/nowhere:."}),
    (["-m", "shown", "-m", "x"], {}),
    (["-m", "package"], {"NAME": "value"}),
    (["-m", "package.inner", "1"], {"PYTHONPATH": "/nowhere"}),
]


@pytest.mark.parametrize(("arguments", "variables"), STARTS, ids=str)
def test_a_program_sees_what_it_sees_after_a_plain_start(
    preloading: Preloading, folder: Path, arguments: list[str], variables: dict[str, str]
) -> None:
    plain, other = (json.loads(ran.stdout) for ran in both(preloading, arguments, folder, variables))
    assert (plain.pop("preloaded"), other.pop("preloaded")) == (False, True)
    assert other == plain


def test_what_whoever_starts_it_ignores_the_program_ignores(preloading: Preloading, folder: Path) -> None:
    """As in a job that a shell put into the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        plain, other = (json.loads(ran.stdout) for ran in both(preloading, ["shown.py"], folder))
    finally:
        signal.signal(signal.SIGINT, before)
    assert other["signals"] == plain["signals"]
    assert "Handlers.SIG_IGN" in plain["signals"][1]


ENDS = [
    "raise SystemExit(7)",
    "raise SystemExit('said at the end')",
    "raise SystemExit",
    "1 / 0",
    "def f():\n    raise ValueError('x') from KeyError('y')\nf()",
    "import os; os._exit(3)",
    "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "raise KeyboardInterrupt",
    "this is no Python",
    "import atexit; atexit.register(print, 'last'); print('first')",
    "import threading, time; threading.Thread(target=lambda: (time.sleep(.1), print('late'))).start()",
    "import sys; print('out'); print('error', file=sys.stderr); sys.stdout.write('no end of line')",
    "import no_such_package",
    "print(open('code.py').read())",
    "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr): s.reconfigure(errors='replace'); print(s, s.seekable())",
    "import sys; print('a'); sys.stdout.reconfigure(encoding='latin-1', errors='ignore'); print('b\\udcff', input())",
]


@pytest.mark.parametrize("code", ENDS)
def test_it_ends_as_after_a_plain_start(preloading: Preloading, folder: Path, code: str) -> None:
    (folder / "code.py").write_text(f"{code}\n")
    plain, other = both(preloading, ["code.py"], folder)
    assert (other.returncode, other.stdout, other.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_a_module_that_is_not_there_is_told(preloading: Preloading, folder: Path) -> None:
    plain, other = both(preloading, ["-m", "no_such_module_either"], folder)
    assert (other.returncode, other.stdout, other.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert "No module named no_such_module_either" in other.stderr


@pytest.mark.parametrize(
    ("files", "arguments", "variables"),
    [
        ({"colorsys.py": "mine = 1"}, ["shown.py"], {}),
        ({"elsewhere/random/__init__.py": ""}, ["-m", "shown"], {"PYTHONPATH": "elsewhere"}),
        ({"elsewhere/sitecustomize.py": ""}, ["-m", "shown"], {"PYTHONPATH": "elsewhere"}),
        ({}, ["shown.py"], {"OMP_NUM_THREADS": "1"}),
        ({}, ["shown.py"], {"OMP_WAIT_POLICY": "ACTIVE"}),
        ({}, ["shown.py"], {"TZ": "Europe/Berlin"}),
        ({}, ["shown.py"], {"PYTHONHASHSEED": "0"}),
        ({}, ["-u", "shown.py"], {}),
        ({}, ["-c", SHOWN.replace("__file__", "None")], {}),
        ({"archive.zip": "x"}, ["shown.py"], {"PYTHONPATH": "archive.zip"}),
    ],
    ids=str,
)
def test_what_would_import_something_else_starts_plainly(
    preloading: Preloading, folder: Path, files: dict[str, str], arguments: list[str], variables: dict[str, str]
) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    plain, other = (json.loads(ran.stdout) for ran in both(preloading, arguments, folder, variables))
    assert not other["preloaded"]
    assert other == plain


@pytest.mark.parametrize("locale", [{}, {"LANG": "no_such.UTF-8"}, {"LC_ALL": "C"}], ids=str)
def test_where_the_system_has_no_locale_too(folder: Path, locale: dict[str, str]) -> None:
    """The interpreter chooses one then, and sets a variable."""
    variables = {"PATH": VARIABLES["PATH"], **locale}
    server = Preloading(["colorsys"], variables)
    with server.interpreter() as words:
        plain, other = (
            json.loads(
                subprocess.run(
                    [*start, "shown.py"], env=variables, cwd=folder, input="given", capture_output=True, text=True
                ).stdout
            )
            for start in ([sys.executable], words)
        )
    server.close()
    assert (plain.pop("preloaded"), other.pop("preloaded")) == (False, True)
    assert other == plain


def test_what_a_program_sets_before_it_imports_may_be_set_already(preloading: Preloading, folder: Path) -> None:
    _, other = both(preloading, ["shown.py"], folder, {"OMP_WAIT_POLICY": "PASSIVE"})
    assert json.loads(other.stdout)["preloaded"]


def test_no_two_programs_draw_the_same_numbers(preloading: Preloading, folder: Path) -> None:
    (folder / "drawn.py").write_text("import random, tempfile; print(random.random(), tempfile.gettempdir())")
    drawn = [both(preloading, ["drawn.py"], folder)[1].stdout.split() for _ in range(2)]
    assert drawn[0][0] != drawn[1][0]
    assert drawn[0][1] == str(folder)


def test_nor_do_they_from_a_generator_that_a_module_made(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "makes.py").write_text(
        "import random\nclass Own(random.Random): pass\nOWN, THE_SYSTEMS = Own(), random.SystemRandom()\n"
    )
    (tmp_path / "drawn.py").write_text("import makes; print(makes.OWN.random(), makes.THE_SYSTEMS.random())")
    server = Preloading(["makes"], VARIABLES, path=[tmp_path / "modules"])
    environment = {**VARIABLES, "PYTHONPATH": str(tmp_path / "modules")}
    with server.interpreter() as words:
        drawn = {
            number
            for _ in range(3)
            for number in subprocess.run(
                [*words, "drawn.py"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
            ).stdout.split()
        }
    server.close()
    assert len(drawn) == 6


# It writes past the buffer of its output: a signal may arrive inside a print, which can't be entered twice.
WAITS = """
import os, signal, subprocess, sys, time
def heard(number, _):
    os.write(1, b"heard %d\\n" % number)
    sys.exit(4)
if "deaf" not in sys.argv:
    signal.signal(signal.SIGTERM, heard)
child = subprocess.Popen(["sleep", "600"])
os.write(1, b"%d %d\\n" % (os.getpid(), child.pid))
time.sleep(600)
"""


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may end between the opening and the reading
        return False


def until_gone(pids: list[int]) -> None:
    for _ in range(2000):
        if not any(map(is_there, pids)):
            return
        time.sleep(0.01)
    raise AssertionError(f"still there: {pids}")


def started(words: list[str], folder: Path, *more: str) -> tuple[subprocess.Popen[str], list[int]]:
    (folder / "waits.py").write_text(WAITS)
    process = subprocess.Popen(
        [*words, "waits.py", *more],
        cwd=folder,
        env=VARIABLES,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    return process, [int(word) for word in process.stdout.readline().split()]


def test_signals_reach_the_program(preloading: Preloading, folder: Path) -> None:
    with preloading.interpreter() as words:
        process, pids = started(words, folder)
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.read() == f"heard {signal.SIGTERM:d}\n"
        assert process.wait() == 4
        until_gone(pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_ends_with_who_started_it_and_what_it_started_too(
    preloading: Preloading, folder: Path, number: signal.Signals
) -> None:
    with preloading.interpreter() as words:
        process, pids = started(words, folder, "deaf")
        process.send_signal(number)
        assert process.wait() == -number
        until_gone(pids)


def test_a_signal_that_comes_at_once_reaches_the_program_too(preloading: Preloading, folder: Path) -> None:
    """The program may be there before whoever passes signals on has heard that it is."""
    with preloading.interpreter() as words:
        for _ in range(20):
            process, _ = started(words, folder)
            process.terminate()
            assert process.wait() == 4


@pytest.mark.parametrize(("more", "ended"), [([], 4), (["deaf"], -signal.SIGTERM)])
def test_programs_may_end_themselves_when_the_server_is_ended(folder: Path, more: list[str], ended: int) -> None:
    server = Preloading(["colorsys"], VARIABLES, grace_seconds=60)
    with server.interpreter() as words:
        process, pids = started(words, folder, *more)
        server.close()
        assert process.wait() == ended
        until_gone(pids[:1])


def test_a_program_that_does_not_end_itself_is_ended(folder: Path) -> None:
    server = Preloading(["colorsys"], VARIABLES, grace_seconds=0.05)
    lines = ["import os, signal, time", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", "os.write(1, b'here\\n')"]
    (folder / "stays.py").write_text("\n".join([*lines, "time.sleep(600)"]))
    with server.interpreter() as words:
        process = subprocess.Popen([*words, "stays.py"], cwd=folder, env=VARIABLES, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        server.close()
        assert process.stdout.read() == b""
        assert process.wait() == 1
        process.stdout.close()


@pytest.mark.parametrize("request_", [b"", b"no number\n", b"100\n{", b'2\n{"'])
def test_who_breaks_a_request_off_leaves_nothing_open(preloading: Preloading, folder: Path, request_: bytes) -> None:
    """Whoever reads what was to be written there would wait for as long as the server runs."""
    with preloading.interpreter() as words:
        client = socket.socket(socket.AF_UNIX)
        client.connect(words[words.index("-S") + 2])
        read, written = os.pipe()
        socket.send_fds(client, [request_ or b"0"], [written] * 3)
        os.close(written)
        client.close()
        assert both(preloading, ["shown.py"], folder)[1].returncode == 0
        assert os.read(read, 1) == b""
        os.close(read)


def test_the_interpreters_options_are_those_of_a_plain_start_too(folder: Path) -> None:
    server = Preloading(["colorsys"], VARIABLES, flags=("-P", "-B"))
    with server.interpreter() as words:
        for more in ({}, {"OMP_NUM_THREADS": "1"}):
            plain, other = (
                json.loads(
                    subprocess.run(
                        [*start, "shown.py"],
                        env={**VARIABLES, **more},
                        cwd=folder,
                        input="",
                        capture_output=True,
                        text=True,
                    ).stdout
                )
                for start in ([sys.executable, "-P", "-B"], words)
            )
            for told in (plain, other):  # a program that starts from the server has no options to tell
                del told["all arguments"]
            assert (plain.pop("preloaded"), other.pop("preloaded")) == (False, not more)
            assert other == plain
    server.close()
    with Preloading([], VARIABLES, flags=("-P",)).interpreter() as words:
        assert words == [sys.executable, "-P"]


def test_programs_run_at_once(preloading: Preloading, folder: Path) -> None:
    with preloading.interpreter() as words:
        many = [started(words, folder) for _ in range(4)]
        assert len({pids[0] for _, pids in many}) == 4
        for process, _ in many:
            process.terminate()
        assert [process.wait() for process, _ in many] == [4] * 4


def test_the_server_goes_when_nobody_uses_it_and_comes_again(folder: Path) -> None:
    server = Preloading(["colorsys"], VARIABLES, idle_seconds=0.0)
    assert server.session() is None
    for _ in range(2):
        with server.interpreter() as words:
            session = server.session()
            assert session is not None
            ran = subprocess.run(
                [*words, "shown.py"], env=VARIABLES, cwd=folder, input="", capture_output=True, text=True
            )
            assert json.loads(ran.stdout)["preloaded"]
        until_gone([session])
    server.close()


def test_without_a_server_programs_start_plainly(preloading: Preloading, folder: Path) -> None:
    server = Preloading(["colorsys"], VARIABLES)
    with server.interpreter() as words:
        server.close()
        ran = subprocess.run([*words, "shown.py"], env=VARIABLES, cwd=folder, input="", capture_output=True, text=True)
        assert not json.loads(ran.stdout)["preloaded"]
    server.close()
    with Preloading([], VARIABLES).interpreter() as words:
        assert words == [sys.executable]


def test_when_the_server_is_ended_its_programs_end(folder: Path) -> None:
    server = Preloading(["colorsys"], VARIABLES)
    with server.interpreter() as words:
        process, pids = started(words, folder)
        server.close()
        assert process.wait() == 1
        until_gone(pids)
    server.close()


COUNTS = """
import sys
compiled = []
sys.addaudithook(lambda event, args: compiled.append(str(args[1])) if event == "compile" else None)
import shared
print(len([name for name in compiled if "shared" in name]), shared.VALUE, shared.f.__code__.co_filename)
"""


@pytest.fixture(scope="module")
def writes_nothing() -> Iterator[Preloading]:
    """A server of programs that write no bytecode beside their modules, as jobs are."""
    server = Preloading(["colorsys"], {**VARIABLES, "PYTHONDONTWRITEBYTECODE": "1"})
    with server.interpreter():
        yield server
    server.close()


def said(preloading: Preloading, folder: Path, text: str, *, plainly: bool = False) -> tuple[str, str]:
    """What ``counts.py`` in a folder with such a module prints, and its errors; the folder's name is left out."""
    folder.mkdir(exist_ok=True)
    (folder / "shared.py").write_text(text)
    (folder / "counts.py").write_text(COUNTS)
    environment = {**VARIABLES, "PYTHONDONTWRITEBYTECODE": "1"}
    with preloading.interpreter() as words:
        start = [sys.executable] if plainly else words
        ran = subprocess.run([*start, "counts.py"], env=environment, cwd=folder, capture_output=True, text=True)
    assert not (folder / "__pycache__").exists()
    return ran.stdout.replace(f"{folder}/", ""), ran.stderr.replace(f"{folder}/", "")


def test_what_one_program_compiled_the_next_ones_only_read(writes_nothing: Preloading, tmp_path: Path) -> None:
    first = "def f(): pass\nVALUE = 1\n"
    assert said(writes_nothing, tmp_path / "a", first) == ("1 1 shared.py\n", "")
    # THEN the same text is not compiled again, wherever it stands, and another one is, also where it has the same size
    assert said(writes_nothing, tmp_path / "a", first) == ("0 1 shared.py\n", "")
    assert said(writes_nothing, tmp_path / "b", first) == ("0 1 shared.py\n", "")
    assert said(writes_nothing, tmp_path / "a", first.replace("1", "2")) == ("1 2 shared.py\n", "")
    assert said(writes_nothing, tmp_path / "a", first) == ("0 1 shared.py\n", "")


READS = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from botocore.loaders import Loader
first, second = (Loader().load_service_model("sqs", "service-2") for _ in range(2))
print(sum("service-2.json" in name for name in opened), first == second, first is second, len(first["operations"]) > 20)
"""


def test_a_description_that_one_program_read_the_next_ones_have_once(tmp_path: Path) -> None:
    (tmp_path / "reads.py").write_text(READS)
    server = Preloading(["botocore.loaders"], VARIABLES)
    with server.interpreter() as words:
        told = [
            subprocess.run([*words, "reads.py"], env=VARIABLES, cwd=tmp_path, capture_output=True, text=True).stdout
            for _ in range(3)
        ]
    server.close()
    # A session of its own reads its own: it may change what it has.
    assert told == ["2 True False True\n", *["1 True False True\n"] * 2]


def test_where_servers_share_a_folder_nothing_is_written_beside_a_module(tmp_path: Path) -> None:
    """Programs of two servers, which would write their bytecode otherwise."""
    told = []
    for number in range(2):
        server = Preloading(["colorsys"], VARIABLES, compiled=tmp_path / "shared")
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "shared.py").write_text("def f(): pass\nVALUE = 1\n")
        (folder / "counts.py").write_text(COUNTS)
        with server.interpreter() as words:
            ran = subprocess.run([*words, "counts.py"], env=VARIABLES, cwd=folder, capture_output=True, text=True)
        server.close()
        told.append(ran.stdout.replace(f"{folder}/", ""))
        assert not (folder / "__pycache__").exists()
    assert told == ["1 1 shared.py\n", "0 1 shared.py\n"]


@pytest.mark.parametrize(
    "text",
    [
        "def f(): pass\nVALUE = 1 is 1\n",
        "def f(): pass\nVALUE = (\n",
        "VALUE = '\0'\n",
        "# coding: nowhere\nVALUE = 1\n",
        "def f(): pass\n\n\nVALUE = 1 / 0\n",
    ],
)
def test_warnings_and_errors_are_those_of_a_plain_start_each_time(
    writes_nothing: Preloading, tmp_path: Path, text: str
) -> None:
    plain = said(writes_nothing, tmp_path / "a", text, plainly=True)
    assert plain[1]
    for _ in range(2):
        out, errors = said(writes_nothing, tmp_path / "a", text)
        assert errors == plain[1]
        assert out[2:] == plain[0][2:]
