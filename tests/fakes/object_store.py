"""The part of S3's object API that is read and written here, in memory."""

from __future__ import annotations

import io
from typing import Any

from botocore.exceptions import ClientError


class FakeS3:
    """Objects of one bucket by key. ``failing`` answers every read with that error code."""

    def __init__(self, objects: dict[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})
        self.reads: list[str] = []
        self.failing = ""

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self.reads.append(Key)
        code = self.failing or ("" if Key in self.objects else "NoSuchKey")
        if code:
            raise ClientError({"Error": {"Code": code, "Message": "as told"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}
