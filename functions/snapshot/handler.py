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
from everloop.dataset.snapshot_facts import Snapshot
from everloop.dataset.snapshot_making import describe, freeze
from everloop.dataset.snapshot_query import learning_from, require_fitting, snapshot_query
from everloop.dataset.snapshot_store import StoredSnapshot, keep_exploration, store_snapshot
from everloop.dataset.standing import NONE, Period, Standing
from everloop.documents.snapshot import PartsDocument, SnapshotAnswer, StandingState
from everloop.instants import instant_text
from everloop.lake_services import LakeServices, LakeSettings
from everloop.model_file.schema import ModelDeclaration
from everloop.registry.champion_contract import champion_contract
from everloop.registry.records import Look, StandingSet
from everloop.registry.records import Snapshot as SnapshotRecord
from everloop.typed_json import PIPELINE_SENDS, Event, read_as

logger = Logger(service="snapshot")


class DatedRun(TypedDict):
    """What is read of the run: the instant as of which it learns, and the newest days, where evidence chose them."""

    as_of: datetime
    kind: NotRequired[str]
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
    StandingSetChosenError
        When another request has chosen the standing set meanwhile.
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
    kept = using.store.standing.chosen()
    standing = _standing(declaration, kept, asked["run"].get("kind"))
    chooses = standing is not None and standing.chosen is None
    snapshot = describe(using.queries, declaration, place, query=query, as_of=as_of, standing=standing)
    stored = store_snapshot(using.queries, using.s3_client, declaration, place, snapshot, standing=chooses)
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
    if chooses:
        kept = using.store.standing.choose(_chosen_of(snapshot, stored, asked["at"]))
        logger.info("standing set chosen", standing=kept.to_json())
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
    answer: SnapshotAnswer = {
        "snapshot_hash": snapshot.snapshot_hash,
        "snapshot_uri": stored.uri,
        "train_uri": parts["train"],
        "test_uri": parts["test"],
        "test_features_uri": parts["test_features"],
        "part_sha256": stored.part_sha256,
        "rows": {"train": snapshot.rows["train"], "test": snapshot.rows["test"]},
        "time_range": [instant_text(instant) for instant in snapshot.time_range],
    }
    if declaration.gate.standing is not None:
        answer["standing"] = _standing_state(kept)
    return answer


def _standing(declaration: ModelDeclaration, kept: StandingSet | None, kind: str | None) -> Standing | None:
    """What is left out of the training set: the set on record, or one that a training chooses; a trial chooses none."""
    declared = declaration.gate.standing
    if declared is None or (kept is None and kind != "train"):
        return None
    return Standing(declared.days, None if kept is None else Period(kept.after, kept.until))


def _chosen_of(snapshot: Snapshot, stored: StoredSnapshot, at: datetime) -> StandingSet:
    """The set that a stored snapshot put aside."""
    period, uri, sha256 = (
        snapshot.standing,
        stored.document["parts"].get("standing"),
        stored.part_sha256.get("standing"),
    )
    if period is None or uri is None or sha256 is None:
        raise SnapshotAlteredError(
            f"{stored.uri}snapshot.json names no standing part, and no standing set is on record: restore the record,"
            " or the object's first version"
        )
    return StandingSet(
        model=snapshot.model,
        snapshot_hash=snapshot.snapshot_hash,
        uri=uri,
        sha256=sha256,
        rows=snapshot.rows["standing"],
        after=period.after,
        until=period.until,
        chosen_at=at,
    )


def _standing_state(kept: StandingSet | None) -> StandingState:
    if kept is None:
        return {"uri": NONE, "sha256": NONE, "held_out": NONE}
    return {"uri": kept.uri, "sha256": kept.sha256, "held_out": str(Period(kept.after, kept.until))}


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
