"""The nested documents of the registry's records: what their JSON text holds.

A record of an earlier release may lack a key, and a record without the document holds an empty one: so no key has to be
there, and whoever reads one says what holds without it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict

from everloop.reasons import ReasonDocument


class FileFacts(TypedDict):
    """One registered file: its hash, hexadecimal, and its size."""

    sha256: str
    bytes: int


Files = dict[str, FileFacts]
"""Registered files by name."""


class Trigger(TypedDict, total=False):
    """What started a run: a person's ``kind`` and ``reason``, or a monitored window's, which ends at ``window_end``."""

    kind: str
    reason: str
    requested_at: datetime
    window_end: datetime | None


class GateVerdict(TypedDict, total=False):
    """The gate's verdict on a version, and the hash of the report it is about."""

    verdict: Literal["pass", "fail"]
    reasons: list[ReasonDocument]
    report_sha256: str


class RefitChoice(TypedDict, total=False):
    """Which of two siblings serves, and why; the hash of the check's report where there was one."""

    serves: Literal["refit", "evaluated"]
    reasons: list[ReasonDocument]
    report_sha256: str | None


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
        "trigger": dict[str, str | None],
        "status": str,
        "from": str,
        "to": str,
        "gate": GateVerdict,
        "refit": RefitChoice,
        "percent": float | None,
        "decision": str,
        "reasons": list[ReasonDocument],
        "calibration_sha256": str | None,
        "rows": int,
        "lambda_version": str,
        "gone": str,
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
