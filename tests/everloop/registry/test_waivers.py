"""A refusing reason of the gate passes by a waiver: named, reasoned, for a time, and never by the one who asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from everloop.reasons import ReasonDocument
from everloop.registry.exceptions import NotRestorableError, NotWaivableError, UnknownRunError
from everloop.registry.states import State
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from everloop.registry.waivers import Waiver
from tests.helpers.registry_scenes import TRIGGER, at, close_run, crown, register, start_rollout

ANN, BOB, CLEO = (f"arn:aws:iam::123456789012:user/{name}" for name in ("ann", "bob", "cleo"))
NOT_BETTER: ReasonDocument = {"code": "better_than_champion", "passed": False, "sentence": "not better", "value": 0.1}
SLOW: ReasonDocument = {"code": "latency", "passed": False, "sentence": "slow", "value": 9.0, "limit": 5.0}
NO_PARITY: ReasonDocument = {"code": "parity_flips", "passed": False, "sentence": "it differs", "value": 3, "limit": 0}
NOTHING_SAID: ReasonDocument = {"code": "better_than_baseline", "passed": False, "sentence": "no comparison"}
WHY = "the regulator wants it out by Friday"


def refused(store: RegistryStore, *reasons: ReasonDocument, by: str | None = ANN, rule: bool = False) -> str:
    """Version 1 serves; the gate refuses version 2 for these reasons, of a run that ``by`` started."""
    crown(store, "train-1")
    trigger: Any = {**TRIGGER, "window_end": at(1) if rule else None}
    if by is not None:
        trigger["started_by"] = by
    store.runs.open("train-2", kind="train", trigger=trigger, at=at(60), actor="p", quota_runs=9, quota_days=7)
    register(store, "train-2", gate={"verdict": "fail", "reasons": list(reasons)})
    close_run(store, "train-2", when=at(70), status="rejected")
    return "train-2"


def waive(store: RegistryStore, code: str = "better_than_champion", **given: Any) -> Waiver:
    told: dict[str, Any] = {"why": WHY, "until": at(60 * 24 * 3), "at": at(80), "actor": BOB}
    return store.waivers.grant("train-2", code=code, **{**told, **given})


def open_restore(store: RegistryStore, by: str = CLEO, when: float = 90) -> None:
    trigger: Any = {**TRIGGER, "version": 2, "started_by": by}
    store.restorations.check(2, at=at(when), asked_by=by)
    store.runs.open("restore-1", kind="restore", trigger=trigger, at=at(when), actor="p", quota_runs=1, quota_days=7)


def judge(store: RegistryStore, when: float = 95) -> None:
    gate: Any = {"verdict": "pass", "reasons": [{**NOT_BETTER, "passed": True, "waived": True}]}
    store.restorations.judge(2, run_id="restore-1", snapshot_hash="s1", gate=gate, at=at(when), actor="p")


@pytest.mark.slow
def test_a_waived_version_comes_to_serve_by_a_restore_that_somebody_else_asks_for(store: RegistryStore) -> None:
    refused(store, NOT_BETTER)
    with pytest.raises(NotRestorableError, match="have these reasons waived: better_than_champion"):
        store.restorations.check(2, at=at(80), asked_by=CLEO)
    granted = waive(store)
    assert (granted.version, granted.by, granted.why) == (2, BOB, WHY)
    open_restore(store)
    judge(store)
    assert store.versions.get(2).state is State.EVALUATED
    start_rollout(store, "restore-1", 2)
    told = next(r for r in store.ledger.audit_records() if r.action == "waived")
    assert (told.actor, told.version, told.reason, told.details["code"]) == (BOB, 2, WHY, "better_than_champion")
    assert verify_audit(store).sound


def test_it_is_written_once_with_its_audit_record(store: RegistryStore) -> None:
    refused(store, NOT_BETTER)
    first, head = waive(store), store.ledger.audit_head()
    assert waive(store) == first
    assert store.ledger.audit_head() == head


@pytest.mark.parametrize(
    ("code", "given", "why"),
    [
        ("better_than_champion", {"actor": ANN}, "started run train-2, and somebody else"),
        ("latency", {}, "is no reason for which run train-2 was refused; these are: better_than_baseline, better"),
        ("parity_flips", {}, "can't be waived: it says that the report"),
        ("better_than_baseline", {}, "can't be waived: it says that the report"),
        ("better_than_champion", {"why": "xxx"}, "takes a sentence that others understand"),
        ("better_than_champion", {"why": "   "}, "takes a sentence that others understand"),
        ("better_than_champion", {"until": at(80)}, "holds for at most 90 days"),
        ("better_than_champion", {"until": at(80) + timedelta(days=91)}, "holds for at most 90 days"),
    ],
)
def test_what_may_not_be_waived_is_refused_with_the_reason(
    store: RegistryStore, code: str, given: dict[str, Any], why: str
) -> None:
    refused(store, NOT_BETTER, NO_PARITY, NOTHING_SAID)
    before = store.ledger.audit_head()
    with pytest.raises(NotWaivableError, match=why):
        waive(store, code, **given)
    assert store.ledger.audit_head() == before


def test_a_run_that_passed_or_is_unknown_has_nothing_to_waive(store: RegistryStore) -> None:
    refused(store, NOT_BETTER)
    given: dict[str, Any] = {"code": "latency", "why": WHY, "until": at(999), "at": at(80), "actor": BOB}
    with pytest.raises(NotWaivableError, match="let its version pass"):
        store.waivers.grant("train-1", **given)
    with pytest.raises(UnknownRunError):
        store.waivers.grant("train-9", **given)


def test_a_run_that_does_not_say_who_started_it_can_not_be_waived_unless_a_rule_did(store: RegistryStore) -> None:
    refused(store, NOT_BETTER, by=None)
    with pytest.raises(NotWaivableError, match="does not say who started it"):
        waive(store)


def test_what_a_rule_started_anyone_may_waive(store: RegistryStore) -> None:
    refused(store, NOT_BETTER, by=None, rule=True)
    assert waive(store).by == BOB


def test_who_granted_a_waiver_can_not_ask_for_the_version(store: RegistryStore) -> None:
    refused(store, NOT_BETTER)
    waive(store)
    with pytest.raises(NotRestorableError, match="have these reasons waived"):
        store.restorations.check(2, at=at(90), asked_by=BOB)


def test_all_reasons_have_to_be_waived(store: RegistryStore) -> None:
    refused(store, NOT_BETTER, SLOW)
    waive(store)
    with pytest.raises(NotRestorableError, match="waived: latency"):
        store.restorations.check(2, at=at(90), asked_by=CLEO)
    waive(store, "latency")
    assert store.restorations.check(2, at=at(90), asked_by=CLEO).version == 2


@pytest.mark.slow
def test_an_expired_waiver_counts_for_nothing(store: RegistryStore) -> None:
    refused(store, NOT_BETTER)
    waive(store, until=at(100))
    assert store.waivers.in_force(2, at(99.9))
    assert not store.waivers.in_force(2, at(100))
    with pytest.raises(NotRestorableError):
        store.restorations.check(2, at=at(100), asked_by=CLEO)
    open_restore(store, when=99)
    with pytest.raises((NotRestorableError, NotWaivableError)):
        judge(store, when=101)
    assert store.versions.get(2).state is State.EXPERIMENTING


def test_a_verdict_that_claims_a_waiver_nobody_granted_is_refused(store: RegistryStore) -> None:
    refused(store, NOT_BETTER, SLOW)
    waive(store)
    waive(store, "latency", until=at(92))
    open_restore(store)
    gate: Any = {"verdict": "pass", "reasons": [{**SLOW, "code": "slice_loss", "passed": True, "waived": True}]}
    with pytest.raises(NotWaivableError, match="no waiver of slice_loss"):
        store.restorations.judge(2, run_id="restore-1", snapshot_hash="s1", gate=gate, at=at(91), actor="p")


def revoke(store: RegistryStore, **given: Any) -> Waiver:
    told: dict[str, Any] = {"why": "the regulator waits after all", "at": at(85), "actor": CLEO, **given}
    return store.waivers.revoke(2, code="better_than_champion", **told)


@pytest.mark.slow
def test_a_revoked_waiver_counts_for_nothing_from_then_on(store: RegistryStore) -> None:
    refused(store, NOT_BETTER)
    granted = waive(store)
    longer = waive(store, until=at(60 * 24 * 9))
    found = revoke(store)
    assert (found.until, found.by, found.revoked_by, found.revoked_at) == (longer.until, BOB, CLEO, at(85))
    assert store.waivers.in_force(2, at(84.9))
    assert not store.waivers.in_force(2, at(85))
    with pytest.raises(NotRestorableError, match="have these reasons waived: better_than_champion"):
        store.restorations.check(2, at=at(86), asked_by=CLEO)
    # AND both are on record with who ended them, and are granted again with another end alone
    ended = [r for r in store.ledger.audit_records() if r.action == "waiver_revoked"]
    assert [(r.actor, r.reason) for r in ended] == 2 * [(CLEO, "the regulator waits after all")]
    assert verify_audit(store).sound
    assert revoke(store) == found
    with pytest.raises(NotWaivableError, match=r"was revoked at .*: grant one with another end"):
        waive(store, until=granted.until)
    assert waive(store, until=at(60 * 24 * 4), at=at(87)).revoked_at is None
    assert store.waivers.in_force(2, at(88))
    assert verify_audit(store).sound


@pytest.mark.slow
def test_a_restore_that_is_under_way_ends_with_the_waiver(store: RegistryStore) -> None:
    refused(store, NOT_BETTER)
    waive(store)
    open_restore(store)
    revoke(store, at=at(92))
    with pytest.raises(NotRestorableError, match="have these reasons waived: better_than_champion"):
        judge(store, when=95)


def test_a_revocation_that_is_taken_out_of_the_table_is_found(store: RegistryStore) -> None:
    refused(store, NOT_BETTER)
    granted = waive(store)
    revoke(store)
    store.ledger.client.put_item(TableName=store.ledger.table, Item=granted.to_item())
    (told, *_) = verify_audit(store).problems
    assert "the waiver of better_than_champion for version 2 until" in told
    assert "revoked_at is None; the audit chain says 2013-03-01T01:25:00Z" in told


def test_there_is_nothing_to_revoke_where_nothing_is_in_force(store: RegistryStore) -> None:
    refused(store, NOT_BETTER)
    with pytest.raises(NotWaivableError, match="no waiver of better_than_champion for version 2 is in force"):
        revoke(store)
    waive(store, until=at(84))
    with pytest.raises(NotWaivableError, match="is in force at"):
        revoke(store)
    with pytest.raises(NotWaivableError, match="takes a sentence that others understand"):
        revoke(store, why="no")
