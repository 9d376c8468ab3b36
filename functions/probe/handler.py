"""Prepares the job of a fresh probe, and records what it found.

The rows stay with Athena and S3; what comes here are a few numbers, however many rows there are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import boto3
from aws_lambda_powertools import Logger

from everloop.busy_services import busy_services_named
from everloop.dataset.athena import unload_statement
from everloop.dataset.frozen import Place
from everloop.dataset.lake_listing import list_lake
from everloop.dataset.snapshot_making import check, freeze
from everloop.dataset.snapshot_parts import S3Place, keep_part
from everloop.dataset.snapshot_query import require_fitting, snapshot_query
from everloop.documents.pipeline import ParentState
from everloop.documents.probe import RESULT, ProbeDocument, ProbePlaces, ProbeRequest
from everloop.lake_services import LakeServices, LakeSettings
from everloop.limits import LARGEST_DOCUMENT_BYTES
from everloop.model_file.schema import ModelDeclaration
from everloop.names import ModelNames
from everloop.objects import read_object
from everloop.registry.evidence import record_sha256
from everloop.registry.parents import champion_of, no_estimator, parent_state
from everloop.registry.records import Probe
from everloop.retraining.exceptions import FreshProbeError
from everloop.retraining.probe.making import Table, count_answered, count_spans, learned_tables, scored_table
from everloop.retraining.probe.plan import fresh_days, kept_probes, older_versions, probe_plan, read_result
from everloop.retraining.probe.requests import window_of
from everloop.retraining.probe.spans import MOST_PROBES, measured_spans
from everloop.typed_json import PIPELINE_SENDS, Event, as_json, read_as

logger = Logger(service="probe")


class ProbeEvent(TypedDict):
    """What the state machine of probes sends; ``asked`` is its execution's input."""

    action: Literal["prepare", "record"]
    asked: ProbeRequest
    execution: str
    at: datetime


class ProbeAnswer(TypedDict):
    """What became of a step: ``go_on`` says whether there is anything to measure, ``reason`` why not.

    ``places`` are there where a job is to measure.
    """

    go_on: bool
    reason: str
    places: NotRequired[ProbePlaces]


@cache
def services() -> LakeServices:
    """The services of this process, from its environment; made at the first invocation."""
    declared = (Path(__file__).parent / "declaration.json").read_text(encoding="utf-8")
    settings = LakeSettings.read(os.environ)
    return LakeServices.of(boto3.Session(), ModelDeclaration.model_validate_json(declared), settings)


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
        Of this attempt, which unloads to a place of its own: what an earlier one left is not read.

    Raises
    ------
    FreshProbeError
        When another model's probe is asked for, no probe is declared, or the job left no result that can be read.
    ContractViolationError
        When the rows to learn from break the data contract.
    QueryFailedError, QueryInterruptedError, PartsIncompleteError, PartTooLargeError, QueryTooLongError
        As of a training's snapshot.
    """
    asked = read_as(ProbeEvent, event, "event of the probe function", PIPELINE_SENDS)
    request = asked["asked"]
    if request["model"] != using.declaration.model:
        raise FreshProbeError(
            f"a probe of {request['model']} was sent to the probe function of {using.declaration.model}"
        )
    result_uri = f"s3://{using.lake_bucket}/{_prefix(using, asked['execution'])}result/"
    if asked["action"] == "record":
        return _record(using, request, result_uri, asked["at"])
    return _prepare(using, request, result_uri, asked["execution"], request_id)


def _prefix(using: LakeServices, execution: str) -> str:
    return f"{ModelNames(using.declaration.model).probes_prefix}{execution}/"


def _prepare(
    using: LakeServices, request: ProbeRequest, result_uri: str, execution: str, request_id: str
) -> ProbeAnswer:
    declaration, window = using.declaration, window_of(request)
    investment = declaration.retraining.investment
    if investment is None:
        raise FreshProbeError(f"{declaration.model} declares no retraining.investment, so it has no probes")
    if using.store.probes.find(window.end) is not None:
        return {"go_on": False, "reason": "the window already has a probe"}
    listing = list_lake(using.s3_client, using.lake_bucket, declaration.model)
    place = Place(using.lake_bucket, declaration.model, f"{execution}-{request_id}")
    # What a training would have learned from at the window's begin.
    query = snapshot_query(declaration, window.start, listing)
    require_fitting(unload_statement(query, place.uri()))
    answered = count_answered(using.queries, declaration, window, request["as_of"])
    if not answered.inside:
        return {"go_on": False, "reason": "no labelled row was answered in the window"}
    scanned = freeze(using.queries, place, query)
    logger.info("rows frozen", frozen=place.uri(), scanned_bytes=scanned)
    counts = check(using.queries, declaration, place, window.start)
    labelled = count_spans(using.queries, declaration, place, counts, measured_spans(declaration))
    probes = [(p.document, record_sha256(p)) for p in using.store.probes.latest(MOST_PROBES)]
    fresh = fresh_days(declaration, probes, window, labelled)
    champion = using.store.versions.champion()
    number = champion.version if champion else None
    plan = probe_plan(
        declaration,
        request,
        labelled=labelled,
        inside=answered.inside,
        fresh=fresh,
        champion=number,
        kept=kept_probes(using.store.probes.latest(investment.kept_probes + 1), window, investment.kept_probes),
        versions=older_versions(using.store, using.artifact_bucket, champion=number),
        parent=_parent(using),
    )
    most = investment.probe_rows
    learned = learned_tables(declaration, place, window, counts.last, labelled, most)
    scored = scored_table(declaration, window, request["as_of"], answered, most)
    tables = {"train": learned[fresh], "window": scored}
    tables |= {f"plan/{span['folder']}": learned[span["days"]] for span in plan["spans"]}
    prefix = f"{_prefix(using, execution)}{request_id}/"
    _keep(using, place, tables, prefix)
    body = json.dumps(as_json(plan), sort_keys=True, indent=1).encode()
    using.s3_client.put_object(Bucket=using.lake_bucket, Key=f"{prefix}plan/plan.json", Body=body)
    uri = f"s3://{using.lake_bucket}/{prefix}"
    places: ProbePlaces = {
        "train_uri": f"{uri}train/",
        "window_uri": f"{uri}window/",
        "plan_uri": f"{uri}plan/",
        "result_uri": result_uri,
    }
    return {"go_on": True, "reason": "", "places": places}


def _keep(using: LakeServices, place: Place, tables: Mapping[str, Table], prefix: str) -> None:
    """Unload the tables, and copy each to its folder below ``prefix``."""
    unloaded = using.queries.unload([(table.query, place.uri(name)) for name, table in tables.items()])
    for (name, table), left in zip(tables.items(), unloaded, strict=True):
        keep_part(left, S3Place(using.s3_client, using.lake_bucket, f"{prefix}{name}/"), table.rows)


def _parent(using: LakeServices) -> ParentState | None:
    """What a warm start would continue; None where there is nothing."""
    champion = champion_of(using.store)
    if using.declaration.training.warm_start is None or champion is None or no_estimator(champion) is not None:
        return None
    return parent_state(champion, using.artifact_bucket)


def _record(using: LakeServices, request: ProbeRequest, result_uri: str, at: datetime) -> ProbeAnswer:
    key = result_uri.removeprefix(f"s3://{using.lake_bucket}/") + RESULT
    body = read_object(using.s3_client, using.lake_bucket, key, LARGEST_DOCUMENT_BYTES)
    document: ProbeDocument = read_result(body, request, using.declaration, f"s3://{using.lake_bucket}/{key}")
    window = window_of(request)
    using.store.probes.put(Probe(using.declaration.model, window.end, result_uri, at, document))
    return {"go_on": True, "reason": ""}
