"""Deployment packages and layers as files: unpacked once by their hash, for all local clouds that share the cache.

What functions run from is theirs to read only, as on AWS. Here nothing keeps them from writing into it, so a package is
used again only where it is as it was unpacked, but for what Python compiled.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.core.archives import Limits, UnsafeArchiveError, unpack_zip
from localcloud.services.lambda_.runtime.exceptions import InvalidParameterValueError

MAX_UNZIPPED_BYTES = 262_144_000
LIMITS = Limits(members=100_000, total_bytes=MAX_UNZIPPED_BYTES, member_bytes=MAX_UNZIPPED_BYTES)
"""Lambda's own limit on bytes; it has none on members, and no package comes near this one."""

KEPT_SECONDS = 14 * 86_400.0
"""How long a package stays that no local cloud uses."""

_FILES, _FACTS = "files", "facts.json"
_COMPILED = "__pycache__"


@dataclass(frozen=True)
class Package:
    """An unpacked zip file.

    Attributes
    ----------
    sha256 : str
        Base64, as Lambda's CodeSha256.
    directory : Path
    unzipped_bytes : int
        What it counts against Lambda's limit.
    """

    sha256: str
    directory: Path
    unzipped_bytes: int


class PackageStore:
    """Unpacks zip files under a directory that other processes use as well.

    Parameters
    ----------
    kept_seconds : float
        Packages that nobody has used for longer go when a new one comes.
    """

    def __init__(self, directory: Path, *, kept_seconds: float = KEPT_SECONDS) -> None:
        self._directory = directory
        self._kept_seconds = kept_seconds
        self._lock = threading.Lock()
        self._found: dict[str, Package] = {}
        self._held: list[int] = []

    def put(self, content: bytes) -> Package:
        """Unpack a zip file.

        Raises
        ------
        InvalidParameterValueError
            When it is not a zip file, larger than 250 MB unpacked, or has a member that is not a plain file inside.
        """
        digest = hashlib.sha256(content)
        name = digest.hexdigest()[:40]
        with self._lock:
            if name not in self._found:
                kept = self._kept(name) or self._unpacked(content, name)
                sha256 = base64.b64encode(digest.digest()).decode()
                self._found[name] = Package(sha256, kept / _FILES, _read_facts(kept)["bytes"])
            return self._found[name]

    def close(self) -> None:
        """Let others take away what this one used."""
        with self._lock:
            self._found.clear()
            while self._held:
                os.close(self._held.pop())

    def _kept(self, name: str) -> Path | None:
        """What was unpacked before, held from now on; None where there is none, or it has been written into."""
        for kept in sorted(self._directory.glob(f"{name}.*")):
            with contextlib.suppress(OSError, ValueError):
                if self._hold(kept) and _read_facts(kept)["state"] == _state(kept / _FILES):
                    os.utime(kept)
                    return kept
                os.close(self._held.pop())
        return None

    def _hold(self, kept: Path) -> bool:
        """Keep others from taking it away; whether it is still there."""
        descriptor = os.open(kept, os.O_RDONLY)
        self._held.append(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return kept.is_dir() and os.path.samestat(os.fstat(descriptor), kept.stat())

    def _unpacked(self, content: bytes, name: str) -> Path:
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise InvalidParameterValueError("Could not unzip uploaded file. Please check your file.")
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o700)  # people's code: this user's alone
        self._take_away_unused()
        mark = uuid.uuid4().hex
        partial, kept = self._directory / f"partial.{mark}", self._directory / f"{name}.{mark}"
        try:
            unpack_zip(io.BytesIO(content), partial / _FILES, LIMITS)
        except UnsafeArchiveError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise InvalidParameterValueError(f"Could not unzip uploaded file: {error}") from error
        files = partial / _FILES
        size = sum(path.stat().st_size for path in files.rglob("*") if path.is_file())
        facts = {"bytes": size, "state": _state(files)}
        (partial / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        partial.rename(kept)
        self._hold(kept)
        return kept

    def _take_away_unused(self) -> None:
        horizon = time.time() - self._kept_seconds
        for kept in self._directory.iterdir():
            with contextlib.suppress(OSError):  # another process was faster, or uses it
                if kept.stat().st_mtime < horizon:
                    _take_away(kept)


def _take_away(kept: Path) -> None:
    """Remove a package that nobody holds.

    Raises
    ------
    BlockingIOError
        When somebody does.
    """
    descriptor = os.open(kept, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        removed = kept.with_name(f"removed.{uuid.uuid4().hex}")
        kept.rename(removed)
        shutil.rmtree(removed)
    finally:
        os.close(descriptor)


def _read_facts(kept: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((kept / _FACTS).read_text(encoding="utf-8"))
    return facts


def _state(directory: Path) -> str:
    """A hash that changes with any file under a directory, but for those that Python adds when it imports."""
    lines = []
    for entry in _walk(os.fspath(directory)):
        found = entry.stat(follow_symlinks=False)
        lines.append(f"{entry.path}\t{found.st_size}\t{found.st_mtime_ns}\t{found.st_mode}")
    relative = (line.removeprefix(os.fspath(directory)) for line in sorted(lines))
    return hashlib.sha256("\n".join(relative).encode("utf-8", "surrogateescape")).hexdigest()


def _walk(directory: str) -> Iterator[os.DirEntry[str]]:
    """All files under a directory, except those in folders of compiled ones."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry
            elif entry.name != _COMPILED:
                yield from _walk(entry.path)
