"""Serving manifests as objects: one for each change of what serves, in the order of their time, never written over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from everloop.instants import instant_text
from everloop.json_text import canonical_json
from everloop.names import ModelNames
from everloop.typed_json import JsonObject

LARGEST_BYTES = 1 << 20
"""Of an archived manifest: an event has at most as many
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html)."""

LARGEST_DECLARATION_BYTES = 1 << 24


class ManifestArchive:
    """The archived manifests of one model, below its own prefix of the artifact bucket.

    Parameters
    ----------
    s3
        A boto3 ``s3`` client.
    """

    def __init__(self, s3: Any, bucket: str, model: str) -> None:
        self._s3, self._bucket, self._prefix = s3, bucket, ModelNames(model).serving_prefix

    def keep(self, event: str, detail: Mapping[str, object], declaration: bytes, *, at: datetime) -> str:
        """Archive what an event says, once however often it comes; the key.

        Parameters
        ----------
        event : str
            Its detail type.
        declaration : bytes
            The normalised declaration; it is kept too, under its hash, where the event names that.
        """
        manifest = detail.get("manifest")
        named = manifest.get("declaration_sha256") if isinstance(manifest, Mapping) else None
        if named == hashlib.sha256(declaration).hexdigest():
            self._put(self.declaration_key(str(named)), declaration)
        body = canonical_json({"event": event, "at": instant_text(at), **detail}).encode()
        key = f"{self._prefix}{_sorted(at)}-{hashlib.sha256(body).hexdigest()[:12]}.json"
        self._put(key, body)
        return key

    def keys(self, *, after: str = "") -> Iterator[str]:
        """The keys of the archived manifests, oldest first: all, or those after a key."""
        arguments: JsonObject = {"Bucket": self._bucket, "Prefix": self._prefix}
        if after:
            arguments["StartAfter"] = after
        while True:
            page = self._s3.list_objects_v2(**arguments)
            yield from (one["Key"] for one in page.get("Contents", ()) if "/declarations/" not in one["Key"])
            if not page.get("NextContinuationToken"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def declaration_key(self, sha256: str) -> str:
        """Where the declaration of that hash is."""
        return f"{self._prefix}declarations/{sha256}.json"

    def _put(self, key: str, body: bytes) -> None:
        try:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            # It is there: the same content, since the key has its hash.
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise


def _sorted(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3] + "Z"
