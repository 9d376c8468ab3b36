"""Keeps snapshots in the lake bucket. A snapshot is complete once its ``snapshot.json`` is there.

Its files are those of one attempt, in folders of that attempt's own: attempts that ran at the same time touch nothing
of each other, and the first ``snapshot.json`` stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from everloop.dataset.athena import AthenaQueries
from everloop.dataset.exceptions import SnapshotAlteredError
from everloop.dataset.frozen import Place
from everloop.dataset.part_digest import listed_sha256
from everloop.dataset.snapshot_facts import Snapshot
from everloop.dataset.snapshot_making import STANDING, parts_of
from everloop.dataset.snapshot_parts import S3Place, keep_part
from everloop.documents.exploration import ExplorationDocument
from everloop.documents.snapshot import ManifestDocument, PartHashes, PartsDocument, SnapshotDocument
from everloop.limits import LARGEST_DOCUMENT_BYTES
from everloop.model_file.schema import ModelDeclaration
from everloop.names import ModelNames
from everloop.objects import read_object
from everloop.typed_json import read_as

DOCUMENT = "snapshot.json"
EXPLORATION = "exploration.json"
"""What the page of ``everloop explore`` is made of, beside it."""


@dataclass(frozen=True)
class StoredSnapshot:
    """Where a snapshot is.

    Attributes
    ----------
    uri : str
        S3 prefix, with a final slash.
    document : dict
        The ``snapshot.json`` that stands there, which may be of an earlier, equal request.
    part_sha256 : PartHashes
        What the files of each part are together, by the manifest.
    """

    uri: str
    document: SnapshotDocument
    part_sha256: PartHashes


def store_snapshot(
    queries: AthenaQueries,
    s3_client: Any,
    declaration: ModelDeclaration,
    place: Place,
    snapshot: Snapshot,
    *,
    standing: bool = False,
) -> StoredSnapshot:
    """Write a snapshot under its hash, unless it is there already.

    Parameters
    ----------
    standing : bool
        Whether it chooses the standing set, and so keeps the rows that it leaves out.

    Raises
    ------
    PartsIncompleteError
        When what was unloaded is not what was counted.
    SnapshotAlteredError
        When the manifest is not the one that the document names.
    """
    prefix = f"{ModelNames(snapshot.model).datasets_prefix}{snapshot.snapshot_hash}/"
    uri = f"s3://{place.bucket}/{prefix}"
    document = _stored(s3_client, place.bucket, prefix)
    if document is None:
        whole = _write_parts(queries, s3_client, declaration, place, snapshot, prefix, standing=standing)
        text = json.dumps(whole.to_document(), sort_keys=True, indent=2, allow_nan=False)
        _put_once(s3_client, place.bucket, prefix + DOCUMENT, text)
        document = _stored(s3_client, place.bucket, prefix)
    what, remedy = f"snapshot document ({uri}{DOCUMENT})", "restore the object's first version"
    stored = read_as(SnapshotDocument, document, what, remedy)
    return StoredSnapshot(uri, stored, _hashes(s3_client, place.bucket, stored["parts"]))


def keep_exploration(
    s3_client: Any, bucket: str, snapshot: Snapshot, explored: Callable[[], ExplorationDocument]
) -> None:
    """Write a stored snapshot's exploration, unless it is there already: then nothing is asked."""
    key = f"{ModelNames(snapshot.model).datasets_prefix}{snapshot.snapshot_hash}/{EXPLORATION}"
    if not s3_client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("KeyCount"):
        _put_once(s3_client, bucket, key, json.dumps(explored(), sort_keys=True, allow_nan=False))


def _write_parts(
    queries: AthenaQueries,
    s3_client: Any,
    declaration: ModelDeclaration,
    place: Place,
    snapshot: Snapshot,
    prefix: str,
    *,
    standing: bool,
) -> Snapshot:
    """Unload the parts, and keep them with a manifest."""
    selects = parts_of(declaration, place, snapshot.boundary, snapshot.standing, chosen=standing)
    unloaded = queries.unload([(query, place.uri(name)) for name, query in selects.items()])
    rows = {**snapshot.rows, "test_features": snapshot.rows["test"]}
    folders = {name: f"{prefix}{name}/{place.attempt}/" for name in selects}
    kept = {
        name: keep_part(left, S3Place(s3_client, place.bucket, folders[name]), rows[name])
        for name, left in zip(selects, unloaded, strict=True)
    }
    manifest: ManifestDocument = {
        "train": kept["train"],
        "test": kept["test"],
        "test_features": kept["test_features"],
    }
    if standing:
        manifest["standing"] = kept[STANDING]
    text = json.dumps(manifest, sort_keys=True, indent=1)
    key = f"{prefix}manifest/{place.attempt}.json"
    _put_once(s3_client, place.bucket, key, text)
    uris = {name: f"s3://{place.bucket}/{folder}" for name, folder in folders.items()}
    parts: PartsDocument = {
        "train": uris["train"],
        "test": uris["test"],
        "test_features": uris["test_features"],
        "manifest": f"s3://{place.bucket}/{key}",
        "manifest_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    if standing:
        parts["standing"] = uris[STANDING]
    return replace(snapshot, parts=parts)


def _hashes(s3_client: Any, bucket: str, parts: PartsDocument) -> PartHashes:
    key = parts["manifest"].removeprefix(f"s3://{bucket}/")
    text = read_object(s3_client, bucket, key, LARGEST_DOCUMENT_BYTES)
    found = hashlib.sha256(text).hexdigest()
    if found != parts["manifest_sha256"]:
        raise SnapshotAlteredError(
            f"the manifest of a training set, {parts['manifest']}, has sha256 {found}, and its {DOCUMENT} says "
            f"{parts['manifest_sha256']}: restore the object's first version"
        )
    manifest: ManifestDocument = read_as(ManifestDocument, json.loads(text), f"manifest ({parts['manifest']})", "")
    hashes: PartHashes = {
        "train": listed_sha256(manifest["train"]),
        "test": listed_sha256(manifest["test"]),
        "test_features": listed_sha256(manifest["test_features"]),
    }
    if "standing" in manifest:
        hashes["standing"] = listed_sha256(manifest["standing"])
    return hashes


def _stored(s3_client: Any, bucket: str, prefix: str) -> object:
    """What ``snapshot.json`` holds; None while it is not there."""
    try:
        answer = s3_client.get_object(Bucket=bucket, Key=prefix + DOCUMENT)
    except s3_client.exceptions.NoSuchKey:
        return None
    return json.loads(answer["Body"].read())


def _put_once(s3_client: Any, bucket: str, key: str, text: str) -> None:
    """Write an object, unless it is there: another attempt may have come first."""
    from botocore.exceptions import ClientError

    try:
        s3_client.put_object(
            Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/json", IfNoneMatch="*"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise
