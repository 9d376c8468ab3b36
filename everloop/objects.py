"""Reads objects that others wrote to S3: as much as they may hold, and never as much as they happen to."""

from __future__ import annotations

from typing import Any

from everloop.exceptions import TerminalError


class ObjectTooLargeError(TerminalError):
    """An object is larger than anything that may stand there.

    Attributes
    ----------
    found : str
        How large it is.
    most : int
        How many bytes it may have.
    """

    def __init__(self, bucket: str, key: str, found: str, most: int) -> None:
        self.found, self.most = found, most
        super().__init__(f"s3://{bucket}/{key} has {found}; at most {most:,} bytes are read")


def read_object(s3: Any, bucket: str, key: str, most: int, **which: str) -> bytes:
    """The bytes of an object; ``which`` may name its ``VersionId``.

    Raises
    ------
    ObjectTooLargeError
        When it has more than ``most``; whatever its answer says of its size, no more than that are read.
    """
    answer = s3.get_object(Bucket=bucket, Key=key, **which)
    content = answer["Body"].read(most + 1)
    if len(content) > most:
        stated = answer.get("ContentLength")
        found = f"{stated:,} bytes" if isinstance(stated, int) and stated > most else f"more than {most:,} bytes"
        raise ObjectTooLargeError(bucket, key, found, most)
    return bytes(content)


def tail_of(s3: Any, bucket: str, key: str, count: int) -> bytes:
    """The last ``count`` bytes of an object, or all that it has."""
    from botocore.exceptions import ClientError

    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{count}")["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidRange":  # what S3 says of an empty object
            raise
        return b""
    return content
