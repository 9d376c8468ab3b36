"""Packages are unpacked once for all local clouds, and only what is as it was unpacked is used again."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from localcloud.services.lambda_.runtime.exceptions import InvalidParameterValueError
from localcloud.services.lambda_.runtime.packages import PackageStore
from support.lambdas import MakeLambda, zipped

CONTENT = zipped({"handler.py": "import inner\n", "inner/__init__.py": "one = 1\n", "data/big.txt": "x" * 1000})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "packages"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_next_cloud_finds_what_one_unpacked(folder: Path) -> None:
    first = PackageStore(folder).put(CONTENT)
    before = names(folder)
    second = PackageStore(folder).put(CONTENT)
    assert second == first
    assert names(folder) == before
    assert (second.directory / "inner" / "__init__.py").read_text() == "one = 1\n"
    assert second.unzipped_bytes == 1000 + len("import inner\n") + len("one = 1\n")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_python_compiled_is_kept_and_counts_for_nothing(folder: Path) -> None:
    first = PackageStore(folder).put(CONTENT)
    compiled = first.directory / "inner" / "__pycache__" / "__init__.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"compiled")
    assert PackageStore(folder).put(CONTENT) == first
    assert compiled.exists()


def add(directory: Path) -> None:
    (directory / "inner" / "more.py").write_text("")


def change(directory: Path) -> None:
    (directory / "inner" / "__init__.py").write_text("one = 2\n")


def take(directory: Path) -> None:
    (directory / "data" / "big.txt").unlink()


def link(directory: Path) -> None:
    (directory / "elsewhere").symlink_to("/")


def open_up(directory: Path) -> None:
    (directory / "handler.py").chmod(0o777)


def lose_facts(directory: Path) -> None:
    (directory.parent / "facts.json").write_text("{")


@pytest.mark.parametrize("write", [add, change, take, link, open_up, lose_facts, lambda d: shutil.rmtree(d)])
def test_what_a_function_has_written_into_is_not_used_again(folder: Path, write: Callable[[Path], None]) -> None:
    first = PackageStore(folder).put(CONTENT)
    write(first.directory)
    second = PackageStore(folder).put(CONTENT)
    assert second.directory != first.directory
    assert (second.directory / "inner" / "__init__.py").read_text() == "one = 1\n"
    assert PackageStore(folder).put(CONTENT) == second


def test_within_a_cloud_a_package_stays_where_it_is(folder: Path) -> None:
    store = PackageStore(folder)
    first = store.put(CONTENT)
    add(first.directory)
    assert store.put(CONTENT) == first


def test_what_nobody_uses_goes_when_something_new_comes(folder: Path) -> None:
    one, other = PackageStore(folder), PackageStore(folder, kept_seconds=-1)
    used = one.put(CONTENT)
    (folder / "partial.left").mkdir()
    other.put(zipped({"handler.py": "2"}))
    assert used.directory.exists()
    assert "partial.left" not in names(folder)
    one.close()
    other.put(zipped({"handler.py": "3"}))
    assert not used.directory.exists()
    assert len(names(folder)) == 2


def test_what_was_used_lately_stays(folder: Path) -> None:
    store = PackageStore(folder)
    used = store.put(CONTENT)
    store.close()
    os.utime(used.directory.parent, (0, 0))
    again = PackageStore(folder)
    again.put(CONTENT)
    again.close()
    PackageStore(folder).put(zipped({"handler.py": "2"}))
    assert used.directory.exists()


def test_several_clouds_may_unpack_the_same_at_once(folder: Path) -> None:
    found = []

    def put() -> None:
        found.append(PackageStore(folder).put(CONTENT))

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all((package.directory / "data" / "big.txt").read_text() == "x" * 1000 for package in found)


def test_what_is_no_package_leaves_nothing(folder: Path) -> None:
    store = PackageStore(folder)
    with pytest.raises(InvalidParameterValueError):
        store.put(zipped({"../outside.py": ""}))
    with pytest.raises(InvalidParameterValueError):
        store.put(b"no zip file")
    assert names(folder) == []


def test_functions_of_two_clouds_share_their_code_and_nothing_else(make_lambda: MakeLambda) -> None:
    """A second cloud does not even compile it again."""
    source = "import os, inner\ndef handle(event, context):\n    return [os.getcwd(), inner.__cached__]\n"
    files = {"handler.py": source, "inner.py": ""}
    ran: list[object] = []
    for _ in range(2):
        cloud = make_lambda()
        cloud.create(files)
        payload = cloud.invoke().payload
        ran += [payload, Path(json.loads(payload)[1]).stat().st_mtime_ns]
    assert ran[:2] == ran[2:]
