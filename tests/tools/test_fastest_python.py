"""Which Python the project's environment is made with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import fastest_python
from tools.fastest_python import candidates, chosen, fastest, main, measured, of_environment

NAME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
OWN = list(sys.version_info[:2])

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts a program on the PATH that answers so, and with that status."""

    def put(folder: str, answer: object, status: int = 0, name: str = NAME) -> Path:
        program = tmp_path / folder / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\nexit {status}\n")
        program.chmod(0o755)
        return program

    monkeypatch.setenv("PATH", ":".join(str(tmp_path / folder) for folder in ("first", "second", "third")))
    monkeypatch.setattr(fastest_python, "ENVIRONMENT", tmp_path / "none")
    return put


@pytest.mark.parametrize(
    ("others", "expected"),
    [([], "own"), ([(0.95, "a")], "own"), ([(0.89, "a")], "a"), ([(0.8, "a"), (0.7, "b")], "b"), ([(2.0, "a")], "own")],
)
def test_another_is_taken_where_it_is_faster_by_more_than_chance(
    others: list[tuple[float, str]], expected: str
) -> None:
    assert chosen((1.0, "own"), others) == expected


def test_the_fastest_on_the_path_is_taken(put: Put) -> None:
    put("first", [OWN, "/slow/python", 1e6])
    put("second", [OWN, "/fast/python", 1e-9])
    put("third", [OWN, "/less/python", 1e-6])
    assert fastest() == "/fast/python"


def test_what_can_make_no_environment_is_left_out(put: Put) -> None:
    put("first", [OWN, "/no/ensurepip", 1e-9], status=1)
    put("second", [[OWN[0], OWN[1] + 1], "/another/version", 1e-9])
    put("third", "no measure", status=0)
    assert fastest() == sys._base_executable  # type: ignore[attr-defined]  # of site


def test_programs_behind_one_file_are_measured_once(put: Put, tmp_path: Path) -> None:
    program = put("first", [OWN, "/one/python", 1.0])
    put("second", [OWN, "/other/python", 1.0], name="python3.99")
    (tmp_path / "third").symlink_to(program.parent)
    assert list(candidates()) == [str(program)]


def test_a_real_one_is_measured() -> None:
    found = measured(sys.executable)
    assert found is not None
    assert found[0] > 0
    assert found[1] == sys._base_executable  # type: ignore[attr-defined]  # of site


@pytest.mark.parametrize("line", [f"version = {OWN[0]}.{OWN[1]}.99", f"version={OWN[0]}.{OWN[1]}.0"])
def test_that_of_the_environment_stays(
    put: Put, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put("first", [OWN, "/fast/python", 1e-9])
    kept = put("kept", None)
    monkeypatch.setattr(fastest_python, "ENVIRONMENT", tmp_path)
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{line}\nexecutable = {kept}\n")
    assert of_environment() == str(kept)
    assert main() == 0
    assert capsys.readouterr().out == f"{kept}\n"
    # WHEN it is gone, or of another version, THEN the fastest is looked for
    kept.unlink()
    assert of_environment() is None
    kept = put("kept", None)
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = 3.10.2\nexecutable = {kept}\n")
    assert of_environment() is None
    assert main() == 0
    assert capsys.readouterr().out == "/fast/python\n"
