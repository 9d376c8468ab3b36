"""An archive of the training job is read as far as a candidate may go, and no further."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.limits import LARGEST_DOCUMENT_BYTES, LARGEST_MODEL_BYTES
from everloop.training.candidate import FILES, MOST_BYTES, MOST_MEMBERS, read_candidate
from everloop.training.exceptions import CandidateError

MEGABYTE = 1024**2


class Zeros(io.RawIOBase):
    """That many zeros, without holding them."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        given = self._left if size < 0 else min(size, self._left)
        self._left -= given
        return bytes(given)


def archive(folder: Path, members: list[tuple[str, int]]) -> Path:
    """A ``model.tar.gz`` of members full of zeros."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / "model.tar.gz", "w:gz", compresslevel=1) as tar:
        for name, size in members:
            member = tarfile.TarInfo(name)
            member.size = size
            tar.addfile(member, Zeros(size))
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(CandidateError) as refused:
        read_candidate(folder, test_rows=1)
    return str(refused.value)


def test_a_member_larger_than_a_candidate_may_be_is_refused_unread(tmp_path: Path) -> None:
    folder = archive(tmp_path, [("contract.json", LARGEST_DOCUMENT_BYTES + 1)])
    assert (folder / "model.tar.gz").stat().st_size < MEGABYTE
    tracemalloc.start()
    told = refusal(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told == "contract.json has 33,554,433 bytes; at most 33,554,432 are accepted: train a smaller model"
    assert peak < LARGEST_DOCUMENT_BYTES / 2


def test_a_model_has_a_limit_of_its_own(tmp_path: Path) -> None:
    # GIVEN a header that promises a model too large; nothing of it has to be there
    header = tarfile.TarInfo("./model.onnx")
    header.size = LARGEST_MODEL_BYTES + 1
    (tmp_path / "model.tar.gz").write_bytes(gzip.compress(header.tobuf()))
    assert refusal(tmp_path).startswith(f"model.onnx has {LARGEST_MODEL_BYTES + 1:,} bytes; at most ")


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_archive_unpacks_to_so_much_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: bytes
) -> None:
    # GIVEN an archive of a few kilobytes with a member, or a member's name, of many megabytes
    monkeypatch.setattr("everloop.training.candidate.MOST_BYTES", 4 * MEGABYTE)
    header = tarfile.TarInfo("other.bin")
    header.type, header.size = kind, 64 * MEGABYTE
    (tmp_path / "model.tar.gz").write_bytes(gzip.compress(header.tobuf() + bytes(64 * MEGABYTE)))
    tracemalloc.start()
    told = refusal(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # THEN it is read up to the limit, which the refusal names
    assert "unpacks to more than 4,194,304 bytes" in told
    assert peak < 16 * MEGABYTE
    assert MOST_BYTES == 1024 * MEGABYTE


def test_more_members_than_any_job_leaves_are_refused(tmp_path: Path) -> None:
    folder = archive(tmp_path, [(f"m{i}", 0) for i in range(MOST_MEMBERS + 1)])
    assert "has more than 10,000 members" in refusal(folder)


def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    assert "has parity.json twice" in refusal(archive(tmp_path, [("parity.json", 1), ("./parity.json", 1)]))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    folder = archive(tmp_path, [(name, 1) for name in FILES if name != "profile.json"])
    assert refusal(folder) == "the candidate's archive has no profile.json"


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[]", b"{", b"\xff", b"9" * 5000])
def test_a_document_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        for name in FILES:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert len(refusal(tmp_path)) < 500


@given(data=st.binary(max_size=2000), packed=st.booleans())
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, packed: bool) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "model.tar.gz").write_bytes(gzip.compress(data) if packed else data)
    refusal(folder)


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    folder = archive(tmp_path, [(name, 100_000) for name in FILES])
    whole = (folder / "model.tar.gz").read_bytes()
    for length in (10, len(whole) // 2, len(whole) - 3):
        (folder / "model.tar.gz").write_bytes(whole[:length])
        assert "is not a readable archive" in refusal(folder)
