"""What a score is computed from is read where it lies."""

from __future__ import annotations

import subprocess
from pathlib import Path

from everloop.cli.operations.readiness import checked_in, found_tests


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def test_a_folder_is_checked_in_as_long_as_nothing_differs(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "ein Modell"
    folder.mkdir(parents=True)
    assert checked_in(folder) is False
    git(tmp_path, "init", "-q")
    assert checked_in(folder) is False, "an empty folder is not kept"
    (folder / "train.py").write_text("x = 1\n", encoding="utf-8")
    assert checked_in(folder) is False
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "A model")
    assert checked_in(folder) is True
    (folder / "train.py").write_text("x = 2\n", encoding="utf-8")
    assert checked_in(folder) is False


def test_tests_are_found_in_the_folder_and_beside_the_project(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "flights"
    folder.mkdir(parents=True)
    assert found_tests(folder) == ()
    (folder / "test_train.py").touch()
    beside = tmp_path / "tests" / "models" / "test_flights.py"
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert found_tests(folder) == (str(folder / "test_train.py"), str(beside))
