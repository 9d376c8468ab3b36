from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from everloop.dataset.part_digest import files_of, listed_sha256, part_sha256
from everloop.documents.snapshot import PartObject


def written(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_job_finds_what_the_manifest_lists(tmp_path: Path) -> None:
    files = {"part-00001.parquet": b"two", "part-00000.parquet": b"one"}
    listed: list[PartObject] = [
        {"key": f"datasets/m/0a/train/x/{name}", "bytes": 3, "rows": 1, "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    ]
    assert part_sha256(files_of(written(tmp_path, **files))) == listed_sha256(listed)


@pytest.mark.parametrize(
    "other",
    [
        {"a": b"one", "b": b"twO"},
        {"a": b"one"},
        {"a": b"one", "b": b"two", "c": b""},
        {"a": b"two", "b": b"one"},
        {"a": b"onetwo", "b": b""},
        {},
    ],
    ids=["a byte", "a file less", "an empty file more", "exchanged", "moved over", "nothing"],
)
def test_whatever_changes_is_told(tmp_path: Path, other: dict[str, bytes]) -> None:
    kept = part_sha256(files_of(written(tmp_path / "kept", a=b"one", b=b"two")))
    assert part_sha256(files_of(written(tmp_path / "found", **other))) != kept


def test_a_file_longer_than_a_piece_is_read_to_its_end(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    assert files_of(written(tmp_path, a=content)) == {"a": hashlib.sha256(content).hexdigest()}
