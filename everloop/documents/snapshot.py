"""A training set's ``snapshot.json``: written with the snapshot, kept by the registry, read where it is traced."""

from __future__ import annotations

from typing import TypedDict


class ColumnDocument(TypedDict):
    """A column of the training set, in its order."""

    name: str
    type: str


class SnapshotDocument(TypedDict, total=False):
    """The document; see :class:`everloop.dataset.snapshot.Snapshot`. One of an earlier release may lack a key."""

    model: str
    snapshot_hash: str
    columns: list[ColumnDocument]
    boundary: str
    rows: dict[str, int]
    time_range: list[str]
    label_mean: dict[str, float]
    profile: dict[str, dict[str, object]]
    source: dict[str, str]


class PartRows(TypedDict):
    """Rows of the two parts."""

    train: int
    test: int


class SnapshotAnswer(TypedDict):
    """What the pipeline carries of a snapshot: S3 prefixes with a final slash, and the range of its labelled rows."""

    snapshot_hash: str
    snapshot_uri: str
    train_uri: str
    test_uri: str
    test_features_uri: str
    rows: PartRows
    time_range: list[str]
