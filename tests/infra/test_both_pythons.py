"""The code and the functions' packages are good for the deployed Python and for every Python the tools run on.

Only one Python is here at a time, so it is what is written that is judged: syntax by ruff, what the standard library
got later by vermin, the modules it lost by a list. What a module lost while it stayed itself, none of them knows.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from everloop.infra.packaging.imports import imported_names
from everloop.infra.packaging.requirements import Target, plain_pins, read_lines
from everloop.infra.settings import PYTHON_VERSION

ROOT = Path(__file__).parents[2]
PYTHONS = ["3.11", "3.12", "3.13"]
OLDEST = PYTHONS[0]
RUFF_TARGET = f"py{OLDEST.replace('.', '')}"
FUNCTIONS = sorted(path.name for path in (ROOT / "functions").iterdir() if (path / "handler.py").exists())
ROOMS = ["everloop", "functions", "training", "models", "cli", "infra", "localcloud/src", "tools", "app.py"]
LOST_IN_3_12 = {"asynchat", "asyncore", "distutils", "imp", "smtpd"}
LOST_IN_3_13 = {"aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap", "msilib", "nis"}
LOST_IN_3_13 |= {"nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"}
LOST = LOST_IN_3_12 | LOST_IN_3_13
"""Modules of the oldest Python's standard library that a newer one does not have."""

REFUSED = {
    "nested quotes": ('print(f"{dict(a=1)["a"]}")', "f-string"),
    "type parameters": ("def first[T](items: list[T]) -> T:\n    return items[0]\n", "type parameter"),
    "a type statement": ("type Row = dict[str, float]", "type` alias"),
    "a new name, imported": ("from itertools import batched", "itertools.batched"),
    "a new name, by its module": ("import os\n\nprint(os.process_cpu_count())", "os.process_cpu_count"),
    "a new method": ('from pathlib import Path\n\nprint(list(Path(".").walk()))', "pathlib.Path.walk"),
    "a new parameter": ('import shutil\n\nshutil.rmtree("x", onexc=print)', "onexc"),
    "a lost module": ("import cgi", "cgi"),
    "a part of a lost package": ("from distutils.util import strtobool", "distutils"),
    "a lost module, imported late": ("def run():\n    import telnetlib", "telnetlib"),
}
ADMITTED = """
import tomllib
from datetime import UTC, datetime
from typing import Self


class Clock:
    def now(self) -> Self:
        print(f"{datetime.now(UTC)}", tomllib.loads("a = 1"))
        return self
"""


def complaints(place: Path) -> list[str]:
    """What a file or folder says that one of the Pythons would not understand."""
    plainly = ["--isolated", "--no-cache", "--output-format=concise", "--select=E9"]
    said = _run("ruff", "check", *plainly, f"--target-version={RUFF_TARGET}", str(place))
    if said:
        return said  # the others can't read it
    # No comment leaves anything out: they are not read, which takes a fifth of the time.
    plainly = ["--no-config-file", "--no-tips", "--quiet", "--violations", "--no-parse-comments", "--processes=1"]
    said = _run("vermin", *plainly, f"--target={OLDEST}-", str(place))
    for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
        roots = {name.split(".")[0] for name in imported_names(file.read_text(encoding="utf-8"), file=str(file))}
        said += [f"{file}: imports {name}, which {PYTHONS[-1]} has not" for name in sorted(roots & LOST)]
    return said


def _run(tool: str, *arguments: str) -> list[str]:
    command = [str(Path(sys.executable).with_name(tool)), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode == 0:
        return []
    return (finished.stdout + finished.stderr).splitlines() or [f"{tool} ended with {finished.returncode}"]


def names(pins: list[str]) -> list[str]:
    return [pin.split("==")[0].lower() for pin in pins]


def test_the_deployed_python_is_among_them() -> None:
    assert PYTHON_VERSION in PYTHONS


@pytest.mark.parametrize("room", ROOMS)
def test_what_is_written_each_of_them_understands(room: str) -> None:
    assert complaints(ROOT / room) == []


@pytest.mark.parametrize("sample", REFUSED)
def test_what_one_of_them_does_not_understand_is_found(sample: str, tmp_path: Path) -> None:
    source, named = REFUSED[sample]
    (tmp_path / "sample.py").write_text(source + "\n")
    said = complaints(tmp_path)
    assert named in "\n".join(said)


def test_what_all_of_them_understand_is_not(tmp_path: Path) -> None:
    (tmp_path / "sample.py").write_text(ADMITTED)
    assert complaints(tmp_path / "sample.py") == []


def test_the_linter_judges_by_the_oldest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["ruff"]["target-version"] == RUFF_TARGET
    assert project["project"]["requires-python"] == f">={OLDEST},<3.14"


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_its_requirements_name_each_package_once_on_each(function: str, architecture: str) -> None:
    """The same packages everywhere, each pinned, and pinned as the environment of the tools pins it."""
    lines = read_lines(ROOT / "functions" / function / "requirements.txt")
    constraints = read_lines(ROOT / "constraints.txt")
    found = {python: plain_pins(lines, Target(python, architecture)) for python in PYTHONS}
    for python, pins in found.items():
        assert len(names(pins)) == len(set(names(pins))), (python, pins)
        assert set(names(pins)) == set(names(found[PYTHON_VERSION])), (python, pins)
        pinned_here = {pin.lower() for pin in plain_pins(constraints, Target(python, architecture))}
        assert {pin.lower() for pin in pins} <= pinned_here, python
