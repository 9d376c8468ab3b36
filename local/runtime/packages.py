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

from local.runtime.exceptions import InvalidParameterValueError

MAX_UNZIPPED_BYTES = 262_144_000


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
            When it is no zip file, or larger than 250 MB unpacked.
        """
        digest = hashlib.sha256(content).digest()
        target = self._directory / digest.hex()[:40]
        if not target.is_dir():
            self._unpack(content, target)
        return base64.b64encode(digest).decode(), target

    def _unpack(self, content: bytes, target: Path) -> None:
        try:
            archive = zipfile.ZipFile(io.BytesIO(content))
        except zipfile.BadZipFile:
            raise InvalidParameterValueError("Could not unzip uploaded file. Please check your file.") from None
        size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_UNZIPPED_BYTES:
            raise InvalidParameterValueError(
                f"Unzipped size must be smaller than {MAX_UNZIPPED_BYTES} bytes; this package has {size}"
            )
        partial = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
        partial.mkdir(parents=True)
        for entry in archive.infolist():
            path = Path(archive.extract(entry, partial))
            mode = entry.external_attr >> 16
            if path.is_file() and mode:
                path.chmod((mode & 0o777) | 0o644)
        try:
            os.rename(partial, target)
        except OSError:  # another thread unpacked the same package first
            shutil.rmtree(partial)


def unzipped_bytes(directory: Path) -> int:
    """The size of all files under a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
