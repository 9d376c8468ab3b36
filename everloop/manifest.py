"""The manifest of a version: what it is made of, with every file's hash, so that what was judged is what serves.

The registry writes it once, as a version is registered; the prediction function and the jobs read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from everloop.instants import WrittenInstant, instant_text
from everloop.json_text import canonical_json, read_json
from everloop.serving.exceptions import ArtifactRefusedError, ManifestFormatError
from everloop.shown import shown

if TYPE_CHECKING:
    from everloop.documents.records import FileFacts

MODEL = "model.onnx"
CONTRACT = "contract.json"
PROFILE = "profile.json"
TRAINING = "training.json"

EVALUATED = (MODEL, CONTRACT, PROFILE, "parity.json", TRAINING)
"""The files an evaluation is about; its report carries their hashes."""

REPORT = "report.json"

FILES = (*EVALUATED, REPORT)
"""The files of a version, besides its manifest."""

REFIT = "refit.json"
"""The report of the check of a refit, where there was one."""

ESTIMATOR = "estimator.zip"
"""The fitted estimator of the files that serve, where ``training.warm_start`` keeps it. Jobs that learn read it;
whatever else moves it takes it as bytes (:mod:`everloop.training.kept_estimator`)."""

SIBLING = "evaluated/"
"""Below it stand the evaluated files of a version whose refit serves: the ones that ``report.json`` is about."""

MANIFEST = "manifest.json"

_OPTIONAL = ("training_days", "parent_version")
"""Keys of a manifest that are not there where there is nothing to say."""

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class FileEntry:
    """A file of the version: its SHA-256 in hexadecimal, and its size in bytes."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a version consists of and where it comes from.

    Attributes
    ----------
    version : int
        The registered version.
    run_id, snapshot_hash, code_sha256 : str
        The run that made it, the data and the code it was made from.
    created_at : datetime
    files : mapping of str to FileEntry
        Every file beside the manifest.
    training_days : int or None
        The newest days that it learned from, where evidence chose them; the text has no such key where it is None.
    parent_version : int or None
        The version that it continues by warm start; the text has no such key where it is None.
    """

    model: str
    version: int
    run_id: str
    snapshot_hash: str
    code_sha256: str
    created_at: datetime
    files: Mapping[str, FileEntry]
    training_days: int | None = None
    parent_version: int | None = None

    @cached_property
    def content(self) -> bytes:
        """Its JSON text, as it is stored. The same facts give the same bytes."""
        document = {**asdict(self), "created_at": instant_text(self.created_at)}
        for name in _OPTIONAL:
            if document[name] is None:
                del document[name]
        return canonical_json(document).encode()

    @property
    def sha256(self) -> str:
        """The hash of its text: the one hash that stands for the whole version."""
        return sha256_hex(self.content)

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
            manifest = cls(files=files, created_at=WrittenInstant.read(document.pop("created_at")), **document)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ManifestFormatError(f"manifest.json is not a manifest: {shown(error)}") from error
        for name in _OPTIONAL:
            value = getattr(manifest, name)
            if value is not None and type(value) is not int:
                raise ManifestFormatError(f"manifest.json: {name} is {shown(value)}, not a whole number")
        if type(manifest.version) is not int:
            raise ManifestFormatError(f"manifest.json: version is {shown(manifest.version)}, not a whole number")
        return manifest


def file_entries(files: Mapping[str, FileFacts]) -> dict[str, FileEntry]:
    """The files of a version as its record has them: name to ``{"sha256", "bytes"}``."""
    return {name: FileEntry(**entry) for name, entry in files.items()}


def artifact_prefix(model: str, version: int) -> str:
    """Where a version's files stand in the artifact bucket, with a final slash."""
    return f"artifacts/{model}/{version:06d}/"


def restored_report(prefix: str, run_id: str) -> str:
    """The key of the report by which run ``run_id`` judged a registered version again; ``prefix`` is the version's."""
    return f"{prefix}restored/{run_id}/{REPORT}"


def verify_files(
    manifest: Manifest, read: Callable[[str], bytes], *, names: Iterable[str] | None = None
) -> dict[str, bytes]:
    """Read files and check each against the manifest.

    Parameters
    ----------
    manifest : Manifest
        What they must be.
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


def _hash_of(entry: Mapping[str, object]) -> str:
    value = entry["sha256"]
    if not isinstance(value, str) or len(value) != 64 or not _HEX.issuperset(value):
        raise ValueError(f"{shown(value)} is not a SHA-256")
    return value


def _size_of(entry: Mapping[str, object]) -> int:
    value = entry["bytes"]
    if type(value) is not int or value < 0:
        raise ValueError(f"{shown(value)} is not a size in bytes")
    return value
