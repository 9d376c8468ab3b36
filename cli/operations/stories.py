"""Audit records and calibrations as sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from everloop.documents.calibration import IntervalLearned
from everloop.documents.records import AuditDetails, EnvironmentRecord
from everloop.instants import instant_text
from everloop.numbers_of import number_of
from everloop.recalibration.written import calibration_name
from everloop.registry.calibration_records import CalibrationFreeze, CalibrationRecord, ServedApart, served_apart
from everloop.registry.drills import BEGUN, ENDED, FAILED, GAVE_WAY, Drill
from everloop.registry.reconciliations import AGREES, DIFFERS, EXPLAINED, PUT_RIGHT
from everloop.registry.records import AuditRecord, Version
from everloop.registry.reproductions import REPRODUCED
from everloop.registry.waivers import REVOKED, WAIVED, Waiver

Phrase = Callable[[AuditRecord, AuditDetails], str]


def describe(record: AuditRecord) -> str:
    """What an audit record says happened, as one line."""
    phrase = PHRASES.get(record.action)
    if phrase is None:
        about = f" of version {record.version}" if record.version is not None else ""
        return f"{record.action}{about}" + (f": {record.reason}" if record.reason else "")
    return phrase(record, cast("AuditDetails", record.details))


def drill_sentence(drill: Drill) -> str:
    """What the last drill of a rollback found, in a line."""
    said = f"from version {drill.version} to {drill.previous_version} at {instant_text(drill.begun_at)}"
    if drill.is_under_way:
        return f"under way, {said}"
    if drill.status == FAILED:
        return f"failed, {said}: {drill.reason}"
    if drill.status == GAVE_WAY:
        return f"gave way, {said}: {drill.reason}"
    return f"{said}: back in {drill.back_seconds:.2f} s, forward in {drill.forward_seconds:.2f} s"


def _drilled(record: AuditRecord, details: AuditDetails) -> str:
    if details.get("status") == GAVE_WAY:
        return f"the rollback that was tried gave way: {record.reason}"
    if record.reason:
        return f"the rollback that was tried did not work: {record.reason}"
    back, forward = details.get("back_seconds"), details.get("forward_seconds")
    return f"the rollback that was tried took {back:.2f} s, and {forward:.2f} s forward again"


def calibration_sentence(in_force: CalibrationRecord | None, freeze: CalibrationFreeze | None) -> str:
    """What serves between raw scores and callers, in a line."""
    if in_force is None:
        said = "none: raw scores are served"
    else:
        name, until = calibration_name(in_force.calibration_sha256), instant_text(in_force.learned_until)
        said = f"{name}, learned from {in_force.rows:,} labelled rows until {until}"
        if in_force.loss_raw is not None and in_force.loss_recalibrated is not None:
            said += f"; their loss is {in_force.loss_raw:.4g} raw and {in_force.loss_recalibrated:.4g} recalibrated"
        said += _apart(served_apart(in_force))
    return said if freeze is None else f"{said}; frozen by {freeze.actor}: {freeze.reason}"


def waiver_sentence(found: Waiver) -> str:
    """What is waived, by whom and until when, in a line."""
    return f"{found.code} of version {found.version}, by {found.by} until {instant_text(found.until)}: {found.why}"


def waiver_cells(found: Waiver) -> list[str]:
    """A waiver as a row of a table: code, who, until when, why."""
    until = instant_text(found.until)
    if found.revoked_at is not None:
        until = f"revoked {instant_text(found.revoked_at)} by {found.revoked_by}: {found.revoked_why}"
    return [found.code, found.by, until, found.why]


def environment_sentence(found: EnvironmentRecord) -> str:
    """Where a version was trained and evaluated, in a line."""
    said = (
        f"Python {found['python']} on {found['platform']}, {number_of(found['packages'], 'package')},"
        f" lock {found['lock_sha256'][:12]}"
    )
    if found["unmet"]:
        said += f", not as locked: {', '.join(found['unmet'])}"
    if found["differences"]:
        return f"{said}; two environments: {'; '.join(found['differences'])}"
    return f"{said}; the same for training and evaluation"


def signer_sentence(found: Version) -> str:
    """Whose signature a version's manifest has, in a line."""
    return "not signed" if found.signer is None else f"by key {found.signer}"


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
    serves = {"refit": ", its refit serves", "evaluated": ", the evaluated model serves, not a refit"}
    told = serves.get(str(refit.get("serves")), "")
    parent = (details.get("update") or {}).get("parent")
    continued = f", continues version {parent}" if parent else ""
    return f"version {record.version} registered{continued}, gate: {gate.get('verdict', 'not asked')}{told}"


def _traffic(record: AuditRecord, details: AuditDetails) -> str:
    percent = details.get("percent")
    if percent == 0:
        return f"version {record.version}: answers unseen"
    return f"version {record.version}: {100 if percent is None else percent:g}% of the traffic"


def _guardrail(record: AuditRecord, details: AuditDetails) -> str:
    reasons = "; ".join(reason["sentence"] for reason in details.get("reasons", []))
    return f"version {record.version}: the guardrail says {details.get('decision')}" + (
        f" ({reasons})" if reasons else ""
    )


def _calibrated(record: AuditRecord, details: AuditDetails) -> str:
    name, rows = calibration_name(str(details.get("calibration_sha256"))), details.get("rows")
    told = cast("ServedApart | None", details.get("groups"))
    widths = cast("IntervalLearned | None", details.get("interval"))
    learned = f"learned from {rows} labelled rows{_apart(told)}{_widened(widths)}"
    return f"version {record.version}: calibration {name} serves, {learned}"


def _widened(told: IntervalLearned | None) -> str:
    """How much wider than at birth intervals are; nothing where answers have none."""
    if told is None:
        return ""
    below, above = told["factors"]
    return f"; intervals reach {below:.2f} times as far below as at birth, and {above:.2f} times as far above"


def _apart(told: ServedApart | None) -> str:
    """Which groups a calibration serves apart, or why none; nothing where none are declared."""
    if told is None:
        return ""
    if told["withheld"] is not None:
        return f"; no group is served apart: {told['withheld']}"
    names = ", ".join(told["served_apart"]) or "none yet, for lack of labelled rows"
    return f"; served apart by {told['by']}: {names}"


def _calibration_reverted(record: AuditRecord, details: AuditDetails) -> str:
    sha256 = details.get("calibration_sha256")
    serves = "the raw score" if sha256 is None else f"calibration {calibration_name(str(sha256))}"
    return f"version {record.version}: {serves} serves again: {record.reason}"


PHRASES: dict[str, Phrase] = {
    "run_opened": _run_opened,
    "run_closed": _run_closed,
    "transition": _transition,
    "registered": _registered,
    "readmitted": lambda r, d: (
        f"version {r.version}: the gate allows its return, compared with version {d.get('compared_with')} ({r.reason})"
    ),
    "restore_refused": lambda r, d: (
        f"version {r.version}: the gate refuses its return, compared with version {d.get('compared_with')}: {r.reason}"
    ),
    WAIVED: lambda r, d: (
        f"version {r.version}: {d.get('code')}, for which the gate refused it, is waived until {d.get('until')}:"
        f" {r.reason}"
    ),
    REPRODUCED: lambda r, _: f"version {r.version} was trained again: {r.reason}",
    REVOKED: lambda r, d: (
        f"version {r.version}: the waiver of {d.get('code')} until {d.get('until')} is revoked: {r.reason}"
    ),
    "traffic_shifted": _traffic,
    "rollout_started": lambda r, _: f"version {r.version}: rollout started",
    "rollout_paused": lambda r, _: f"version {r.version}: rollout paused: {r.reason}",
    "rollout_resumed": lambda r, _: f"version {r.version}: rollout resumed: {r.reason}",
    "promoted": lambda r, _: f"version {r.version} promoted: it is now the champion",
    "code_rolled_out": lambda r, _: f"version {r.version} serves under new code",
    "guardrail_decided": _guardrail,
    "rollout_completed": lambda r, _: f"version {r.version}: bake over, rollout completed",
    "rollout_superseded": lambda r, _: f"version {r.version}: rollout superseded by a later one",
    "champion_republished": lambda r, d: (
        f"version {r.version} published again as function version {d.get('lambda_version')}: {d.get('gone')} no"
        " longer exists"
    ),
    "alias_reconciled": lambda r, _: f"the alias was set back to the version in the registry: {r.reason}",
    DIFFERS: lambda r, _: f"what is deployed is not what the registry says: {r.reason}",
    PUT_RIGHT: lambda r, _: f"what is deployed was not what the registry says, and is being put right: {r.reason}",
    AGREES: lambda r, _: (
        "what is deployed is what the registry says again"
        + (f"; of what differed before: {r.reason}" if r.reason else "")
    ),
    EXPLAINED: lambda r, _: f"what was not as the registry says: {r.reason}",
    BEGUN: lambda r, d: f"a rollback from version {r.version} to {d.get('previous_version')} is tried",
    ENDED: _drilled,
    "calibrated": _calibrated,
    "calibration_reverted": _calibration_reverted,
    "calibration_frozen": lambda r, _: f"calibrations frozen: {r.reason}",
    "calibration_resumed": lambda r, _: f"calibrations resumed: {r.reason}",
    "removal_begun": lambda r, _: f"the model is removed from its account: {r.reason}",
    "rolled_back": lambda r, _: f"version {r.version} rolled back: {r.reason}",
}
