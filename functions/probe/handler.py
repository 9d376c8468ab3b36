"""Prepares the job of a fresh probe, and records what it found."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypedDict

import boto3
from aws_lambda_powertools import Logger

from everloop.busy_services import busy_services_named
from everloop.dataset.lake import lake_columns, parquet_bytes
from everloop.dataset.lake_listing import list_lake
from everloop.dataset.snapshot_query import SUPERSEDED, require_fitting, snapshot_query
from everloop.dataset.snapshot_size import CHARACTERS, ROWS, require_room, size_query
from everloop.documents.probe import RESULT, SERVED, VERSION, ProbeDocument, ProbePlaces, ProbePlan, ProbeRequest
from everloop.environment import Settings
from everloop.lake_services import LakeServices
from everloop.limits import LARGEST_DOCUMENT_BYTES
from everloop.model_file.schema import ModelDeclaration
from everloop.names import ATHENA_RESULTS_PREFIX, ModelNames
from everloop.objects import read_object
from everloop.registry.records import Probe
from everloop.retraining.exceptions import FreshProbeError
from everloop.retraining.probe.plan import kept_probes, older_versions, read_result
from everloop.retraining.probe.requests import window_of
from everloop.retraining.probe.rows import learns_from, window_query
from everloop.retraining.probe.tables import training_rows, window_rows
from everloop.retraining.probe.windows import lag_days
from everloop.typed_json import PIPELINE_SENDS, Event, as_json, read_as

logger = Logger(service="probe")


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets."""

    table: str
    lake_bucket: str
    athena_workgroup: str
    glue_database: str
    artifact_bucket: str


class ProbeEvent(TypedDict):
    """What the state machine of probes sends; ``asked`` is its execution's input."""

    action: Literal["prepare", "record"]
    asked: ProbeRequest
    execution: str
    at: datetime


class ProbeAnswer(TypedDict):
    """What became of a step: ``go_on`` says whether there is anything to measure, ``reason`` why not."""

    go_on: bool
    reason: str
    places: ProbePlaces


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
def handle(event: Event, context: Any) -> ProbeAnswer:
    """Do the step. Errors are the state machine's to catch, by class name."""
    answer = act(event, services(), request_id=context.aws_request_id)
    logger.info("probe", answer=answer)
    return answer


@busy_services_named()
def act(event: Event, using: LakeServices, *, request_id: str) -> ProbeAnswer:
    """Prepare the job, or record what it found.

    Parameters
    ----------
    request_id : str
        Of this attempt: UNLOAD refuses a prefix that an earlier attempt wrote to.

    Raises
    ------
    FreshProbeError
        When another model's probe is asked for, no probe is declared, or the job left no result that can be read.
    ContractViolationError
        When the rows to learn from break the data contract.
    TrainingSetTooLargeError, QueryTooLongError
        As of a training's snapshot.
    """
    asked = read_as(ProbeEvent, event, "event of the probe function", PIPELINE_SENDS)
    request = asked["asked"]
    if request["model"] != using.declaration.model:
        raise FreshProbeError(f"a probe of {request['model']} came to the probe function of {using.declaration.model}")
    places = _places(using, asked["execution"])
    if asked["action"] == "record":
        return _record(using, request, places, asked["at"])
    return _prepare(using, request, places, asked["execution"], request_id)


def _places(using: LakeServices, execution: str) -> ProbePlaces:
    prefix = f"s3://{using.lake_bucket}/{ModelNames(using.declaration.model).probes_prefix}{execution}/"
    return {
        "train_uri": f"{prefix}train/",
        # Below the plan, so that one input of the job brings both.
        "recent_uri": f"{prefix}plan/recent/",
        "window_uri": f"{prefix}window/",
        "plan_uri": f"{prefix}plan/",
        "result_uri": f"{prefix}result/",
    }


def _prepare(
    using: LakeServices, request: ProbeRequest, places: ProbePlaces, execution: str, request_id: str
) -> ProbeAnswer:
    declaration, window, as_of = using.declaration, window_of(request), request["as_of"]
    investment = declaration.retraining.investment
    if investment is None:
        raise FreshProbeError(f"{declaration.model} declares no retraining.investment, and so has no probes")
    if using.store.probes.find(window.end) is not None:
        return {"go_on": False, "reason": "the window has its probe", "places": places}
    listing = list_lake(using.s3_client, using.lake_bucket, declaration.model)
    output = f"s3://{using.lake_bucket}/{ATHENA_RESULTS_PREFIX}unload/{execution}/{request_id}"
    # What a training would have learned from at the window's begin.
    query = snapshot_query(declaration, window.start, listing)
    require_fitting(query)
    size = using.read(size_query(declaration, window.start, listing), f"{output}-size/", [ROWS, CHARACTERS])
    require_room(declaration, int(size[ROWS].sum()), float(size[CHARACTERS].sum()))
    answered = window_query(declaration, window, as_of)
    found = using.read(answered, f"{output}-window/", [*lake_columns(declaration), SERVED, VERSION])
    scored = window_rows(found, declaration, window, most=investment.probe_rows)
    if not scored.inside:
        return {"go_on": False, "reason": "no labelled row was answered in the window", "places": places}
    rows = using.read(query, f"{output}/", [*lake_columns(declaration), SUPERSEDED])
    learned = training_rows(rows, declaration, window, most=investment.probe_rows, recent_days=investment.recent_days)
    champion = using.store.versions.champion()
    number = champion.version if champion else None
    plan: ProbePlan = {
        **request,
        "learns_from": learns_from(declaration, window),
        "lag_days": lag_days(declaration),
        "recent_days": None if learned.recent is None else investment.recent_days,
        "champion": number,
        "window_rows": scored.inside,
        "labelled_rows": learned.labelled,
        "kept": kept_probes(using.store.probes.latest(investment.kept_probes + 1), window, investment.kept_probes),
        "versions": older_versions(using.store, using.artifact_bucket, champion=number),
    }
    _put(using, places["train_uri"], "part-0.parquet", parquet_bytes(learned.rows))
    if learned.recent is not None:
        _put(using, places["recent_uri"], "part-0.parquet", parquet_bytes(learned.recent))
    _put(using, places["window_uri"], "part-0.parquet", parquet_bytes(scored.rows))
    _put(using, places["plan_uri"], "plan.json", json.dumps(as_json(plan), sort_keys=True, indent=1).encode())
    return {"go_on": True, "reason": "", "places": places}


def _record(using: LakeServices, request: ProbeRequest, places: ProbePlaces, at: datetime) -> ProbeAnswer:
    key = _key(using, places["result_uri"]) + RESULT
    body = read_object(using.s3_client, using.lake_bucket, key, LARGEST_DOCUMENT_BYTES)
    document: ProbeDocument = read_result(body, request, using.declaration, f"s3://{using.lake_bucket}/{key}")
    window = window_of(request)
    using.store.probes.put(Probe(using.declaration.model, window.end, places["result_uri"], at, document))
    return {"go_on": True, "reason": "", "places": places}


def _key(using: LakeServices, uri: str) -> str:
    return uri.removeprefix(f"s3://{using.lake_bucket}/")


def _put(using: LakeServices, uri: str, name: str, body: bytes) -> None:
    using.s3_client.put_object(Bucket=using.lake_bucket, Key=_key(using, uri) + name, Body=body)
