"""Makes the training snapshot of a run: freeze its rows, check, split, store, record.

The rows stay with Athena and S3; what comes here are a few numbers, however many rows there are.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import boto3
from aws_lambda_powertools import Logger

from everloop.busy_services import busy_services_named
from everloop.dataset.athena import unload_statement
from everloop.dataset.changes import Change, against_champion, against_lake, require_unchanged
from everloop.dataset.exceptions import QueryFailedError, SnapshotAlteredError
from everloop.dataset.exploration_query import explore
from everloop.dataset.frozen import Place
from everloop.dataset.lake_listing import LakeListing, list_lake
from everloop.dataset.recorded_columns import recorded_columns
from everloop.dataset.snapshot_making import describe, freeze
from everloop.dataset.snapshot_query import learning_from, require_fitting, snapshot_query
from everloop.dataset.snapshot_store import keep_exploration, store_snapshot
from everloop.documents.snapshot import PartsDocument, SnapshotAnswer
from everloop.instants import instant_text
from everloop.lake_services import LakeServices, LakeSettings
from everloop.model_file.schema import ModelDeclaration
from everloop.registry.champion_contract import champion_contract
from everloop.registry.records import Look
from everloop.registry.records import Snapshot as SnapshotRecord
from everloop.typed_json import PIPELINE_SENDS, Event, read_as

logger = Logger(service="snapshot")


class DatedRun(TypedDict):
    """What is read of the run: the instant as of which it learns, and the newest days, where evidence chose them."""

    as_of: datetime
    training_days: NotRequired[int | None]


class SnapshotEvent(TypedDict):
    """What the pipeline sends."""

    run: DatedRun
    execution: str
    at: datetime


class RecordedSnapshot(TypedDict):
    """What is read of a recorded ``snapshot.json``; one of an earlier release lacks it."""

    parts: NotRequired[PartsDocument]


@cache
def services() -> LakeServices:
    """The services of this process, from its environment; made at the first invocation."""
    declared = (Path(__file__).parent / "declaration.json").read_text(encoding="utf-8")
    settings = LakeSettings.read(os.environ)
    return LakeServices.of(boto3.Session(), ModelDeclaration.model_validate_json(declared), settings)


@logger.inject_lambda_context
def handle(event: Event, context: Any) -> SnapshotAnswer:
    """Make the snapshot. Errors are the pipeline's to catch, by class name."""
    answer = act(event, services(), request_id=context.aws_request_id)
    logger.info("snapshot", answer=answer)
    return answer


@busy_services_named()
def act(event: Event, using: LakeServices, *, request_id: str) -> SnapshotAnswer:
    """Make the snapshot of ``event["run"]`` as of the run's own instant.

    Parameters
    ----------
    request_id : str
        Of this attempt, which unloads to a place of its own: what an earlier one left is not read.

    Raises
    ------
    DeclarationChangedError
        When the declaration changes what the champion or the lake have as it was: no query, and no training, is run.
    ContractViolationError
        When the labelled rows break the data contract.
    SplitError
        When a part would be empty.
    QueryFailedError, QueryInterruptedError
        When Athena does not answer.
    PartsIncompleteError
        When what was unloaded is not what was counted.
    SnapshotAlteredError
        When what is kept of an equal earlier request is not what was recorded.
    QueryTooLongError
        When history was imported in so many files that no query can name them all.
    """
    asked = read_as(SnapshotEvent, event, "event of the snapshot function", PIPELINE_SENDS)
    declaration, bucket = learning_from(using.declaration, asked["run"].get("training_days")), using.lake_bucket
    as_of = asked["run"]["as_of"]
    listing = list_lake(using.s3_client, bucket, declaration.model)
    query = snapshot_query(declaration, as_of, listing)
    place = Place(bucket, declaration.model, f"{asked['execution']}-{request_id}")
    require_fitting(unload_statement(query, place.uri()))
    require_unchanged(declaration.model, _changes(using, listing))
    scanned = freeze(using.queries, place, query)
    snapshot = describe(using.queries, declaration, place, query=query, as_of=as_of)
    stored = store_snapshot(using.queries, using.s3_client, declaration, place, snapshot)
    for suspect in snapshot.leakage:
        logger.warning("a feature may leak the outcome", **suspect)
    explored = replace(place, one_class=snapshot.rarest_class)
    try:
        keep_exploration(
            using.s3_client, bucket, snapshot, lambda: explore(using.queries, declaration, explored, snapshot.signs)
        )
    except QueryFailedError as error:  # no training waits for a page
        logger.warning("the training set is not explored", error=str(error))
    logger.info("rows frozen", frozen=place.uri(), scanned_bytes=scanned)
    parts = stored.document["parts"]
    _require_recorded(using, snapshot.snapshot_hash, parts)
    using.store.snapshots.put(
        SnapshotRecord(
            model=declaration.model,
            snapshot_hash=snapshot.snapshot_hash,
            uri=stored.uri,
            created_at=asked["at"],
            document=stored.document,
        )
    )
    # Before anyone evaluates on it: an evaluation that fails halfway has looked as well.
    using.store.looks.put(
        Look(
            model=declaration.model,
            run_id=asked["execution"],
            snapshot_hash=snapshot.snapshot_hash,
            after=snapshot.boundary,
            until=snapshot.time_range[1],
            at=asked["at"],
        )
    )
    return {
        "snapshot_hash": snapshot.snapshot_hash,
        "snapshot_uri": stored.uri,
        "train_uri": parts["train"],
        "test_uri": parts["test"],
        "test_features_uri": parts["test_features"],
        "part_sha256": stored.part_sha256,
        "rows": {"train": snapshot.rows["train"], "test": snapshot.rows["test"]},
        "time_range": [instant_text(instant) for instant in snapshot.time_range],
    }


def _require_recorded(using: LakeServices, snapshot_hash: str, parts: PartsDocument) -> None:
    """The registry's record of an earlier request for the same rows names the manifest too: it is in another service.

    A set that was deleted and made again has a manifest in another place.
    """
    recorded = using.store.snapshots.find(snapshot_hash)
    if recorded is None:
        return
    known = read_as(RecordedSnapshot, recorded.document, f"record of snapshot {snapshot_hash}", "restore it").get(
        "parts"
    )
    if known is None or known["manifest"] != parts["manifest"]:
        return
    if known["manifest_sha256"] != parts["manifest_sha256"]:
        raise SnapshotAlteredError(
            f"the training set {snapshot_hash} has a snapshot.json that names a manifest with sha256 "
            f"{parts['manifest_sha256']}, and the registry recorded {known['manifest_sha256']}: restore the first "
            "version of snapshot.json and of the manifest"
        )


def _changes(using: LakeServices, listing: LakeListing) -> list[Change]:
    declaration = using.declaration
    champion = champion_contract(using.store, using.s3_client, using.artifact_bucket)
    of_champion = [] if champion is None else against_champion(declaration, champion[1], champion[0])
    recorded = recorded_columns(using.s3_client, using.lake_bucket, declaration.model, listing)
    told = {change.name for change in of_champion}
    return [*of_champion, *(c for c in against_lake(declaration, recorded) if c.name not in told)]
