"""What S3's objects hold is on the disk.

Every object is a file of its own in the state directory, closed between uses and deleted with its object. Objects that
a bucket's lifecycle rules let expire are deleted as the service does it, some time after: on the first request of each
day of the local clock. Rules for current versions by prefix and age in days are carried out; others are kept and shown,
not acted upon.

Replaces: objects in temporary files that are in memory up to 16 MB and open on the disk beyond, each with attributes
    that all of them have alike, and lifecycle rules that delete nothing.
Why: a year of a lake would stand in the memory of one process.
Obsolete: once moto can keep objects in files of a directory, shares what they have alike, and carries lifecycle
    rules out.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import moto.s3.models as models
from moto.s3.models import FakeBucket, FakeDeleteMarker, S3Backend

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, replace_in_holders, wrap
from localcloud.services.s3.key_store import KeyStore
from localcloud.services.s3.stored_key import key_class


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
                if key is not None and not isinstance(key, FakeDeleteMarker) and _aware(key.last_modified) < oldest:
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


def _no_empty_tags(original: Any) -> Any:
    """An object without tags has no table of them: moto makes one for each object that is put."""

    def put_object_tagging(self: S3Backend, key: Any, tags: dict[str, str] | None) -> Any:
        answer = original(self, key, tags)
        if not tags:
            self.tagger.delete_all_tags_for_resource(key.arn)
        return answer

    return put_object_tagging


def _tags_go_with_versions(original: Any) -> Any:
    """Deleting an object deletes its tags: moto keeps a table for each object that ever was."""

    def delete_object(self: S3Backend, bucket_name: str, key_name: str, *arguments: Any, **keywords: Any) -> Any:
        keys = self.get_bucket(bucket_name).keys
        before = {version.arn for version in keys.getlist(key_name, []) if hasattr(version, "arn")}
        answer = original(self, bucket_name, key_name, *arguments, **keywords)
        for arn in before - {version.arn for version in keys.getlist(key_name, []) if hasattr(version, "arn")}:
            self.tagger.delete_all_tags_for_resource(arn)
        return answer

    return delete_object


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

    replace_in_holders("moto.s3", "FakeKey", key_class(str(directory), context.account_id, private))
    replace(models, "_VersionedKeyStore", KeyStore)
    wrap(models, "get_canned_acl", shared)
    wrap(S3Backend, "get_bucket", swept)
    wrap(S3Backend, "put_object_tagging", _no_empty_tags)
    wrap(S3Backend, "delete_object", _tags_go_with_versions)
