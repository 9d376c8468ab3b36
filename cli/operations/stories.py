"""Audit records as sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from everloop.documents.records import AuditDetails
from everloop.recalibration.written import calibration_name
from everloop.registry.records import AuditRecord

Phrase = Callable[[AuditRecord, AuditDetails], str]


def describe(record: AuditRecord) -> str:
    """What an audit record says happened, as one line."""
    phrase = PHRASES.get(record.action)
    if phrase is None:
        about = f" of version {record.version}" if record.version is not None else ""
        return f"{record.action}{about}" + (f": {record.reason}" if record.reason else "")
    return phrase(record, cast("AuditDetails", record.details))


def _run_opened(record: AuditRecord, details: AuditDetails) -> str:
    trigger = details.get("trigger", {})
    return f"run {record.run_id} opened ({trigger.get('kind', '?')}: {trigger.get('reason', 'no reason given')})"


def _run_closed(record: AuditRecord, details: AuditDetails) -> str:
    cause = f": {record.reason}" if record.reason else ""
    return f"run {record.run_id} {details.get('status', 'closed')}{cause}"


def _transition(record: AuditRecord, details: AuditDetails) -> str:
    why = f" ({record.reason})" if record.reason else ""
    return f"version {record.version}: {details.get('from')} → {details.get('to')}{why}"


def _registered(record: AuditRecord, details: AuditDetails) -> str:
    gate, refit = details.get("gate") or {}, details.get("refit") or {}
    serves = {"refit": ", its refit serves", "evaluated": ", the evaluated model serves and no refit"}
    told = serves.get(str(refit.get("serves")), "")
    return f"version {record.version} registered, gate: {gate.get('verdict', 'not asked')}{told}"


def _traffic(record: AuditRecord, details: AuditDetails) -> str:
    percent = details.get("percent")
    return f"version {record.version}: {100 if percent is None else percent:g}% of the traffic"


def _guardrail(record: AuditRecord, details: AuditDetails) -> str:
    reasons = "; ".join(reason["sentence"] for reason in details.get("reasons", []))
    return f"version {record.version}: the guardrail says {details.get('decision')}" + (
        f" ({reasons})" if reasons else ""
    )


def _calibrated(record: AuditRecord, details: AuditDetails) -> str:
    name, rows = calibration_name(str(details.get("calibration_sha256"))), details.get("rows")
    return f"version {record.version}: calibration {name} serves, learned from {rows} labelled rows"


def _calibration_reverted(record: AuditRecord, details: AuditDetails) -> str:
    sha256 = details.get("calibration_sha256")
    serves = "what the model says" if sha256 is None else f"calibration {calibration_name(str(sha256))}"
    return f"version {record.version}: {serves} serves again: {record.reason}"


PHRASES: dict[str, Phrase] = {
    "run_opened": _run_opened,
    "run_closed": _run_closed,
    "transition": _transition,
    "registered": _registered,
    "traffic_shifted": _traffic,
    "rollout_started": lambda r, _: f"version {r.version}: rollout started",
    "promoted": lambda r, _: f"version {r.version} promoted: it is the champion",
    "code_rolled_out": lambda r, _: f"version {r.version} serves under new code",
    "guardrail_decided": _guardrail,
    "rollout_completed": lambda r, _: f"version {r.version}: baked, rollout completed",
    "rollout_superseded": lambda r, _: f"version {r.version}: rollout superseded by a later one",
    "champion_republished": lambda r, d: (
        f"version {r.version} published again as function version {d.get('lambda_version')}: {d.get('gone')} is gone"
    ),
    "alias_reconciled": lambda r, _: f"the alias was put back where the registry says: {r.reason}",
    "calibrated": _calibrated,
    "calibration_reverted": _calibration_reverted,
    "calibration_frozen": lambda r, _: f"calibrations are held still: {r.reason}",
    "calibration_resumed": lambda r, _: f"calibrations go on: {r.reason}",
    "rolled_back": lambda r, _: f"version {r.version} rolled back: {r.reason}",
}
