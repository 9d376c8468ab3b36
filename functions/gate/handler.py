"""Decides whether an evaluated candidate may go on, and then whether its refit serves in its place.

It reads the evaluation's report and answers with the verdict and the hash of the report it is about; it changes
nothing, so a retry changes nothing. The registration that follows, passed or not, takes that report and no other, and
records the verdict together with the version.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NotRequired, TypedDict
from urllib.parse import urlsplit

import boto3
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from everloop.busy_services import busy_services_named
from everloop.dataset.held_groups import HeldGroups
from everloop.dataset.standing import NONE
from everloop.documents.pipeline import GateState, RefitState
from everloop.documents.snapshot import PartRows, StandingState
from everloop.environment import REMEDY, Settings, WrongSettingError
from everloop.evaluation import refit, restoration
from everloop.evaluation.exceptions import ReportError
from everloop.evaluation.gate import Expected, Verdict, decide
from everloop.evaluation.money_gate import money_document
from everloop.evaluation.refit_report import RefitReport
from everloop.evaluation.report import Report
from everloop.evaluation.waivers import Waived, with_waivers
from everloop.limits import LARGEST_DOCUMENT_BYTES
from everloop.manifest import REFIT
from everloop.model_file.schema import ModelDeclaration
from everloop.objects import ObjectTooLargeError, read_object
from everloop.recalibration.declared import Scores, judged_scores
from everloop.registry.causes import readable_cause
from everloop.typed_json import PIPELINE_SENDS, Event, read_as

logger = Logger(service="gate")


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets."""


@dataclass(frozen=True)
class Services:
    """What this function works with."""

    s3: Any
    declaration: ModelDeclaration


class JudgedChampion(TypedDict):
    """What is read of the champion."""

    version: int


class JudgedRun(TypedDict):
    """What is read of the run."""

    run_id: str
    champion: JudgedChampion | None


class JudgedSnapshot(TypedDict):
    """What is read of the snapshot."""

    snapshot_hash: str
    rows: PartRows
    standing: NotRequired[StandingState]


class JudgedWaiver(TypedDict):
    """What is read of a waiver."""

    code: str
    until: datetime
    by: str
    why: str


class JudgedOlder(TypedDict):
    """What is read of the version that is to come back."""

    version: int
    manifest_sha256: str
    asked_for: bool
    waived: NotRequired[list[JudgedWaiver]]


class RestoringRun(TypedDict):
    """What is read of a run that brings a version back."""

    run_id: str
    champion: JudgedChampion
    older: JudgedOlder


class OlderEvent(TypedDict):
    """The action ``older``."""

    run: RestoringRun
    snapshot: JudgedSnapshot
    evaluation_uri: str


class RefitSnapshot(JudgedSnapshot):
    """And for a refit, which learned from all of it."""

    time_range: list[datetime]


class JudgedReport(TypedDict):
    """What is read of the verdict on the evaluated model."""

    report_sha256: str


class CandidateEvent(TypedDict):
    """The action ``candidate``."""

    run: JudgedRun
    snapshot: JudgedSnapshot
    evaluation_uri: str


class RefitEvent(TypedDict):
    """The action ``refit``."""

    run: JudgedRun
    snapshot: RefitSnapshot
    gate: JudgedReport
    evaluation_uri: str
    refit_uri: str


class RefitFailedEvent(TypedDict):
    """The action ``refit_failed``: the job's cause, as the pipeline caught it."""

    cause: str


@cache
def services() -> Services:
    """The services of this process, from its environment; made at the first invocation."""
    environment = Environment.read(os.environ)
    declared = (Path(__file__).parent / "declaration.json").read_text(encoding="utf-8")
    declaration = ModelDeclaration.model_validate_json(declared)
    if declaration.model != environment.model:
        raise WrongSettingError(
            f"deployed for {environment.model!r} with the declaration of {declaration.model!r}: {REMEDY}"
        )
    return Services(s3=boto3.client("s3"), declaration=declaration)


@logger.inject_lambda_context
def handle(event: Event, context: Any) -> GateState | RefitState:
    """Judge the candidate. Errors are the pipeline's to catch, by class name."""
    answer = act(event, services())
    logger.info("gate", answer=answer)
    return answer


@busy_services_named()
def act(event: Event, using: Services) -> GateState | RefitState:
    """Judge the ``candidate``, its ``refit``, an ``older`` version, or say that the ``refit_failed``.

    Raises
    ------
    ValueError
        For any other action.
    """
    action = event.get("action")
    if action == "candidate":
        return _judge_candidate(read_as(CandidateEvent, event, "event of the gate", PIPELINE_SENDS), using)
    if action == "older":
        return _judge_older(read_as(OlderEvent, event, "event of the gate", PIPELINE_SENDS), using)
    if action == "refit":
        return _judge_refit(read_as(RefitEvent, event, "event of the gate", PIPELINE_SENDS), using)
    if action == "refit_failed":
        failed = read_as(RefitFailedEvent, event, "event of the gate", PIPELINE_SENDS)
        return _refit_state(refit.not_made(readable_cause(failed["cause"])), None)
    raise ValueError(f"the gate knows the actions candidate, older, refit and refit_failed, not {action!r}")


def _judge_candidate(event: CandidateEvent, using: Services) -> GateState:
    """The verdict on the candidate of ``event["run"]``, with reasons, the candidate's metrics and the report's hash."""
    run, snapshot = event["run"], event["snapshot"]
    champion = run["champion"]
    content = read_report(using.s3, event["evaluation_uri"])
    report = Report.from_json(content)
    expected = Expected(
        model=using.declaration.model,
        run_id=run["run_id"],
        snapshot_hash=snapshot["snapshot_hash"],
        test_rows=snapshot["rows"]["test"],
        champion_version=None if champion is None else champion["version"],
        scores=judged_scores(using.declaration),
        standing_sha256=_standing_sha256(snapshot),
        held_groups=HeldGroups.of(using.declaration),
    )
    return _gate_state(decide(report, using.declaration.gate, expected), report, content, expected.scores)


def _judge_older(event: OlderEvent, using: Services) -> GateState:
    """The verdict on the registered version that ``event["run"]`` is to bring back."""
    run, snapshot = event["run"], event["snapshot"]
    older = run["older"]
    content = read_report(using.s3, event["evaluation_uri"])
    report = Report.from_json(content)
    expected = restoration.Expected(
        model=using.declaration.model,
        run_id=run["run_id"],
        snapshot_hash=snapshot["snapshot_hash"],
        version=older["version"],
        manifest_sha256=older["manifest_sha256"],
        test_rows=snapshot["rows"]["test"],
        champion_version=run["champion"]["version"],
        asked_for=older["asked_for"],
        scores=judged_scores(using.declaration),
        standing_sha256=_standing_sha256(snapshot),
        held_groups=HeldGroups.of(using.declaration),
    )
    waived = [Waived(**one) for one in older.get("waived", [])]
    verdict = with_waivers(restoration.decide(report, using.declaration.gate, expected), waived)
    return _gate_state(verdict, report, content, expected.scores)


def _standing_sha256(snapshot: JudgedSnapshot) -> str | None:
    """Over the files of the set that the snapshot function has on record."""
    found = snapshot.get("standing")
    return None if found is None or found["sha256"] == NONE else found["sha256"]


def _gate_state(verdict: Verdict, report: Report, content: bytes, scores: Scores) -> GateState:
    metrics = {name: found.value for name, found in report.candidate.items() if found.value is not None}
    # The files lie where the jobs can still write: the report's hash fixes it, and it fixes the evaluated files.
    judged = hashlib.sha256(content).hexdigest()
    return {**verdict.as_dict(), "metrics": metrics, "money": money_document(report, scores), "report_sha256": judged}


def _judge_refit(event: RefitEvent, using: Services) -> RefitState:
    """Which of the two serves, with reasons and the hash of the check's report."""
    run, snapshot, gate = event["run"], event["snapshot"], event["gate"]
    evaluated = read_report(using.s3, event["evaluation_uri"])
    found = hashlib.sha256(evaluated).hexdigest()
    if found != gate["report_sha256"]:
        raise ReportError(
            f"{event['evaluation_uri']}report.json has sha256 {found}, and the gate judged one with"
            f" {gate['report_sha256']}: the file was replaced in between; find out who writes there, then start a"
            " new run"
        )
    judged = Report.from_json(evaluated)
    content = read_report(using.s3, event["refit_uri"], name=REFIT)
    expected = refit.Expected(
        model=using.declaration.model,
        run_id=run["run_id"],
        snapshot_hash=snapshot["snapshot_hash"],
        report_sha256=gate["report_sha256"],
        code_sha256=judged.code_sha256,
        evaluated_files=judged.files,
        train_rows=snapshot["rows"]["train"],
        test_rows=snapshot["rows"]["test"],
        learned_until=snapshot["time_range"][1],
        held_out_rows=0 if judged.held_groups is None else judged.rows,
    )
    report = RefitReport.from_json(content)
    decision = refit.decide(report, using.declaration.training, using.declaration.gate, expected)
    return _refit_state(decision, hashlib.sha256(content).hexdigest())


def _refit_state(decision: refit.RefitDecision, report_sha256: str | None) -> RefitState:
    return {**decision.as_dict(), "report_sha256": report_sha256}


def read_report(s3: Any, uri: str, name: str = "report.json") -> bytes:
    """The bytes of the report below ``uri``.

    Raises
    ------
    ReportError
        When it is not there: without a report nothing passes.
    """
    parts = urlsplit(uri)
    key = f"{parts.path.strip('/')}/{name}"
    try:
        return read_object(s3, parts.netloc, key, LARGEST_DOCUMENT_BYTES)
    except ObjectTooLargeError as error:
        raise ReportError(f"{error}: an evaluation never writes such a report; start a new run") from error
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
            raise
        raise ReportError(
            f"s3://{parts.netloc}/{key} is missing; a job of this run should have written it: start a new run"
        ) from error
