"""Watches a model's last window, records it, and asks for retraining when that is decided."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import boto3
from aws_lambda_powertools import Logger

from everloop.dataset.athena import AthenaQueries
from everloop.documents.probe import ProbeDocument, ProbeRequest
from everloop.documents.recalibration import RecalibrationDecision
from everloop.documents.window import WindowDecision, WindowRecord
from everloop.emf import MetricValue, emf_line
from everloop.environment import Settings
from everloop.instants import format_instant, instant_text, to_epoch_ms
from everloop.limits import LARGEST_DOCUMENT_BYTES
from everloop.manifest import CONTRACT, PROFILE
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.exceptions import ReferenceUnusableError
from everloop.monitoring.profile_query import Windows, windows_at
from everloop.monitoring.recalibrating import Standing, calibration_event
from everloop.monitoring.reference import Reference
from everloop.monitoring.watch import Rows, Scene, reach_back, watch
from everloop.names import ATHENA_RESULTS_PREFIX, CALIBRATION_LEARNED, PROBE_DUE, RESTORE_REQUESTED
from everloop.objects import ObjectTooLargeError, read_object
from everloop.reasons import ReasonDocument
from everloop.recalibration.interval import Interval
from everloop.registry.evidence import record_sha256
from everloop.registry.records import Champion, Version, Window
from everloop.registry.restorations import restorable, served_versions
from everloop.registry.store import RegistryStore
from everloop.retraining.probe.requests import execution_name
from everloop.retraining.probe.weigh import MOST_WEIGHED
from everloop.retraining.probe.windows import due_probe
from everloop.retraining.requests import RestoreRequest, RetrainingRequest, put, send
from everloop.rollout.declared_place import declared_place
from everloop.rollout.holds import code_waits
from everloop.rollout.targets import TARGETS, RolloutTarget
from everloop.serving.contract import ServingContract
from everloop.typed_json import Event, read_as

logger = Logger(service="monitor")


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets."""

    table: str
    lake_bucket: str
    athena_workgroup: str
    glue_database: str
    artifact_bucket: str
    event_bus: str
    endpoint_role_arn: str = ""


@dataclass(frozen=True)
class Services:
    """What this function works with.

    Attributes
    ----------
    query : callable
        Runs a query on the lake and returns its rows.
    target : RolloutTarget
        What serves the model; it is only looked at.
    references : dict
        The references read so far, by hash: a version's never changes.
    windows : dict
        The recorded windows read last, by their end, so that a window is not read again each day for two months.
    """

    declaration: ModelDeclaration
    store: RegistryStore
    query: Callable[[str], Rows]
    target: RolloutTarget
    s3: Any
    events: Any
    artifact_bucket: str
    event_bus: str
    references: dict[str, Reference] = field(default_factory=dict)
    windows: dict[datetime, Window] = field(default_factory=dict)


class MonitorEvent(TypedDict):
    """What the schedule sends."""

    scheduled_time: datetime


class MonitorAnswer(TypedDict):
    """What became of the window. Without a champion there is a ``reason``, else the decision's."""

    window_end: str
    decision: WindowDecision
    reason: NotRequired[str]
    reasons: NotRequired[list[ReasonDocument]]
    not_watched: NotRequired[dict[str, str]]
    execution: NotRequired[str]
    recalibration: NotRequired[RecalibrationDecision]
    probe: NotRequired[str]


@cache
def services() -> Services:
    """The services of this process, from its environment; made at the first invocation."""
    environment = Environment.read(os.environ)
    declared = (Path(__file__).parent / "declaration.json").read_text(encoding="utf-8")
    queries = AthenaQueries(
        client=boto3.client("athena"),
        sleep=time.sleep,
        database=environment.glue_database,
        workgroup=environment.athena_workgroup,
        output_location=f"s3://{environment.lake_bucket}/{ATHENA_RESULTS_PREFIX}",
    )
    declaration = ModelDeclaration.model_validate_json(declared)
    served_by = TARGETS.load(declaration.rollout.target)
    place = declared_place(
        declaration, role_arn=environment.endpoint_role_arn, artifact_bucket=environment.artifact_bucket
    )
    return Services(
        declaration=declaration,
        store=RegistryStore(boto3.client("dynamodb"), environment.table, environment.model),
        query=queries.rows,
        target=served_by.open(boto3.client, place),
        s3=boto3.client("s3"),
        events=boto3.client("events"),
        artifact_bucket=environment.artifact_bucket,
        event_bus=environment.event_bus,
    )


@logger.inject_lambda_context
def handle(event: Event, context: Any) -> MonitorAnswer:
    """Watch the window before ``event["scheduled_time"]``. Whatever fails is raised: the schedule tries again."""
    answer = act(event, services())
    logger.info("monitor", answer=answer)
    return answer


def act(event: Event, using: Services) -> MonitorAnswer:
    """Watch one window.

    The same scheduled time twice gives one record; the request is sent again, and starts one execution.
    """
    asked = read_as(MonitorEvent, event, "event of the monitor", "its schedule sends the time it is due")
    scheduled = asked["scheduled_time"]
    windows = windows_at(using.declaration, scheduled)
    end = format_instant(windows.end)
    champion = using.store.versions.champion()
    if champion is None:
        return {"window_end": end, "decision": "none", "reason": "no champion serves, so there is nothing to monitor"}
    recorded = using.store.windows.find(windows.end)
    if recorded is None:
        judged = watch(using.declaration, windows, _scene(using, champion, windows), using.query)
        recorded = using.store.windows.put(Window(using.declaration.model, windows.end, judged.to_document()))
    record = recorded.record
    print(_metrics(record, scheduled), flush=True)
    answer: MonitorAnswer = {
        "window_end": end,
        "decision": record.decision,
        "reasons": [reason.as_dict() for reason in record.reasons],
    }
    if record.not_watched:
        answer["not_watched"] = dict(record.not_watched)
    if record.decision == "retrain":
        request = RetrainingRequest.from_window(record)
        send(request, using.events, using.event_bus, at=scheduled)
        answer["execution"] = request.execution_name
    if record.decision == "restore":
        restore = RestoreRequest.from_window(record)
        put(RESTORE_REQUESTED, restore.as_detail(), using.events, using.event_bus, at=scheduled)
        answer["execution"] = restore.execution_name
    learned = calibration_event(record)
    if record.recalibration is not None:
        answer["recalibration"] = record.recalibration["decision"]
    if learned is not None:
        put(CALIBRATION_LEARNED, learned, using.events, using.event_bus, at=scheduled)
    probe = _due_probe(using, windows)
    if probe is not None:
        put(PROBE_DUE, probe, using.events, using.event_bus, at=scheduled)
        answer["probe"] = execution_name(probe)
    return answer


def _due_probe(using: Services, windows: Windows) -> ProbeRequest | None:
    """The fresh probe to ask for now; asked for again at another delivery, it is the same execution."""
    if using.declaration.retraining.investment is None:
        return None
    newest = next((p.window_end for p in using.store.probes.latest(1)), None)
    return due_probe(using.declaration, windows, using.store.runs.all(), probed=newest)


def _scene(using: Services, champion: Champion, windows: Windows) -> Scene:
    active, runs = using.store.runs.active(), using.store.runs.all()
    version = using.store.versions.get(champion.version)

    newest = _newest_served(using, version)

    def latest(count: int) -> list[WindowRecord]:
        return _records(using, using.store.windows.latest(count))

    return Scene(
        champion=champion,
        reference=_reference(using, version),
        earlier=reach_back(using.declaration, windows, runs, latest),
        own=(window.record for window in using.store.windows.after(version.created_at)),
        runs=runs,
        active_run=active.run_id if active else None,
        standing=_standing(using, champion),
        probes=_probes(using),
        newest_version=newest.version,
        trained_at=next((r.as_of for r in runs if r.run_id == newest.run_id), None),
        restorable=_restorable(using, champion),
        kept=using.store.kept_requests.all(),
        interval=_interval(using, version),
    )


def _newest_served(using: Services, serving: Version) -> Version:
    """The newest version that has come to serve and was not rolled back; the champion, unless an older one is back."""
    newest = max(served_versions(using.store.rollouts.all()), default=serving.version)
    return serving if newest <= serving.version else using.store.versions.get(newest)


def _restorable(using: Services, champion: Champion) -> frozenset[int]:
    if using.declaration.retraining.investment is None:
        return frozenset()
    store = using.store
    return frozenset(restorable(store.versions.all(), store.rollouts.all(), champion.version))


def _records(using: Services, windows: list[Window]) -> list[WindowRecord]:
    """What the windows say; those that stand as they were read before are not read again."""
    known = using.windows
    kept = {window.end: known[window.end] if known.get(window.end) == window else window for window in windows}
    known.clear()
    known.update(kept)
    return [window.record for window in kept.values()]


def _probes(using: Services) -> list[tuple[ProbeDocument, str]]:
    investment = using.declaration.retraining.investment
    if investment is None:
        return []
    return [(p.document, record_sha256(p)) for p in using.store.probes.latest(MOST_WEIGHED)]


def _standing(using: Services, champion: Champion) -> Standing:
    store = using.store
    in_force = store.calibrations.in_force(champion)
    return Standing(in_force.calibration if in_force else "", _held_by(using, champion))


def _held_by(using: Services, champion: Champion) -> str | None:
    """Why the rollout function would publish no calibration now. It looks again when it does."""
    freeze = using.store.calibrations.freeze_in_force()
    if freeze is not None:
        return f"{freeze.actor} froze calibrations at {instant_text(freeze.since)}: {freeze.reason}"
    rollout = next((r for r in using.store.rollouts.all() if r.is_open), None)
    if rollout is not None:
        return (
            f"rollout {rollout.rollout_id} is {rollout.status}, and nothing else may change what serves until it has"
            " ended"
        )
    if not using.target.unchanged_since(champion.lambda_version):
        return code_waits(champion.model)
    return None


def _reference(using: Services, version: Version) -> Reference:
    """The version's reference, whose bytes are the registered ones.

    Raises
    ------
    ReferenceUnusableError
        When they are others.
    """
    registered = version.files[PROFILE]["sha256"]
    if registered not in using.references:
        using.references[registered] = Reference.from_json(_registered_file(using, version, PROFILE))
    return using.references[registered]


def _interval(using: Services, version: Version) -> Interval | None:
    """What the version answers with, as it was at its birth; None of a classification, or where it has none.

    Raises
    ------
    ReferenceUnusableError
        When its contract is not the registered one.
    """
    if using.declaration.problem.type != "regression":
        return None
    return ServingContract.from_json(_registered_file(using, version, CONTRACT)).interval


def _registered_file(using: Services, version: Version, name: str) -> bytes:
    key, registered = f"{version.artifact_prefix}{name}", version.files[name]["sha256"]
    try:
        body = read_object(using.s3, using.artifact_bucket, key, LARGEST_DOCUMENT_BYTES)
    except ObjectTooLargeError as error:
        raise ReferenceUnusableError(f"{error}: restore the object's registered version") from error
    found = hashlib.sha256(body).hexdigest()
    if found != registered:
        raise ReferenceUnusableError(
            f"s3://{using.artifact_bucket}/{key} has the hash {found}, but version {version.version} was"
            f" registered with {registered}: restore the object's registered version"
        )
    return body


def _metrics(record: WindowRecord, at: datetime) -> str:
    quality = record.quality
    values = {
        "WindowRows": record.rows,
        "LabelledRows": record.labelled_rows,
        "LabelsUnmatched": record.labels_unmatched,
        "DriftAlarm": int(record.drift_alarm),
        "FeaturesNotWatched": len(record.not_watched),
        "DriftedFeatures": sum(f["alarm"] for f in record.drift.values()),
        "RetrainingRequested": int(record.decision == "retrain"),
        "Loss": record.loss,
        "CostOf1000Decisions": None if record.money is None else record.money["champion"]["value"],
        "Auc": quality["auc"]["value"],
        "QualityLost": max((d["increase"] for d in quality["deviations"].values()), default=None),
    }
    ratios = {"Loss", "CostOf1000Decisions", "Auc", "QualityLost"}
    metrics = [
        MetricValue(name, value, "None" if name in ratios else "Count")
        for name, value in values.items()
        if value is not None
    ]
    return emf_line(metrics, dimensions={"model": record.model}, dimension_sets=[["model"]], epoch_ms=to_epoch_ms(at))
