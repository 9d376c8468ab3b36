"""Deployment packages and layers as files: unpacked once, by their hash."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import uuid
import zipfile
from pathlib import Path

from localcloud.core.archives import Limits, UnsafeArchiveError, unpack_zip
from localcloud.services.lambda_.runtime.exceptions import InvalidParameterValueError

MAX_UNZIPPED_BYTES = 262_144_000
LIMITS = Limits(members=100_000, total_bytes=MAX_UNZIPPED_BYTES, member_bytes=MAX_UNZIPPED_BYTES)
"""Lambda's own limit on bytes; it has none on members, and no package comes near this one."""


class PackageStore:
    """Unpacks zip files under a directory, each at most once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, content: bytes) -> tuple[str, Path]:
        """Unpack a zip file.

        Returns
        -------
        sha256 : str
            Base64, as Lambda's CodeSha256.
        directory : Path

        Raises
        ------
        InvalidParameterValueError
            When it is no zip file, larger than 250 MB unpacked, or has a member that is no plain file inside.
        """
        digest = hashlib.sha256(content).digest()
        target = self._directory / digest.hex()[:40]
        if not target.is_dir():
            self._unpack(content, target)
        return base64.b64encode(digest).decode(), target

    def _unpack(self, content: bytes, target: Path) -> None:
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise InvalidParameterValueError("Could not unzip uploaded file. Please check your file.")
        partial = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
        try:
            unpack_zip(io.BytesIO(content), partial, LIMITS)
        except UnsafeArchiveError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise InvalidParameterValueError(f"Could not unzip uploaded file: {error}") from error
        try:
            os.rename(partial, target)
        except OSError:  # another thread unpacked the same package first
            shutil.rmtree(partial)


def unzipped_bytes(directory: Path) -> int:
    """The size of all files under a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
