from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging import compiled
from everloop.infra.packaging.compiled import caches_of, compile_folder
from everloop.infra.packaging.files import write_folder

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
SHARED = {"everloop/__init__.py": b"", "everloop/a.py": b"def f(x):\n    return x + 1\n"}
ASSETS = [
    {**SHARED, "handler.py": b"from everloop.a import f\n", "declaration.json": b"{}"},
    {**SHARED, "handler.py": b"import everloop.a\nVALUE = '\xc3\xa4'\n"},
    {"declaration.json": b"{}"},
]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each interpreter was asked to compile."""
    asked: list[str] = []
    run = subprocess.run

    def noting(command: list[str], **how: Any) -> Any:
        asked.append(how["input"])
        return run(command, **how)

    monkeypatch.setattr(subprocess, "run", noting)
    monkeypatch.setattr(compiled, "_known", {})
    return asked


def test_caches_are_those_that_a_folder_is_given(tmp_path: Path) -> None:
    for number, (asset, caches) in enumerate(zip(ASSETS, caches_of(ASSETS, HERE, place="/var/task"), strict=True)):
        folder = write_folder(asset, tmp_path / str(number))
        assert compile_folder(folder, HERE, place="/var/task")
        written = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.pyc")}
        assert caches == written
        assert len(caches) == sum(name.endswith(".py") for name in asset)


def test_one_process_compiles_each_module_once(started: list[str]) -> None:
    first = caches_of(ASSETS, HERE, place="/var/task")
    assert [asked.count("/var/task/everloop/a.py") for asked in started] == [1]
    assert [asked.count("/var/task/handler.py") for asked in started] == [2], "one of each text"
    assert first[0]["everloop/__pycache__/a." + str(sys.implementation.cache_tag) + ".pyc"]
    assert caches_of(ASSETS, HERE, place="/var/task") == first
    assert len(started) == 1
    assert caches_of(ASSETS[:1], HERE, place="/opt/python") != first[:1]
    assert len(started) == 2, "a cache tells where its module stands"


def test_a_module_that_can_not_be_compiled_is_named(started: list[str]) -> None:
    with pytest.raises(PackagingError, match=r"can't be compiled: (.|\n)*/var/task/handler\.py"):
        caches_of([{**SHARED, "handler.py": b"def (:\n"}], HERE, place="/var/task")
    assert compiled._known == {}


def test_without_the_interpreter_there_are_none() -> None:
    assert caches_of(ASSETS, "3.99", place="/var/task") == [{}, {}, {}]
