"""Keeps unloaded rows: the files of an attempt are copied, inside S3, to where they stay.

A query writes as many files as it likes, under names of its own, and what a failed one wrote is not taken back. So it
writes below a prefix that expires. The files that Athena's own manifest lists are copied, each to a name of this
attempt's; S3 says their SHA-256, and the end of each says how many rows it has. No row passes through the function.
"""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from everloop.dataset.athena import Unloaded
from everloop.dataset.exceptions import PartsIncompleteError, PartTooLargeError
from everloop.dataset.parquet_footer import FooterError, read_footer
from everloop.documents.snapshot import PartObject
from everloop.limits import LARGEST_DOCUMENT_BYTES
from everloop.numbers_of import number_of
from everloop.objects import read_object, tail_of

LARGEST_COPY_BYTES = 5 * 1024**3
"""What S3 copies in one request (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html)."""

AT_A_TIME = 8


@dataclass(frozen=True)
class S3Place:
    """An S3 prefix in the lake bucket."""

    client: Any
    bucket: str
    prefix: str


def keep_part(unloaded: Unloaded, target: S3Place, rows: int) -> list[PartObject]:
    """Copy what was unloaded to ``target``; the objects that stand there then.

    Parameters
    ----------
    rows : int
        How many there have to be.

    Raises
    ------
    PartsIncompleteError
        When the files hold another number of rows.
    PartTooLargeError
        When S3 can't copy one of them at once.
    """
    sources = _listed(unloaded, target)

    def copy(numbered: tuple[int, str]) -> PartObject:
        place, source = numbered
        return _copy(source, target, f"{target.prefix}part-{place:05}.parquet")

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        objects = list(pool.map(copy, enumerate(sources)))
    found = sum(item["rows"] for item in objects)
    if found != rows:
        raise PartsIncompleteError(
            f"{number_of(len(objects), 'file')} listed by {unloaded.manifest_uri} hold "
            f"{number_of(found, 'row')}, and {rows:,} were counted; a new attempt unloads them again"
        )
    return objects


def _listed(unloaded: Unloaded, target: S3Place) -> list[str]:
    """The keys of the files, in the order of their names."""
    bucket, _, key = unloaded.manifest_uri.removeprefix("s3://").partition("/")
    lines = read_object(target.client, bucket, key, LARGEST_DOCUMENT_BYTES).decode().split()
    begin = f"s3://{target.bucket}/"
    return sorted(line.removeprefix(begin) for line in lines)


def _copy(source: str, target: S3Place, key: str) -> PartObject:
    client, bucket = target.client, target.bucket
    size = client.head_object(Bucket=bucket, Key=source)["ContentLength"]
    if size > LARGEST_COPY_BYTES:
        raise PartTooLargeError(
            f"s3://{bucket}/{source} has {size:,} bytes, and S3 copies {LARGEST_COPY_BYTES:,} at once: declare a "
            "shorter data.training_window_days"
        )
    copied = client.copy_object(
        Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": source}, ChecksumAlgorithm="SHA256"
    )
    digest = base64.b64decode(copied["CopyObjectResult"]["ChecksumSHA256"]).hex()
    try:
        footer = read_footer(lambda count: tail_of(client, bucket, key, count))
    except FooterError as error:
        raise PartsIncompleteError(f"s3://{bucket}/{source} is {error}; a new attempt unloads it again") from error
    return {"key": key, "bytes": size, "rows": footer.rows, "sha256": digest}
