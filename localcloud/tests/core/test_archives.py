"""What archives may hold, and how much."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from localcloud.core.archives import Limits, UnsafeArchiveError, unpack_tar, unpack_zip

LIMITS = Limits(members=5, total_bytes=1000, member_bytes=600)
Unpack = Callable[[dict[str, bytes], Limits], Path]


@pytest.fixture(params=["tar", "zip"])
def unpack(request: pytest.FixtureRequest, tmp_path: Path) -> Unpack:
    """Packs files by name and unpacks them; the directory."""
    into = tmp_path / "up" / "into"

    def run(files: dict[str, bytes], limits: Limits) -> Path:
        if request.param == "tar":
            packed = tmp_path / "packed.tar.gz"
            with tarfile.open(packed, "w:gz") as tar:
                for name, content in files.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
            unpack_tar(packed, into, limits)
        else:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in files.items():
                    archive.writestr(zipfile.ZipInfo(name), content)
            unpack_zip(buffer, into, limits)
        return into

    return run


def files_of(directory: Path) -> dict[str, bytes]:
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_plain_files_are_unpacked(unpack: Unpack) -> None:
    assert files_of(unpack({"a.py": b"1", "b/c.py": b"2", "./d/e": b""}, LIMITS)) == {
        "a.py": b"1",
        "b/c.py": b"2",
        "d/e": b"",
    }


@pytest.mark.parametrize("name", ["../a", "b/../../a", "/tmp/a", "..", "a\\..\\b"])
def test_a_member_that_leads_out_is_refused(unpack: Unpack, tmp_path: Path, name: str) -> None:
    before = {path for path in tmp_path.rglob("*") if "packed" not in path.name}

    with pytest.raises(UnsafeArchiveError, match=r"part|absolute|backslash"):
        unpack({name: b"x"}, LIMITS)

    new = {path for path in tmp_path.rglob("*") if "packed" not in path.name} - before
    assert all(path.is_dir() for path in new)


@pytest.mark.parametrize(
    ("files", "numbers"),
    [
        ({f"m{n}": b"" for n in range(6)}, r"6 members.*at most 5"),
        ({"big": b"x" * 601}, r"'big' has 601 bytes.*600"),
        ({"a": b"x" * 500, "b": b"x" * 501}, r"1001 bytes.*at most 1000"),
    ],
)
def test_a_limit_is_told_with_its_number(unpack: Unpack, files: dict[str, bytes], numbers: str) -> None:
    with pytest.raises(UnsafeArchiveError, match=numbers):
        unpack(files, LIMITS)


def test_what_just_fits_is_unpacked(unpack: Unpack) -> None:
    assert len(files_of(unpack({"a": b"x" * 600, "b": b"x" * 400, "c": b"", "d": b"", "e": b""}, LIMITS))) == 5


def test_nothing_after_a_limit_is_written(unpack: Unpack, tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchiveError):
        unpack({"a": b"x", "big": b"\0" * 100_000, "after": b"x"}, LIMITS)

    assert files_of(tmp_path / "up" / "into") == {"a": b"x"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("m")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)

    with pytest.raises(UnsafeArchiveError, match="'m' is a link or a device"):
        unpack_tar(tmp_path / "a.tar.gz", tmp_path / "into", LIMITS)
    assert not list((tmp_path / "into").iterdir())


def test_a_link_of_a_zip_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("m")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")

    with pytest.raises(UnsafeArchiveError, match="'m' is a link or a device"):
        unpack_zip(buffer, tmp_path / "into", LIMITS)


def test_a_size_that_is_not_the_truth_is_no_way_round(tmp_path: Path) -> None:
    # GIVEN a zip whose directory says ten bytes of a member that unpacks to a hundred thousand
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m", b"\0" * 100_000)
    lying = buffer.getvalue().replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))

    with pytest.raises(UnsafeArchiveError):
        unpack_zip(io.BytesIO(lying), tmp_path / "into", LIMITS)
    assert sum(path.stat().st_size for path in (tmp_path / "into").rglob("*")) <= 10


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x1f\x8b\x08\x00broken"])
def test_what_is_no_archive_is_said_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)

    with pytest.raises(UnsafeArchiveError):
        unpack_tar(tmp_path / "a", tmp_path / "into", LIMITS)
    with pytest.raises(UnsafeArchiveError):
        unpack_zip(io.BytesIO(content), tmp_path / "other", LIMITS)


def test_programs_stay_programs(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, mode in (("run.sh", 0o755), ("data", 0o600)):
            member = tarfile.TarInfo(name)
            member.mode = mode
            tar.addfile(member)

    unpack_tar(tmp_path / "a.tar", tmp_path / "into", LIMITS)

    assert os.access(tmp_path / "into" / "run.sh", os.X_OK)
    assert not (tmp_path / "into" / "data").stat().st_mode & stat.S_IXUSR


def tar_of(tmp_path: Path, *members: tuple[bytes, bytes]) -> Path:
    """A gzipped tar of members of the given types, which say no more than their content."""
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for kind, content in members:
            head = tarfile.TarInfo("m")
            head.type, head.size = kind, len(content)
            file.write(head.tobuf(tarfile.GNU_FORMAT))
            file.write(content + b"\0" * (-len(content) % 512))
        file.write(b"\0" * 1024)
    return path


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_the_head_of_a_member_is_bounded_too(tmp_path: Path, kind: bytes) -> None:
    # GIVEN sixty megabytes that are a name, or settings of the next member, in an archive of sixty thousand bytes
    path = tar_of(tmp_path, (kind, b"a" * 60_000_000), (tarfile.REGTYPE, b"x"))
    tracemalloc.start()
    try:
        with pytest.raises(UnsafeArchiveError, match="header of a member has 6000"):
            unpack_tar(path, tmp_path / "into", LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_heads_without_end_are_refused(tmp_path: Path) -> None:
    heads = [(tarfile.GNUTYPE_LONGNAME, b"a" * 1000)] * 2000

    with pytest.raises(UnsafeArchiveError):
        unpack_tar(tar_of(tmp_path, *heads, (tarfile.REGTYPE, b"x")), tmp_path / "into", LIMITS)
    assert not files_of(tmp_path / "into")


@pytest.mark.parametrize("compression", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_every_compression_is_taken_and_any_damage_is_said(
    tmp_path: Path, compression: Literal["w:", "w:gz", "w:bz2", "w:xz"]
) -> None:
    path, content = tmp_path / "packed", os.urandom(500)
    with tarfile.open(path, compression) as tar:
        member = tarfile.TarInfo("m")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    unpack_tar(path, tmp_path / "into", LIMITS)
    assert files_of(tmp_path / "into") == {"m": content}
    whole = path.read_bytes()

    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with contextlib.suppress(UnsafeArchiveError):  # and no other error
            unpack_tar(path, tmp_path / f"into{place}", LIMITS)
        path.write_bytes(whole[:place])
        with contextlib.suppress(UnsafeArchiveError):
            unpack_tar(path, tmp_path / f"cut{place}", LIMITS)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_any_damage_of_a_zip_is_said(tmp_path: Path, method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("mé", b"content" * 50)
    whole = buffer.getvalue()

    refused = 0
    for place in range(len(whole)):
        damaged = whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        try:
            unpack_zip(io.BytesIO(damaged), tmp_path / f"into{place}", LIMITS)
        except UnsafeArchiveError:
            refused += 1
    assert refused > len(whole) / 4
