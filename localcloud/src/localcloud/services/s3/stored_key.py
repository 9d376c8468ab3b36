"""An S3 object in as few bytes of memory as its name needs anyway: its content is a file, its record is packed.

moto gives each object forty attributes, a lock, a dictionary of metadata and a buffer: 3.6 KB for an object of a few
bytes, of which a year of a lake has tens of thousands. Here an object holds its name, its bucket's name and one
string of bytes: file, time, size, ETag, and what it has of its own as JSON. What has the usual value is not held.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import sys
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import md5
from typing import Any, ClassVar, cast

import moto.s3.models as models
from moto.s3 import notifications
from moto.utilities.utils import LowercaseDict

_HEAD = struct.Struct("<BQqQ16s")
"""Flags, number of the file (0: empty), microseconds since 1970, bytes, ETag."""

_ETAG_KNOWN = 1
_BORROWED = 2
"""The file is another's: a copy that moto makes for a listing."""

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_METADATA = "_metadata"
_USUAL_METADATA = {"content-type": "binary/octet-stream"}
_CHUNK = 1 << 24

_SHORT = {"checksum_algorithm": "a", "checksum_value": "c", _METADATA: "m", "_version_id": "v", "_is_versioned": "is"}
"""How what most objects have of their own is called in the record."""

_LONG = {short: name for name, short in _SHORT.items()}
_NO_METADATA = frozenset({"x-amz-content-sha256"})
"""Parts of the request that moto takes for metadata."""

_USUAL: dict[str, Any] = {
    "acl": None,  # set at the installation: moto's canned one
    "_etag": None,
    "_expiry": None,
    "_is_versioned": False,
    "_status": None,
    "_storage_class": "STANDARD",
    "_version_id": "null",
    "account_id": None,  # set at the installation
    "bucket_key_enabled": None,
    "checksum_algorithm": None,
    "checksum_parts": None,
    "checksum_type": None,
    "checksum_value": None,
    "encryption": None,
    "kms_key_id": None,
    "lock_legal_status": None,
    "lock_mode": None,
    "lock_until": None,
    "multipart": None,
    "partition": "aws",
    "region_name": "aws",
    "website_redirect_location": None,
}

_FROM_MOTO = (
    "arn",
    "expiry_date",
    "is_locked",
    "last_modified_ISO8601",
    "last_modified_RFC1123",
    "response_dict",
    "restore",
    "safe_name",
    "set_acl",
    "set_expiry",
    "set_storage_class",
    "size",
    "storage_class",
    "version_id",
)
"""Methods of moto's class that work on any object with its attributes."""

_numbers = itertools.count(1)
_changing = threading.RLock()
"""Held while a record is read and packed again: for microseconds, so that one does for all objects."""


class _Metadata(LowercaseDict):
    """An object's metadata: what is changed in it is changed in the object."""

    def __init__(self, owner: StoredKey, values: dict[str, Any]) -> None:
        self._owner = owner
        self.store = dict(values)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._owner._metadata = self.store

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._owner._metadata = self.store


class StoredKey:
    """Stands for moto's ``FakeKey``, and is made with the same arguments; see :func:`key_class`."""

    __slots__ = ("_others", "_packed", "bucket_name", "name")

    _directory = ""
    _usual = _USUAL
    instances_tracked: ClassVar[list[Any]] = []
    """What moto goes over when it forgets everything."""

    _others: dict[str, Any] | None
    _packed: bytes
    _status: str | None
    bucket_name: str | None
    name: str

    def __init__(
        self,
        name: str,
        value: bytes,
        account_id: str,
        region_name: str,
        storage: str | None = "STANDARD",
        etag: str | None = None,
        is_versioned: bool = False,
        version_id: str | None = None,
        max_buffer_size: int | None = None,
        multipart: Any = None,
        bucket_name: str | None = None,
        encryption: str | None = None,
        kms_key_id: str | None = None,
        bucket_key_enabled: Any = None,
        lock_mode: str | None = None,
        lock_legal_status: str | None = None,
        lock_until: str | None = None,
        checksum_value: str | None = None,
        checksum_type: str | None = None,
        checksum_parts: int | None = None,
    ) -> None:
        self.name = name
        self.bucket_name = sys.intern(bucket_name) if type(bucket_name) is str else bucket_name
        self._others = None
        now = models.utcnow()  # type: ignore[attr-defined]  # what the local clock put in the place of moto's import
        modified = (now.replace(tzinfo=None) - _EPOCH) // _MICROSECOND
        self._packed = _HEAD.pack(0, 0, modified, 0, b"")
        self._change(
            account_id=account_id,
            region_name=region_name,
            _storage_class=storage or "STANDARD",
            _etag=etag,
            _is_versioned=is_versioned,
            _version_id=version_id or "null",
            multipart=multipart,
            encryption=encryption,
            kms_key_id=kms_key_id,
            bucket_key_enabled=bucket_key_enabled,
            lock_mode=lock_mode,
            lock_legal_status=lock_legal_status,
            lock_until=lock_until,
            checksum_value=checksum_value,
            checksum_type=checksum_type,
            checksum_parts=checksum_parts,
        )
        self.value = value

    @property
    def value(self) -> bytes:
        """The object's bytes.

        Raises
        ------
        ValueError
            When the object is deleted.
        """
        _flags, number, _modified, size, _etag = self._head()
        if not size:
            return b""
        if not number:
            raise ValueError("the object is deleted")
        with open(f"{self._directory}/{number}", "rb") as file:
            return file.read()

    @value.setter
    def value(self, new: bytes | str) -> None:
        data = new.encode() if isinstance(new, str) else new
        self._unlink()
        number = next(_numbers) if data else 0
        if number:
            with open(f"{self._directory}/{number}", "wb") as file:
                file.write(data)
        self._change_head(number=number, size=len(data), cleared=_BORROWED | _ETAG_KNOWN)

    @property
    def contentsize(self) -> int:
        """How many bytes the object has."""
        return int(self._head()[3])

    @property
    def last_modified(self) -> datetime:
        """When it was made, in UTC, as moto holds it: without a zone."""
        return _EPOCH + timedelta(microseconds=self._head()[2])

    @property
    def etag(self) -> str:
        """The ETag in quotes; of the content unless another was given."""
        if (given := self._own("_etag", None)) is not None:
            return f'"{given}"'
        flags, number, _modified, _size, digest = self._head()
        if not flags & _ETAG_KNOWN:
            summed = md5(usedforsecurity=False)
            if number:
                with open(f"{self._directory}/{number}", "rb") as file:
                    while block := file.read(_CHUNK):
                        summed.update(block)
            digest = summed.digest()
            self._change_head(etag=digest, added=_ETAG_KNOWN)
        return f'"{digest.hex()}"'

    @property
    def metadata(self) -> LowercaseDict:
        """Metadata by name in lower case, the content type included."""
        return self._metadata

    @property
    def _metadata(self) -> LowercaseDict:
        return _Metadata(self, self._own(_METADATA, _USUAL_METADATA))

    @_metadata.setter
    def _metadata(self, values: dict[str, Any]) -> None:
        kept = {name: value for name, value in values.items() if name not in _NO_METADATA}
        self._change(**{_METADATA: kept})

    def set_metadata(self, metadata: Any, replace: bool = False) -> None:
        """Take more metadata, or other; AWS's own content encoding is none."""
        taken = LowercaseDict(metadata)
        encoding = [part for part in taken.pop("content-encoding", "").split(",") if part and part != "aws-chunked"]
        if encoding:
            taken["content-encoding"] = ",".join(encoding)
        self._metadata = {**({} if replace else self._metadata), **taken}

    @property
    def status(self) -> str | None:
        """Of a restoration from an archive, which takes no time here."""
        if self._status != "RESTORED":
            self._status = "RESTORED"
            bucket = models.s3_backends[self.account_id][self.partition].get_bucket(cast(str, self.bucket_name))
            event = notifications.S3NotificationEvent.OBJECT_RESTORE_COMPLETED_EVENT
            notifications.send_event(self.account_id, event, bucket, key=self)
        return "RESTORED"

    def advance(self) -> None:
        """Counts in moto how often a state was asked for; here states take no time."""

    def dispose(self, garbage: bool = False) -> None:
        """Let go of the content; whoever still reads is told so."""
        multipart = self.multipart
        if multipart is not None:
            multipart.dispose()
        self._unlink()
        self._change_head(number=0)

    def __del__(self) -> None:
        if hasattr(self, "_packed"):
            self._unlink()

    def __deepcopy__(self, memo: dict[int, Any]) -> StoredKey:
        """A copy for a listing, which takes notes on it; it reads this object's file."""
        copied = type(self).__new__(type(self))
        copied.name, copied.bucket_name = self.name, self.bucket_name
        copied._packed = bytes([self._packed[0] | _BORROWED]) + self._packed[1:]
        copied._others = dict(self._others) if self._others else None
        return copied

    def __getattr__(self, name: str) -> Any:
        # Asked for where the class has nothing of that name.
        if name in StoredKey.__slots__:
            raise AttributeError(name)
        missing = object()
        found = self._own(name, missing)
        if found is missing:
            found = self._usual.get(name, missing)
        if found is missing:
            raise AttributeError(f"an S3 object has no {name!r}")
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _DIRECT:
            object.__setattr__(self, name, value)
        else:
            self._change(**{name: value})

    def _head(self) -> tuple[int, int, int, int, bytes]:
        return _HEAD.unpack_from(self._packed)

    def _change_head(
        self,
        *,
        number: int | None = None,
        size: int | None = None,
        etag: bytes | None = None,
        added: int = 0,
        cleared: int = 0,
    ) -> None:
        with _changing:
            flags, old_number, modified, old_size, old_etag = self._head()
            head = _HEAD.pack(
                flags & ~cleared | added,
                old_number if number is None else number,
                modified,
                old_size if size is None else size,
                old_etag if etag is None else etag,
            )
            self._packed = head + self._packed[_HEAD.size :]

    def _own(self, name: str, default: Any) -> Any:
        if self._others and name in self._others:
            return self._others[name]
        return self._texts().get(name, default)

    def _texts(self) -> dict[str, Any]:
        text = self._packed[_HEAD.size :]
        return {_LONG.get(name, name): value for name, value in json.loads(text).items()} if text else {}

    def _change(self, **values: Any) -> None:
        """Set attributes: those that are text or numbers packed, others beside them, usual ones not at all."""
        with _changing:
            texts, others = self._texts(), dict(self._others or {})
            for name, value in values.items():
                texts.pop(name, None)
                others.pop(name, None)
                if name == _METADATA:
                    is_usual = value == _USUAL_METADATA
                else:
                    is_usual = name in self._usual and value == self._usual[name]
                if not is_usual:
                    (texts if _is_plain(value) else others)[name] = value
            short = {_SHORT.get(name, name): value for name, value in texts.items()}
            packed = json.dumps(short, separators=(",", ":")).encode() if short else b""
            self._packed = self._packed[: _HEAD.size] + packed
            self._others = others or None

    def _unlink(self) -> None:
        flags, number, *_rest = self._head()
        if number and not flags & _BORROWED:
            with suppress(OSError):
                os.unlink(f"{self._directory}/{number}")


_DIRECT = frozenset({*StoredKey.__slots__, "value", _METADATA})


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(name) is str and _is_plain(held) for name, held in value.items())
    return value is None or type(value) in (str, int, bool)


def key_class(directory: str, account_id: str, acl: Any) -> type[StoredKey]:
    """The class of one cloud's objects.

    Parameters
    ----------
    directory : str
        Where their contents are to be; exists.
    acl : FakeAcl
        What an object has unless it is given another: it belongs to its owner alone.
    """
    body: dict[str, Any] = {name: vars(models.FakeKey)[name] for name in _FROM_MOTO}
    body |= {
        "__slots__": (),
        "__module__": models.__name__,
        "_directory": directory,
        "_usual": {**_USUAL, "account_id": account_id, "acl": acl},
    }
    return type("FakeKey", (StoredKey,), body)
