"""Reads what the snapshot function left of a training set's exploration."""

from __future__ import annotations

import json
from dataclasses import dataclass

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.dataset.snapshot_store import DOCUMENT, EXPLORATION
from everloop.documents.exploration import ExplorationDocument
from everloop.documents.snapshot import SnapshotDocument
from everloop.limits import LARGEST_DOCUMENT_BYTES
from everloop.names import ModelNames
from everloop.objects import read_object
from everloop.typed_json import read_as

REMEDY = "train again: each new training set is explored"


@dataclass(frozen=True)
class Explored:
    """A training set: its name, its document, and what was explored of it."""

    snapshot_hash: str
    snapshot: SnapshotDocument
    exploration: ExplorationDocument

    @property
    def as_tuple(self) -> tuple[str, SnapshotDocument, ExplorationDocument]:
        """As the page takes it."""
        return self.snapshot_hash, self.snapshot, self.exploration


def explored_sets(account: Account, model: str) -> list[str]:
    """The hashes of the explored training sets, the oldest first."""
    prefix = ModelNames(model).datasets_prefix
    pages = (
        account.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=account.platform.lake_bucket, Prefix=prefix)
    )
    found = [
        (item["LastModified"], item["Key"].removeprefix(prefix).partition("/")[0])
        for page in pages
        for item in page.get("Contents", [])
        if item["Key"].endswith(f"/{EXPLORATION}")
    ]
    return [snapshot_hash for _, snapshot_hash in sorted(found)]


def choose(sets: list[str], model: str, asked: str | None) -> int:
    """The place of the asked training set, which its first digits may name; the newest one without.

    Raises
    ------
    CommandError
        When there is none, or several begin so.
    """
    if not sets:
        raise CommandError(f"no training set of {model} was explored yet", remedy=f"everloop train {model}")
    places = [place for place, each in enumerate(sets) if asked is None or each.startswith(asked)]
    if asked is None:
        return places[-1]
    if len(places) != 1:
        told = "no explored training set" if not places else f"{len(places)} training sets"
        raise CommandError(
            f"{told} of {model} begins with {asked!r}", remedy=f"the newest is {sets[-1]}: leave --snapshot out for it"
        )
    return places[0]


def read_set(account: Account, model: str, snapshot_hash: str) -> Explored:
    """What stands of a training set."""
    s3, bucket = account.client("s3"), account.platform.lake_bucket
    prefix = f"{ModelNames(model).datasets_prefix}{snapshot_hash}/"

    def document(name: str) -> object:
        return json.loads(read_object(s3, bucket, prefix + name, LARGEST_DOCUMENT_BYTES))

    return Explored(
        snapshot_hash,
        read_as(SnapshotDocument, document(DOCUMENT), f"{prefix}{DOCUMENT}", REMEDY),
        read_as(ExplorationDocument, document(EXPLORATION), f"{prefix}{EXPLORATION}", REMEDY),
    )
