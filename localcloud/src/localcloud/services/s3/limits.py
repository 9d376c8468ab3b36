"""What S3 refuses for its size: keys of more than 1,024 bytes.

Replaces: lengths and sizes that moto takes and the API's description or quota rules out (published as of November
    2026).
Why: an application that goes past them works here and fails on AWS.
Obsolete: once moto holds requests to the service's own description and quotas.
"""

from __future__ import annotations

from typing import Any

from moto.s3.exceptions import S3ClientError
from moto.s3.models import S3Backend

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap

LONGEST_KEY_BYTES = 1024


def install(_context: CloudContext) -> None:
    """Refuse what is too large."""
    wrap(S3Backend, "put_object", _limited_key)
    wrap(S3Backend, "create_multipart_upload", _limited_key)


def _limited_key(original: Any) -> Any:
    def with_key(self: S3Backend, bucket_name: str, key_name: str, *rest: Any, **more: Any) -> Any:
        if len(key_name.encode()) > LONGEST_KEY_BYTES:
            raise S3ClientError("KeyTooLongError", "Your key is too long")
        return original(self, bucket_name, key_name, *rest, **more)

    return with_key
