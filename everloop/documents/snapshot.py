"""A training set's ``snapshot.json``: written with the snapshot, kept by the registry, read where it is traced."""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict


class ColumnDocument(TypedDict):
    """A column of the training set, in its order."""

    name: str
    type: str


class SourceDocument(TypedDict):
    """The query that gave the rows, and the instant it was asked for."""

    query: str
    as_of: datetime


class PartObject(TypedDict):
    """A Parquet file of a part: where it stands in the lake bucket, and SHA-256 of what it holds."""

    key: str
    bytes: int
    rows: int
    sha256: str


class PartsDocument(TypedDict):
    """Where a snapshot's parts stand: S3 prefixes with a final slash.

    The manifest names every file below them. It is an object of its own: the registry's record, which keeps this
    document, has a limit. ``standing`` is there where this snapshot chose the standing set.
    """

    train: str
    test: str
    test_features: str
    standing: NotRequired[str]
    manifest: str
    manifest_sha256: str


class ManifestDocument(TypedDict):
    """The files of each part."""

    train: list[PartObject]
    test: list[PartObject]
    test_features: list[PartObject]
    standing: NotRequired[list[PartObject]]


class PeriodDocument(TypedDict):
    """Instants later than ``after``, up to ``until``; see :class:`everloop.dataset.standing.Period`."""

    after: datetime
    until: datetime


class HeldGroupsDocument(TypedDict):
    """Which groups no training learns from; see :class:`everloop.dataset.held_groups.HeldGroups`."""

    column: str
    share: float
    salt: str


class SuspectDocument(TypedDict):
    """A feature that may leak the outcome: which sign it has, and what was counted."""

    feature: str
    code: str
    sentence: str


class SnapshotDocument(TypedDict, total=False):
    """What is read of the document that :class:`everloop.dataset.snapshot.Snapshot` wrote.

    One of an earlier release may lack a key.
    """

    boundary: datetime
    rows: dict[str, int]
    time_range: list[datetime]
    parts: PartsDocument
    leakage: list[SuspectDocument]


class PartHashes(TypedDict):
    """SHA-256 over the files of each part; see :func:`everloop.dataset.part_digest.part_sha256`."""

    train: str
    test: str
    test_features: str
    standing: NotRequired[str]


HELD_OUT = "EVERLOOP_HELD_OUT"
"""The environment variable by which a training job is told of which period it may see no row."""


def channel_variable(channel: str) -> str:
    """The environment variable by which a job is told the SHA-256 of the part in a channel."""
    return f"EVERLOOP_SHA256_{channel.upper()}"


class PartRows(TypedDict):
    """Rows of the two parts."""

    train: int
    test: int


class StandingState(TypedDict):
    """The standing set: its S3 prefix with a final slash, SHA-256 over its files, and the period of its rows.

    Each is the word ``none`` where no set has been chosen yet.
    """

    uri: str
    sha256: str
    held_out: str


class SnapshotAnswer(TypedDict):
    """What the pipeline carries of a snapshot: S3 prefixes with a final slash, and the range of its labelled rows.

    Jobs hold the files that they read against ``part_sha256``. ``standing`` is there where ``gate.standing`` is
    declared.
    """

    snapshot_hash: str
    snapshot_uri: str
    train_uri: str
    test_uri: str
    test_features_uri: str
    part_sha256: PartHashes
    rows: PartRows
    time_range: list[str]
    standing: NotRequired[StandingState]
