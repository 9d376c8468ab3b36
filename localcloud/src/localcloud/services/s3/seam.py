"""What other services may use: objects, read and written in this process on somebody's behalf."""

from __future__ import annotations

from localcloud.services.s3.objects import NoSuchBucketError, ObjectStore, StoredObject

__all__ = ["NoSuchBucketError", "ObjectStore", "StoredObject"]
