"""Makes the training snapshot of a run: query, contract, split, store, record."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

import boto3
from aws_lambda_powertools import Logger

from everloop.busy_services import busy_services_named
from everloop.dataset.changes import Change, against_champion, against_lake, require_unchanged
from everloop.dataset.lake import lake_columns
from everloop.dataset.lake_listing import LakeListing, list_lake
from everloop.dataset.recorded_columns import recorded_columns
from everloop.dataset.snapshot import build_snapshot
from everloop.dataset.snapshot_query import SUPERSEDED, require_fitting, snapshot_query
from everloop.dataset.snapshot_size import CHARACTERS, ROWS, require_room, size_query
from everloop.dataset.snapshot_store import store_snapshot
from everloop.documents.snapshot import SnapshotAnswer
from everloop.environment import Settings
from everloop.instants import instant_text
from everloop.lake_services import LakeServices
from everloop.model_file.schema import ModelDeclaration
from everloop.names import ATHENA_RESULTS_PREFIX
from everloop.registry.champion_contract import champion_contract
from everloop.registry.records import Snapshot as SnapshotRecord
from everloop.typed_json import PIPELINE_SENDS, Event, read_as

logger = Logger(service="snapshot")


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets."""

    table: str
    lake_bucket: str
    athena_workgroup: str
    glue_database: str
    artifact_bucket: str


class DatedRun(TypedDict):
    """What is read of the run: the instant as of which it learns."""

    as_of: datetime


class SnapshotEvent(TypedDict):
    """What the pipeline sends."""

    run: DatedRun
    execution: str
    at: datetime


@cache
def services() -> LakeServices:
    """The services of this process, from its environment; made at the first invocation."""
    environment = Environment.read(os.environ)
    declared = (Path(__file__).parent / "declaration.json").read_text(encoding="utf-8")
    return LakeServices.of(
        boto3.Session(),
        ModelDeclaration.model_validate_json(declared),
        table=environment.table,
        lake_bucket=environment.lake_bucket,
        artifact_bucket=environment.artifact_bucket,
        athena_workgroup=environment.athena_workgroup,
        glue_database=environment.glue_database,
    )


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
        Of this attempt: UNLOAD refuses a prefix that an earlier attempt wrote to.

    Raises
    ------
    DeclarationChangedError
        When the declaration changes what the champion or the lake have as it was: no query, and no training, is run.
    ContractViolationError
        When the labelled rows break the data contract.
    SplitError
        When a part would be empty.
    TrainingSetTooLargeError
        When the lake holds more rows than this function has memory for.
    QueryTooLongError
        When history was imported in so many files that no query can name them all.
    """
    declaration, bucket = using.declaration, using.lake_bucket
    asked = read_as(SnapshotEvent, event, "event of the snapshot function", PIPELINE_SENDS)
    as_of = asked["run"]["as_of"]
    listing = list_lake(using.s3_client, bucket, declaration.model)
    query = snapshot_query(declaration, as_of, listing)
    require_fitting(query)
    require_unchanged(declaration.model, _changes(using, listing))
    output_uri = f"s3://{bucket}/{ATHENA_RESULTS_PREFIX}unload/{asked['execution']}/{request_id}"
    size = using.read(size_query(declaration, as_of, listing), f"{output_uri}-size/", [ROWS, CHARACTERS])
    require_room(declaration, int(size[ROWS].sum()), float(size[CHARACTERS].sum()))
    rows = using.read(query, f"{output_uri}/", [*lake_columns(declaration), SUPERSEDED])
    parts = build_snapshot(rows, declaration, query=query, as_of=as_of)
    stored = store_snapshot(using.s3_client, bucket, parts)
    snapshot = parts.snapshot
    using.store.snapshots.put(
        SnapshotRecord(
            model=declaration.model,
            snapshot_hash=snapshot.snapshot_hash,
            uri=stored.uri,
            created_at=asked["at"],
            document=stored.document,
        )
    )
    return {
        "snapshot_hash": snapshot.snapshot_hash,
        "snapshot_uri": stored.uri,
        "train_uri": stored.train_uri,
        "test_uri": stored.test_uri,
        "test_features_uri": stored.test_features_uri,
        "rows": {"train": snapshot.rows["train"], "test": snapshot.rows["test"]},
        "time_range": [instant_text(instant) for instant in snapshot.time_range],
    }


def _changes(using: LakeServices, listing: LakeListing) -> list[Change]:
    declaration = using.declaration
    champion = champion_contract(using.store, using.s3_client, using.artifact_bucket)
    of_champion = [] if champion is None else against_champion(declaration, champion[1], champion[0])
    recorded = recorded_columns(using.s3_client, using.lake_bucket, declaration.model, listing)
    told = {change.name for change in of_champion}
    return [*of_champion, *(c for c in against_lake(declaration, recorded) if c.name not in told)]
