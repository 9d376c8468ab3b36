"""Unpacks archives that came as data: plain files and directories only, all inside, within limits.

Members are checked as they come, before each is written, so that an archive that unpacks to more than it may
stops there. On an error what was written stays; callers unpack into a directory of its own and drop it.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from localcloud.core.containment import check_name, inside

_COPY_BYTES = 1 << 18
_HEAD_BYTES = 8192
"""Of a member's head in a tar, its padding and a long name, on average."""

_COMPRESSIONS: tuple[tuple[bytes, Any], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OverflowError,
    RecursionError,
)
"""What the readers of the standard library raise on bytes that are no archive of theirs."""


class UnsafeArchiveError(ValueError):
    """An archive that is damaged, too large, or has a member that is not unpacked; the message says which."""


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to.

    Attributes
    ----------
    members : int
        Files and directories.
    total_bytes, member_bytes : int
        Of all members together, and of one.
    """

    members: int
    total_bytes: int
    member_bytes: int


class _Budget:
    """What of the limits is left."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._members = self._bytes = 0

    def take(self, name: str, size: int) -> None:
        """Count one member in."""
        self._members += 1
        self._bytes += size
        limits = self._limits
        if self._members > limits.members:
            raise UnsafeArchiveError(
                f"the archive has {self._members} members or more; at most {limits.members} are allowed"
            )
        if size > limits.member_bytes:
            raise UnsafeArchiveError(f"{name!r} has {size} bytes; a member may have at most {limits.member_bytes}")
        if self._bytes > limits.total_bytes:
            raise UnsafeArchiveError(
                f"the archive unpacks to {self._bytes} bytes or more; at most {limits.total_bytes} are allowed"
            )


class _Metered:
    """A tar's bytes, uncompressed, within limits: what its own heads hold is read before any member is seen.

    A long name or an extended head (pax) may have any size, and is read at once.
    """

    def __init__(self, stream: Any, limits: Limits) -> None:
        self._stream = stream
        self._left = limits.total_bytes + _HEAD_BYTES * (limits.members + 2)

    def read(self, size: int) -> bytes:
        if size > _COPY_BYTES:
            raise UnsafeArchiveError(f"the header of a member has {size} bytes; at most {_COPY_BYTES} are read")
        self._left -= size
        if self._left < 0:
            raise UnsafeArchiveError("the headers of the archive's members are too large")
        return bytes(self._stream.read(size))

    def seek(self, position: int) -> int:
        return int(self._stream.seek(position))

    def tell(self) -> int:
        return int(self._stream.tell())


def _opened(archive: Path) -> Any:
    """The archive's bytes, uncompressed by what its first bytes say."""
    with archive.open("rb") as file:
        begin = file.read(8)
    opener = next((opener for magic, opener in _COMPRESSIONS if begin.startswith(magic)), open)
    return opener(archive, "rb")


def unpack_tar(archive: Path, into: Path, limits: Limits) -> None:
    """Unpack a tar archive, compressed or not, into a directory.

    Raises
    ------
    UnsafeArchiveError
    """
    budget, written = _Budget(limits), _Written(into)
    into.mkdir(parents=True, exist_ok=True)
    try:
        # Of the parts of a file, tarfile uses those that the meter has.
        with _opened(archive) as stream, tarfile.TarFile(fileobj=cast(IO[bytes], _Metered(stream, limits))) as tar:
            for member in tar:
                budget.take(member.name, member.size)
                name = _plain(member.name)
                if not (member.isreg() or member.isdir()):
                    raise UnsafeArchiveError(
                        f"{member.name!r} is a link or a device; only files and directories are allowed"
                    )
                if name:
                    content = tar.extractfile(member) if member.isreg() else None
                    written.write(name, content, member.mode)
    except UnsafeArchiveError:
        raise
    except _DAMAGED as error:
        raise UnsafeArchiveError(str(error)) from error


def unpack_zip(archive: IO[bytes], into: Path, limits: Limits) -> None:
    """Unpack a zip archive into a directory.

    Raises
    ------
    UnsafeArchiveError
    """
    budget, written = _Budget(limits), _Written(into)
    into.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                budget.take(entry.orig_filename, entry.file_size)
                mode = entry.external_attr >> 16
                kind = stat.S_IFMT(mode)
                if kind and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise UnsafeArchiveError(
                        f"{entry.orig_filename!r} is a link or a device; only files and directories are allowed"
                    )
                name = _plain(entry.orig_filename)
                if not name:
                    continue
                if entry.is_dir():
                    written.write(name, None, mode)
                else:
                    with opened.open(entry) as content:
                        written.write(name, content, mode)
    except UnsafeArchiveError:
        raise
    except _DAMAGED as error:
        raise UnsafeArchiveError(str(error)) from error


def _plain(name: str) -> str:
    """A member's name without what archivers put around it; empty for the top directory itself."""
    name = name.removesuffix("/")
    while name.startswith("./"):
        name = name[2:]
    return "" if name == "." else name


class _Written:
    """A directory that is written into: of members that are in one directory, it looks for links on the way once."""

    def __init__(self, into: Path) -> None:
        self._into = into
        self._known: set[str] = set()

    def write(self, name: str, content: IO[bytes] | None, mode: int) -> None:
        """Write a file, or make a directory where there is no content."""
        parent, path = name.rpartition("/")[0], os.path.join(self._into, name)
        if content is None:
            inside(self._into, name).mkdir(parents=True, exist_ok=True)
            return
        if parent in self._known and not os.path.islink(path):
            check_name(name)
        else:
            inside(self._into, name).parent.mkdir(parents=True, exist_ok=True)
            self._known.add(parent)
        with open(path, "wb") as file:
            shutil.copyfileobj(content, file, _COPY_BYTES)
        if mode:
            os.chmod(path, (mode & 0o777) | 0o644)
