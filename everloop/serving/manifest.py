"""Reads the manifest of an artefact: the hash of every file, so that what is served is what was evaluated.

The registry writes it (:mod:`everloop.registry.manifest`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from everloop.json_text import read_json
from everloop.serving.exceptions import ArtifactRefusedError, ManifestFormatError
from everloop.shown import shown

MANIFEST_FILE = "manifest.json"

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class FileEntry:
    """A file of the artefact: its SHA-256 in hexadecimal, and its size in bytes."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What an artefact consists of and where it comes from.

    Attributes
    ----------
    version : int
        The registered version.
    run_id, snapshot_hash, code_sha256 : str
        The run that made it, the data and the code it was made from.
    created_at : str
        ISO 8601, UTC.
    files : mapping of str to FileEntry
        Every file beside the manifest.
    """

    model: str
    version: int
    run_id: str
    snapshot_hash: str
    code_sha256: str
    created_at: str
    files: Mapping[str, FileEntry]

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read ``manifest.json``.

        Raises
        ------
        ManifestFormatError
            When it has other keys, or values of another type.
        """
        try:
            document = read_json(data)
            files = {
                str(name): FileEntry(_hash_of(entry), _size_of(entry)) for name, entry in document.pop("files").items()
            }
            manifest = cls(files=files, **document)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ManifestFormatError(f"manifest.json is not a manifest: {shown(error)}") from error
        if type(manifest.version) is not int:
            raise ManifestFormatError(f"manifest.json: version is {shown(manifest.version)}, not a whole number")
        return manifest


def verify_files(
    manifest: Manifest, read: Callable[[str], bytes], *, names: Iterable[str] | None = None
) -> dict[str, bytes]:
    """Read files and hold each against the manifest.

    Parameters
    ----------
    manifest : Manifest
        What they have to be.
    read : callable
        Gives the bytes of a file of the artefact.
    names : iterable of str, optional
        Only these files; all of them by default.

    Returns
    -------
    dict of str to bytes
        The verified bytes: what is used later are these, so nothing can change in between.

    Raises
    ------
    ArtifactRefusedError
        Naming the first file that differs, what was expected and what was found.
    """
    verified = {}
    for name in manifest.files if names is None else names:
        entry = manifest.files.get(name)
        if entry is None:
            raise ArtifactRefusedError(name, expected="an entry in the manifest", found="none")
        data = read(name)
        require_hash(name, data, entry.sha256)
        verified[name] = data
    return verified


def require_hash(name: str, data: bytes, expected_sha256: str) -> None:
    """Refuse ``data`` unless it has this hash.

    Raises
    ------
    ArtifactRefusedError
        When it has not.
    """
    found = sha256_hex(data)
    if found != expected_sha256:
        raise ArtifactRefusedError(
            name, expected=f"sha256 {expected_sha256}", found=f"sha256 {found} ({len(data)} bytes)"
        )


def sha256_hex(data: bytes) -> str:
    """SHA-256 of ``data``, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _hash_of(entry: Mapping[str, Any]) -> str:
    value = entry["sha256"]
    if not isinstance(value, str) or len(value) != 64 or not _HEX.issuperset(value):
        raise ValueError(f"{shown(value)} is not a SHA-256")
    return value


def _size_of(entry: Mapping[str, Any]) -> int:
    value = entry["bytes"]
    if type(value) is not int or value < 0:
        raise ValueError(f"{shown(value)} is not a size in bytes")
    return value
