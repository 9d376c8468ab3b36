"""S3 objects of this cloud, read and written in process on somebody's behalf."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moto.s3.models import FakeDeleteMarker, s3_backends

from localcloud.core.context import CloudContext
from localcloud.iam.access import Access


class NoSuchBucketError(LookupError):
    """A bucket that does not exist."""


@dataclass(frozen=True)
class StoredObject:
    """One object, its current version."""

    bucket: str
    key: str
    etag: str
    size: int
    stored: Any

    def read(self) -> bytes:
        """The object's bytes."""
        return bytes(self.stored.value)


class ObjectStore:
    """The buckets of one cloud, seen by one identity.

    Parameters
    ----------
    access : Access
        Has to allow every read and write.
    """

    def __init__(self, context: CloudContext, access: Access) -> None:
        self._backend = s3_backends[context.account_id]["aws"]
        self._access = access

    def list(self, bucket: str, prefixes: Sequence[str]) -> list[list[StoredObject]]:
        """Current objects under each of ``prefixes``, by key; each prefix needs ``s3:ListBucket``."""
        found = self._bucket(bucket)
        policy = _policy_of(found)
        for prefix in prefixes:
            self._access.require("s3:ListBucket", f"arn:aws:s3:::{bucket}", bucket_policy=policy, s3__prefix=prefix)
        if not prefixes:
            return []
        common = _common_prefix(prefixes)
        # One pass over all names: the store is a plain dict and has no order to search by.
        names = sorted(name for name in list(dict.keys(found.keys)) if name.startswith(common))
        listed = []
        for prefix in prefixes:
            objects = []
            for position in range(bisect_left(names, prefix), len(names)):
                if not names[position].startswith(prefix):
                    break
                stored = found.keys.get(names[position])
                if stored is not None and not isinstance(stored, FakeDeleteMarker):
                    objects.append(StoredObject(bucket, names[position], stored.etag.strip('"'), stored.size, stored))
            listed.append(objects)
        return listed

    def require_read(self, objects: Sequence[StoredObject]) -> None:
        """Check that all of ``objects`` may be read."""
        policies: dict[str, str | None] = {}
        for item in objects:
            if item.bucket not in policies:
                policies[item.bucket] = _policy_of(self._bucket(item.bucket))
            self._access.require(
                "s3:GetObject", f"arn:aws:s3:::{item.bucket}/{item.key}", bucket_policy=policies[item.bucket]
            )

    def get(self, bucket: str, key: str) -> StoredObject | None:
        """The current version of one object, if there is any; needs ``s3:GetObject``."""
        found = self._bucket(bucket)
        self._access.require("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", bucket_policy=_policy_of(found))
        stored = found.keys.get(key)
        if stored is None or isinstance(stored, FakeDeleteMarker):
            return None
        return StoredObject(bucket, key, stored.etag.strip('"'), stored.size, stored)

    def require_location(self, bucket: str) -> None:
        """Check that the bucket exists and its location may be asked for."""
        policy = _policy_of(self._bucket(bucket))
        self._access.require("s3:GetBucketLocation", f"arn:aws:s3:::{bucket}", bucket_policy=policy)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object; needs ``s3:PutObject``."""
        found = self._bucket(bucket)
        self._access.require("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}", bucket_policy=_policy_of(found))
        self._backend.put_object(bucket, key, content)

    def _bucket(self, name: str) -> Any:
        bucket = self._backend.buckets.get(name)
        if bucket is None:
            raise NoSuchBucketError(f"bucket {name} does not exist")
        return bucket


def _policy_of(bucket: Any) -> str | None:
    if not bucket.policy:
        return None
    return bucket.policy.decode() if isinstance(bucket.policy, bytes) else str(bucket.policy)


def _common_prefix(prefixes: Sequence[str]) -> str:
    first, last = min(prefixes), max(prefixes)
    for position, letter in enumerate(first):
        if position >= len(last) or last[position] != letter:
            return first[:position]
    return first
