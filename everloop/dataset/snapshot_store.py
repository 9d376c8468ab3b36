"""Keeps snapshots in the lake bucket. A snapshot is complete once its ``snapshot.json`` is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from everloop.dataset.lake import parquet_bytes
from everloop.dataset.snapshot import SnapshotParts
from everloop.documents.snapshot import SnapshotDocument
from everloop.typed_json import read_as

DOCUMENT = "snapshot.json"


@dataclass(frozen=True)
class StoredSnapshot:
    """Where a snapshot stands.

    Attributes
    ----------
    uri, train_uri, test_uri, test_features_uri : str
        S3 prefixes, with a final slash. The test features are the test rows without their labels: all of the test
        part that a training job may read.
    document : dict
        The ``snapshot.json`` that stands there, which may be of an earlier, equal request.
    """

    uri: str
    train_uri: str
    test_uri: str
    test_features_uri: str
    document: SnapshotDocument


def store_snapshot(s3_client: Any, bucket: str, parts: SnapshotParts) -> StoredSnapshot:
    """Write a snapshot under its hash, unless it is there already."""
    snapshot = parts.snapshot
    prefix = f"datasets/{snapshot.model}/{snapshot.snapshot_hash}/"
    document = _stored_document(s3_client, bucket, prefix)
    if document is None:
        document = snapshot.to_document()
        tables = {"train": parts.train, "test": parts.test, "test_features": parts.test_features}
        for name, table in tables.items():
            s3_client.put_object(Bucket=bucket, Key=f"{prefix}{name}/part-0.parquet", Body=parquet_bytes(table))
        text = json.dumps(document, sort_keys=True, indent=2, allow_nan=False)
        s3_client.put_object(Bucket=bucket, Key=prefix + DOCUMENT, Body=text.encode(), ContentType="application/json")
    uri = f"s3://{bucket}/{prefix}"
    what, remedy = f"snapshot document ({uri}{DOCUMENT})", "restore the object's first version"
    read = read_as(SnapshotDocument, document, what, remedy)
    return StoredSnapshot(uri, f"{uri}train/", f"{uri}test/", f"{uri}test_features/", read)


def _stored_document(s3_client: Any, bucket: str, prefix: str) -> object:
    """What ``snapshot.json`` holds; None while it is not there."""
    try:
        answer = s3_client.get_object(Bucket=bucket, Key=prefix + DOCUMENT)
    except s3_client.exceptions.NoSuchKey:
        return None
    return json.loads(answer["Body"].read())
