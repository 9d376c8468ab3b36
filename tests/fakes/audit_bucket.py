"""The bucket of audit records in memory, as far as the registry function and the auditor use it.

``tests/everloop/registry/test_locked_audit.py`` holds it and moto's S3 to the same.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from tests.fakes.lambda_function import refusal

BUCKET = "everloop-audit"


class FakeAuditBucket:
    """Objects that are made once.

    Attributes
    ----------
    versions : dict
        Of each key the contents, oldest first.
    faults : list of str
        Codes that the next puts are refused with; ``after`` writes, and loses the answer.
    """

    def __init__(self) -> None:
        self.versions: dict[str, list[bytes]] = {}
        self.faults: list[str] = []

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, IfNoneMatch: str, ContentType: str) -> dict[str, Any]:
        assert (Bucket, IfNoneMatch) == (BUCKET, "*")
        fault = self.faults.pop(0) if self.faults else ""
        if fault and fault != "after":
            raise refusal(fault, "as told", "PutObject")
        if Key in self.versions:
            raise refusal("PreconditionFailed", "At least one of the preconditions did not hold", "PutObject")
        self.versions[Key] = [Body]
        if fault == "after":
            raise refusal("RequestTimeout", "as told", "PutObject")
        return {}

    def get_object(self, *, Bucket: str, Key: str, VersionId: str = "") -> dict[str, Any]:
        assert Bucket == BUCKET
        if Key not in self.versions:
            raise refusal("NoSuchKey", "there is none", "GetObject")
        return {"Body": io.BytesIO(self.versions[Key][int(VersionId or -1)])}

    def get_paginator(self, operation: str) -> FakePages:
        return FakePages(self, operation)


class FakePages:
    """Lists keys, or versions, a few a page."""

    def __init__(self, bucket: FakeAuditBucket, operation: str) -> None:
        self._bucket, self._operation = bucket, operation

    def paginate(self, *, Bucket: str, Prefix: str, StartAfter: str = "") -> Iterator[dict[str, Any]]:
        assert Bucket == BUCKET
        keys = sorted(k for k in self._bucket.versions if k.startswith(Prefix) and k > StartAfter)
        if not keys:
            yield {}
        for start in range(0, len(keys), 3):
            page = keys[start : start + 3]
            if self._operation == "list_objects_v2":
                yield {"Contents": [{"Key": key} for key in page]}
            else:
                yield {"Versions": [entry for key in page for entry in self._entries(key)]}

    def _entries(self, key: str) -> list[dict[str, Any]]:
        count = len(self._bucket.versions[key])
        return [{"Key": key, "VersionId": str(number)} for number in reversed(range(count))]
