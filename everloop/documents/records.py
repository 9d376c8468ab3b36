"""The nested documents of the registry's records: what their JSON text holds.

A record of an earlier release may lack a key, and a record without the document holds an empty one: so no key must be
there, and whoever reads one says what holds without it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict

from everloop.documents.investment import WeighedProbe
from everloop.documents.money import MoneyDocument
from everloop.reasons import ReasonDocument


class FileFacts(TypedDict):
    """One registered file: its hash, hexadecimal, and its size."""

    sha256: str
    bytes: int


Files = dict[str, FileFacts]
"""Registered files by name."""


UpdateMode = Literal["full", "warm"]
"""How a training learns: anew from its rows, or by continuing the champion with newer ones."""


class Cause(TypedDict, total=False):
    """Why a run was started, by a person or a monitored window. ``version`` is the one that a restore brings back.

    ``update`` is how a training is to learn; without it, in full. ``started_by`` is the identity (ARN, from STS) of the
    person who started it; runs of earlier releases have none, and those that a rule started.
    """

    kind: str
    reason: str
    version: int
    update: UpdateMode
    started_by: str


class Trigger(Cause, total=False):
    """What started a run, and when it was asked for; a monitored window ends at ``window_end``."""

    requested_at: datetime
    window_end: datetime | None


class StoredTrigger(Cause, total=False):
    """A trigger as runs keep it. Earlier releases took any text for an instant: what names none stays that text."""

    requested_at: datetime | str | None
    window_end: datetime | str | None


class GateVerdict(TypedDict, total=False):
    """The gate's verdict on a version, what decisions cost, and the hash of the report it is about."""

    verdict: Literal["pass", "fail"]
    reasons: list[ReasonDocument]
    money: MoneyDocument | None
    report_sha256: str


class RefitChoice(TypedDict, total=False):
    """Whether the refit or the evaluated model serves, and why; the hash of the check's report where there was one."""

    serves: Literal["refit", "evaluated"]
    reasons: list[ReasonDocument]
    report_sha256: str | None


class SpanLead(TypedDict):
    """What probes of the newest ``days`` days lost less than those of all rows, a row, with its standard error."""

    days: int
    less: float
    error: float | None
    windows: int
    labelled_days: int


class TrainingSpan(TypedDict, total=False):
    """The newest days that a training learns from, None for all rows, and the evidence by which that was chosen."""

    days: int | None
    reason: ReasonDocument
    leads: list[SpanLead]
    probes: list[WeighedProbe]


class TrainingUpdate(TypedDict, total=False):
    """How a training learned that was asked to continue the champion, and why; until it has, how it is to.

    ``rows`` are those it learned from itself. ``parent`` is the version that a warm start continues, which had
    ``parent_trees`` trees, if any; ``estimator_sha256`` is the hash of its kept estimator.
    """

    kind: UpdateMode
    reason: ReasonDocument
    rows: int
    parent: int | None
    parent_trees: int | None
    estimator_sha256: str | None


class EnvironmentRecord(TypedDict, total=False):
    """Where a version was evaluated, and what was another thing where it was trained; see ``EnvironmentFacts``."""

    python: str
    platform: str
    packages: int
    lock_sha256: str
    unmet: list[str]
    differences: list[str]


Phase = Literal["canary", "bake"]
"""Of a rollout, as the guardrail looks at it."""


class GuardrailCheck(TypedDict, total=False):
    """A decision of the guardrail: when, in which phase, on which step, and why."""

    at: datetime
    phase: Phase
    decision: Literal["advance", "hold", "promote", "rollback", "ok"]
    reasons: list[ReasonDocument]
    step_index: int


AuditDetails = TypedDict(
    "AuditDetails",
    {
        "trigger": dict[str, str | int | None],
        "status": str,
        "from": str,
        "to": str,
        "gate": GateVerdict,
        "refit": RefitChoice,
        "update": TrainingUpdate,
        "environment": EnvironmentRecord,
        "percent": float | None,
        "decision": str,
        "reasons": list[ReasonDocument],
        "calibration_sha256": str | None,
        "rows": int,
        "lambda_version": str,
        "gone": str,
        "compared_with": int,
    },
    total=False,
)
"""What is read of the details of audit records, of one action or another; instants in them are text."""


class AliasFound(TypedDict):
    """Where an alias pointed before it was put back, and where it does now."""

    found: str
    candidate: str | None
    percent: float
    settled: str
