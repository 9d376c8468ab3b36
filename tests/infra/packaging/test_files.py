from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from everloop.infra.packaging.files import (
    digest,
    read_folder,
    stage_archive,
    stage_folder,
    write_folder,
    write_tar_gz,
    write_zip,
)

names = st.text("abc", min_size=1, max_size=3)
contents = st.dictionaries(names, st.binary(max_size=20), min_size=1, max_size=4)


def test_archives_are_the_same_bytes_at_another_time(tmp_path: Path) -> None:
    files = {"a.py": b"1", "sub/run.sh": b"2"}
    for name, age in (("one", 0), ("two", 100_000)):
        write_folder(files, tmp_path / name)
        for path in (tmp_path / name).rglob("*"):
            os.utime(path, (age, age))
        write_zip(tmp_path / name, tmp_path / f"{name}.zip")
        write_tar_gz(files, tmp_path / f"{name}.tar.gz")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_scripts_can_be_run(tmp_path: Path) -> None:
    with tarfile.open(write_tar_gz({"evaluate.sh": b"", "a.py": b""}, tmp_path / "t.tar.gz")) as archive:
        assert {m.name: m.mode for m in archive} == {"a.py": 0o644, "evaluate.sh": 0o755}


def test_caches_and_hidden_files_are_not_shipped(tmp_path: Path) -> None:
    write_folder({"a.py": b"", "__pycache__/a.pyc": b"", ".env": b"", "b/.git/config": b""}, tmp_path / "f")
    assert set(read_folder(tmp_path / "f")) == {"a.py"}


@given(contents, contents)
def test_equal_hashes_are_equal_contents(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert (digest(one) == digest(other)) == (one == other)


def test_a_folder_is_staged_whole_and_once(tmp_path: Path) -> None:
    # GIVEN what a synthesis that was broken off has left
    files = {"a.py": b"1", "sub/deep/b.py": b"2", "sub/c.py": b""}
    place = stage_folder(files, "one", tmp_path)
    place.rename(tmp_path / f"{place.name}.writing-{os.getpid()}")
    # WHEN it is staged again, THEN it has its files alone, and nothing is left beside it
    assert stage_folder({"a.py": b"1"}, "one", tmp_path) == place
    assert [path.name for path in tmp_path.iterdir()] == [place.name]
    assert read_folder(place) == {"a.py": b"1"}
    # AND what is there stays, and another hash is another place
    assert stage_folder(files, "one", tmp_path) == place
    assert read_folder(place) == {"a.py": b"1"}
    assert read_folder(stage_folder(files, "two", tmp_path)) == files


def test_what_an_assembly_has_is_linked_and_each_folder_is_whole(tmp_path: Path) -> None:
    shared, one, two = {"a.py": b"1", "sub/b.py": b"2"}, {"own.py": b"one"}, {"own.py": b"two", "sub/c.py": b"1"}
    places = [stage_folder({**shared, **own}, name, tmp_path) for name, own in (("one", one), ("two", two))]
    assert [read_folder(place) for place in places] == [{**shared, **one}, {**shared, **two}]
    assert [[(place / name).stat().st_nlink for name in shared] for place in places] == [[3, 2], [3, 2]]
    # WHEN the assembly is removed and made anew, THEN it is as before, without what it held
    for path in tmp_path.iterdir():
        shutil.rmtree(path)
    assert read_folder(stage_folder({**shared, **two}, "two", tmp_path)) == {**shared, **two}
    # AND what is staged elsewhere is not a part of it
    (tmp_path / "other").mkdir()
    other = stage_folder(shared, "one", tmp_path / "other")
    assert [(other / name).stat().st_nlink for name in shared] == [1, 1]


def test_an_archive_that_is_kept_is_linked_where_that_is_possible(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "assembly").mkdir()
    archive = tmp_path / "kept" / "layer.zip"
    archive.write_bytes(b"1")
    for _ in range(2):
        stage_archive(archive, "one", tmp_path / "assembly")
    (staged,) = (tmp_path / "assembly").iterdir()
    assert staged.samefile(archive)
    assert staged.suffix == ".zip"
    # AND where it is not possible, nothing is there for the CDK to find
    stage_archive(tmp_path / "kept" / "gone.zip", "two", tmp_path / "assembly")
    assert list((tmp_path / "assembly").iterdir()) == [staged]
