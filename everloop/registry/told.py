"""What the audit chain says that versions and champion have become, and on what: its records, told over again.

A record without what belongs to it tells nothing. Whether it is what was written is the chain's own check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from everloop.documents.records import Trigger
from everloop.instants import WrittenInstant
from everloop.registry.records import AuditRecord
from everloop.registry.restorations import JUDGED_AGAIN, READMITTED
from everloop.registry.waivers import REVOKED, WAIVED
from everloop.typed_json import with_instants_read

_REGISTERED = (
    "snapshot_hash",
    "artifact_prefix",
    "manifest_sha256",
    "code_sha256",
    "files",
    "metrics",
    "gate",
    "refit",
)
"""The facts about a version that stand in the record of its registration."""

_ON_SNAPSHOTS = ("registered", *JUDGED_AGAIN)
"""What was judged on the rows of a snapshot."""

_PROMOTIONS = ("promoted", "code_rolled_out")
_CALIBRATIONS = ("calibrated", "calibration_reverted")
_CALIBRATED = ("calibrated_by", "calibration_sha256")
_UNCALIBRATED: Mapping[str, object] = dict.fromkeys(_CALIBRATED)


Facts = dict[str, object]
"""Fields of a record by name, as the chain tells them."""


def told_versions(records: Sequence[AuditRecord]) -> dict[int, Facts]:
    """The fields of every registered version, by number, as the records leave them."""
    versions: dict[int, Facts] = {}
    for record in records:
        if record.version is None:
            continue
        if record.action == "registered":
            facts = {name: record.details[name] for name in _REGISTERED if name in record.details}
            update = record.details.get("update")
            parent = update.get("parent") if isinstance(update, dict) else None
            facts["parent_version"] = parent
            facts |= {name: record.details.get(name) for name in ("environment", "signer")}
            versions[record.version] = {"run_id": record.run_id, "created_at": record.at, **facts}
        if record.version in versions and record.action in ("registered", "transition"):
            state = {"state": record.details.get("to"), "state_since": record.at, "reason": record.reason}
            versions[record.version] |= state
        if record.version in versions and record.action == READMITTED:
            versions[record.version]["readmitted_by"] = record.run_id
    return versions


def told_champion(records: Sequence[AuditRecord]) -> Facts | None:
    """The fields of the champion pointer as the records leave it; None for no champion.

    The last promotion counts, or the rollback of one. Published again, the champion is served by another function
    version and is the same. A rollback before the promotion moves no pointer. A calibration belongs to its version: a
    promotion begins without one, new code keeps it, and a rollback brings back that of before.
    """
    champion: Facts | None = None
    promotions: dict[str, Facts] = {}
    code_of: dict[str, object] = {}
    for record in records:
        told = record.details
        rollout = str(told.get("rollout_id"))
        if record.action in _PROMOTIONS:
            calibrated = {name: champion[name] for name in _CALIBRATED} if champion else _UNCALIBRATED
            promotions[rollout] = {**told, **calibrated}
            code_of[str(told.get("lambda_version"))] = told.get("code_sha256")
            champion = {
                "version": record.version,
                "since": champion["since"] if champion and record.action == "code_rolled_out" else record.at,
                "lambda_version": told.get("lambda_version"),
                "code_sha256": told.get("code_sha256"),
                "rollout_id": rollout,
                **(calibrated if record.action == "code_rolled_out" else _UNCALIBRATED),
            }
        elif record.action in _CALIBRATIONS and champion is not None:
            champion |= {name: told.get(name) for name in ("lambda_version", "calibration_sha256")}
            champion["calibrated_by"] = _instant(told.get("calibrated_by"))
            code_of[str(champion["lambda_version"])] = champion["code_sha256"]
        elif record.action == "champion_republished" and champion is not None:
            served_by = {name: told.get(name) for name in ("lambda_version", "code_sha256")}
            code_of[str(served_by["lambda_version"])] = served_by["code_sha256"]
            champion |= served_by
        elif record.action == "rolled_back" and rollout in promotions:
            before = promotions[rollout]
            served = before.get("previous_lambda_version")
            champion = {
                "version": before.get("previous_version"),
                "since": record.at,
                "lambda_version": served,
                "code_sha256": code_of.get(str(served)),
                "rollout_id": rollout,
                **{name: before.get(name) for name in _CALIBRATED},
            }
            if champion["version"] is None:
                champion = None
    return champion


def told_calibrations(records: Sequence[AuditRecord]) -> dict[tuple[int, object], Facts]:
    """What every published calibration says, by its version and the end of the window that published it."""
    return {
        (record.version, _instant(record.details.get("window_end"))): {
            **{name: record.details.get(name) for name in ("calibration_sha256", "lambda_version", "days", "rows")},
            "learned_until": _instant(record.details.get("learned_until")),
        }
        for record in records
        if record.action == "calibrated" and record.version is not None
    }


def told_freeze(records: Sequence[AuditRecord]) -> Facts | None:
    """Who froze calibrations and when, according to the audit records; None while they are not frozen."""
    freeze: Facts | None = None
    for record in records:
        if record.action == "calibration_frozen" or (record.action == "calibration_reverted" and freeze is None):
            freeze = {"since": record.at, "actor": record.actor, "reason": record.reason}
        elif record.action == "calibration_resumed":
            freeze = None
    return freeze


def told_requests(records: Sequence[AuditRecord]) -> dict[str, Facts]:
    """What every kept request says, by its id."""
    return {
        str(record.details.get("request_id")): {
            "kept_at": record.at,
            "actor": record.actor,
            "held_by": record.details.get("held_by"),
            "trigger": _trigger(record.details.get("trigger")),
        }
        for record in records
        if record.action == "request_kept"
    }


def told_waivers(records: Sequence[AuditRecord]) -> dict[tuple[object, ...], Facts]:
    """What every waiver says, by version, code and end."""
    told: dict[tuple[object, ...], Facts] = {}
    for record in records:
        place = (record.version, record.details.get("code"), _instant(record.details.get("until")))
        if record.action == WAIVED:
            granted = {"run_id": record.run_id, "why": record.reason, "by": record.actor, "at": record.at}
            told[place] = {**granted, **dict.fromkeys(("revoked_at", "revoked_by", "revoked_why"))}
        elif record.action == REVOKED and place in told:
            told[place] |= {"revoked_at": record.at, "revoked_by": record.actor, "revoked_why": record.reason}
    return told


def _trigger(told: object) -> object:
    """What a detail says of a trigger: it, or whatever stands there instead, which no record says."""
    try:
        return with_instants_read(Trigger, told, "trigger")
    except ValueError:
        return told


def _instant(told: object) -> object:
    """What a detail says of an instant: it, or whatever stands there instead, which no record says."""
    try:
        return WrittenInstant.read(told) if isinstance(told, str) else told
    except ValueError:
        return told


def told_evidence(records: Sequence[AuditRecord]) -> dict[tuple[str, str], set[str]]:
    """The hashes of what runs were opened on and versions registered with, by ``("window", end)`` and the like."""
    hashes: dict[tuple[str, str], set[str]] = {}
    for record in records:
        told, trigger = record.details, record.details.get("trigger")
        if record.action == "run_opened" and isinstance(trigger, dict) and told.get("window_sha256"):
            hashes.setdefault(("window", str(trigger.get("window_end"))), set()).add(str(told["window_sha256"]))
        if record.action in _ON_SNAPSHOTS and told.get("snapshot_sha256"):
            hashes.setdefault(("snapshot", str(told.get("snapshot_hash"))), set()).add(str(told["snapshot_sha256"]))
    return hashes
