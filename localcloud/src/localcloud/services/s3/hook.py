"""What S3's objects hold is on the disk: a year of a lake would otherwise stand in the memory of one process.

moto keeps each object in a temporary file that is in memory up to 16 MB, and open on the disk beyond that. Here
every object is a file of its own in the state directory, closed between uses and deleted with its object.

Objects that a bucket's lifecycle rules let expire are deleted as the service does it, some time after: on the
first request of each day of the local clock. Rules for current versions by prefix and age in days are carried out;
others are kept and shown, not acted upon.

Superfluous once moto can keep objects in files of a directory, shares what they have alike, and carries lifecycle
rules out.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import moto.s3.models as models
from moto.s3.models import FakeBucket, FakeKey, S3Backend
from moto.utilities.utils import LowercaseDict

from localcloud.core.context import CloudContext
from localcloud.core.patching import add, replace, wrap

_SMALL_BYTES = 256
"""What a file would take more of than memory does."""

_USUALLY_NONE = (
    "website_redirect_location",
    "checksum_algorithm",
    "checksum_value",
    "checksum_type",
    "checksum_parts",
    "multipart",
    "encryption",
    "kms_key_id",
    "bucket_key_enabled",
    "lock_mode",
    "lock_legal_status",
    "lock_until",
    "_expiry",
)

_numbers = itertools.count(1)


class Content:
    """The bytes of one object, with as much of a file's interface as moto uses. A file goes with its object."""

    __slots__ = ("_directory", "_file", "_is_closed", "_position", "_small")

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._small = b""
        self._file = 0
        self._position = 0
        self._is_closed = False

    def seek(self, position: int) -> int:
        """Read or write from there on."""
        if self._is_closed:
            raise ValueError("the object is deleted")
        self._position = position
        return position

    def truncate(self) -> None:
        """Drop everything: moto writes an object anew or not at all."""
        self._drop()

    def write(self, data: bytes) -> int:
        """Take the object's bytes, all at once."""
        self._drop()
        if len(data) <= _SMALL_BYTES:
            self._small = bytes(data)
        else:
            self._file = next(_numbers)
            with open(self._path, "wb") as file:
                file.write(data)
        self._position = len(data)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Bytes from the position on."""
        if not self._file:
            end = len(self._small) if size < 0 else self._position + size
            data = self._small[self._position : end]
        else:
            with open(self._path, "rb") as file:
                file.seek(self._position)
                data = file.read(size)
        self._position += len(data)
        return data

    def close(self) -> None:
        """Let go of the bytes; whoever still reads is told so."""
        self._drop()
        self._is_closed = True

    def __del__(self) -> None:
        self._drop()

    @property
    def _path(self) -> str:
        return f"{self._directory}/{self._file}"

    def _drop(self) -> None:
        if self._file:
            with suppress(OSError):
                os.unlink(self._path)
        self._small, self._file, self._position = b"", 0, 0


class Lifecycle:
    """Deletes what the rules of buckets let expire, once a day of the local clock."""

    def __init__(self, context: CloudContext) -> None:
        self._clock = context.clock
        self._swept: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def sweep(self, backend: S3Backend, bucket_name: str) -> None:
        """Delete what expired in a bucket, unless that was done today."""
        today = self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        with self._lock:
            if self._swept.get(bucket_name) == today:
                return
            self._swept[bucket_name] = today
        bucket = backend.buckets.get(bucket_name)
        if bucket is None:
            return
        for prefix, days in _expirations(bucket):
            # Expired at the midnight after the day on which they came of age.
            oldest = today - timedelta(days=days)
            for name in [name for name in list(dict.keys(bucket.keys)) if name.startswith(prefix)]:
                key = bucket.keys.get(name)
                if isinstance(key, FakeKey) and _aware(key.last_modified) < oldest:
                    backend.delete_object(bucket_name, name)


def _expirations(bucket: FakeBucket) -> list[tuple[str, int]]:
    found = []
    for rule in bucket.rules or []:
        if rule.status == "Enabled" and rule.expiration_days:
            prefix = rule.filter.prefix if rule.filter else rule.prefix
            if prefix is not None:
                found.append((prefix, int(rule.expiration_days)))
    return found


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _share(context: CloudContext, private: Any) -> None:
    """Let an object hold only what it does not have in common with most others.

    moto gives each some forty attributes, too many for Python to share their names among instances: two kilobytes
    for an object of a few bytes. What has the usual value is read from the class.
    """
    usual: dict[str, Any] = {
        "account_id": context.account_id,
        "region_name": "aws",
        "partition": "aws",
        "acl": private,
        "disposed": False,
        "model_name": "s3::keyrestore",
        "_is_versioned": False,
        "_max_buffer_size": models.get_s3_default_key_buffer_size(),
        "_status": None,
        "_storage_class": "STANDARD",
        "_tick": 0,
        "_version_id": "null",
        "_transitions": [(None, "IN_PROGRESS"), ("IN_PROGRESS", "RESTORED")],
        **dict.fromkeys(_USUALLY_NONE),
    }
    for name, value in usual.items():
        add(FakeKey, name, value)
    # When its state last changed: counts only where moto is told to let states take time, and nobody can tell it here.
    add(FakeKey, "_time_progressed", datetime.min)
    missing = object()

    def sparing(self: FakeKey, name: str, value: Any) -> None:
        if name == "_time_progressed":
            return
        if name == "bucket_name" and type(value) is str:
            value = sys.intern(value)
        common = usual.get(name, missing)
        if common is missing or value != common or getattr(self, name) != common:
            object.__setattr__(self, name, value)

    replace(FakeKey, "__setattr__", sparing)


def install(context: CloudContext) -> None:
    """Keep contents on the disk, share what all objects have alike, and let objects expire."""
    directory = context.state_directory / "objects"
    directory.mkdir(parents=True, exist_ok=True)
    lifecycle = Lifecycle(context)
    private = models.get_canned_acl("private")

    def swept(original: Any) -> Any:
        def get_bucket(self: S3Backend, bucket_name: str, *arguments: Any, **keywords: Any) -> Any:
            lifecycle.sweep(self, bucket_name)
            return original(self, bucket_name, *arguments, **keywords)

        return get_bucket

    def shared(original: Any) -> Any:
        def get_canned_acl(acl: str) -> Any:
            return private if acl == "private" else original(acl)

        return get_canned_acl

    class Files:
        """Stands for the module ``tempfile`` where moto makes an object."""

        @staticmethod
        def SpooledTemporaryFile(max_size: int) -> Content:
            return Content(str(directory))

    def interned(original: Any) -> Any:
        def key_transform(self: LowercaseDict, key: str) -> str:
            return sys.intern(original(self, key))

        return key_transform

    _share(context, private)
    wrap(LowercaseDict, "_keytransform", interned)
    replace(models, "tempfile", Files)
    wrap(models, "get_canned_acl", shared)
    wrap(S3Backend, "get_bucket", swept)
