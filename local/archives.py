"""Unpacks archives that came as data: plain files and directories only, all inside, within limits.

Members are checked as they come, before each is written, so that an archive that unpacks to more than it may
stops there. On an error what was written stays; callers unpack into a directory of its own and drop it.
"""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from local.containment import EscapingPathError, inside

_COPY_BYTES = 1 << 20


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
                f"the archive has {self._members} members or more; at most {limits.members} may be"
            )
        if size > limits.member_bytes:
            raise UnsafeArchiveError(f"{name!r} has {size} bytes; a member may have {limits.member_bytes}")
        if self._bytes > limits.total_bytes:
            raise UnsafeArchiveError(
                f"the archive unpacks to {self._bytes} bytes or more; at most {limits.total_bytes} may be"
            )


def unpack_tar(archive: Path, into: Path, limits: Limits) -> None:
    """Unpack a tar archive, compressed or not, into a directory.

    Raises
    ------
    UnsafeArchiveError
    """
    budget = _Budget(limits)
    into.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                budget.take(member.name, member.size)
                name = _plain(member.name)
                if not (member.isreg() or member.isdir()):
                    raise UnsafeArchiveError(
                        f"{member.name!r} is a link or a device; only files and directories may be"
                    )
                if name:
                    content = tar.extractfile(member) if member.isreg() else None
                    _write(into, name, content, member.mode)
    except (tarfile.TarError, OSError, EOFError, EscapingPathError) as error:
        raise UnsafeArchiveError(str(error)) from error


def unpack_zip(archive: IO[bytes], into: Path, limits: Limits) -> None:
    """Unpack a zip archive into a directory.

    Raises
    ------
    UnsafeArchiveError
    """
    budget = _Budget(limits)
    into.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                budget.take(entry.orig_filename, entry.file_size)
                mode = entry.external_attr >> 16
                kind = stat.S_IFMT(mode)
                if kind and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise UnsafeArchiveError(
                        f"{entry.orig_filename!r} is a link or a device; only files and directories may be"
                    )
                name = _plain(entry.orig_filename)
                if not name:
                    continue
                if entry.is_dir():
                    _write(into, name, None, mode)
                else:
                    with opened.open(entry) as content:
                        _write(into, name, content, mode)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError, EscapingPathError) as error:
        raise UnsafeArchiveError(str(error)) from error


def _plain(name: str) -> str:
    """A member's name without what archivers put around it; empty for the top directory itself."""
    name = name.removesuffix("/")
    while name.startswith("./"):
        name = name[2:]
    return "" if name == "." else name


def _write(into: Path, name: str, content: IO[bytes] | None, mode: int) -> None:
    path = inside(into, name)
    if content is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(content, file, _COPY_BYTES)
    if mode:
        path.chmod((mode & 0o777) | 0o644)
