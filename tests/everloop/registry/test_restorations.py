"""An older version comes back with the gate's leave, and by a run of its own."""

from __future__ import annotations

from typing import Any

import pytest

from everloop.documents.records import GateVerdict
from everloop.registry.exceptions import (
    ChampionChangedError,
    NotRestorableError,
    RunNotActiveError,
    UnknownVersionError,
)
from everloop.registry.records import Run, Version
from everloop.registry.restorations import restorable
from everloop.registry.states import State
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from tests.helpers.registry_scenes import (
    FAILED,
    PASSED,
    TRIGGER,
    at,
    close_run,
    crown,
    open_run,
    register,
    start_rollout,
)


def replaced(store: RegistryStore) -> RegistryStore:
    """Version 1 served and is retired, version 2 serves."""
    crown(store, "train-1")
    crown(store, "train-2")
    store.versions.retire(1, reason="baked", at=at(55), actor="test")
    return store


def open_restore(store: RegistryStore, version: int, run_id: str = "restore-1", *, when: float = 60) -> Run:
    trigger: Any = {**TRIGGER, "reason": "the summer is back", "version": version}
    return store.runs.open(
        run_id, kind="restore", trigger=trigger, at=at(when), actor="test", quota_runs=1, quota_days=7
    )


def judge(store: RegistryStore, version: int, run_id: str = "restore-1", *, gate: GateVerdict = PASSED) -> Version:
    return store.restorations.judge(version, run_id=run_id, snapshot_hash="s1", gate=gate, at=at(70), actor="test")


def brought_back(store: RegistryStore, version: int, run_id: str, *, when: float) -> None:
    """All of it, up to the end of the bake."""
    open_restore(store, version, run_id, when=when)
    judge(store, version, run_id)
    start_rollout(store, run_id, version)
    store.rollouts.promote(run_id, at=at(when + 30), actor="test")
    store.rollouts.end(run_id, status="completed", at=at(when + 40), actor="test")
    close_run(store, run_id, when=at(when + 50))


@pytest.mark.slow
def test_a_version_that_the_gate_lets_is_evaluated_again_and_comes_to_serve_as_a_new_one_does(
    store: RegistryStore,
) -> None:
    replaced(store)
    open_restore(store, 1)
    assert store.versions.get(2).state is State.PRODUCTION, "nothing is trained"
    version = judge(store, 1)
    assert (version.state, version.readmitted_by, version.run_id) == (State.EVALUATED, "restore-1", "train-1")
    run = store.runs.get("restore-1")
    assert (run.version, run.verdict, run.snapshot_hash) == (1, "pass", "s1")
    start_rollout(store, "restore-1", 1)
    store.rollouts.promote("restore-1", at=at(90), actor="test")
    champion = store.versions.champion()
    assert champion is not None
    assert (champion.version, champion.calibrated_by) == (1, None)
    assert [store.versions.get(n).state for n in (1, 2)] == [State.PRODUCTION, State.DEPRECATED]
    told = next(r for r in store.ledger.audit_records() if r.action == "readmitted")
    assert (told.version, told.run_id, told.reason) == (1, "restore-1", "the summer is back")
    assert told.details["compared_with"] == 2
    assert verify_audit(store).sound


@pytest.mark.slow
def test_a_version_that_the_gate_refuses_stays_where_it_is_and_the_run_has_the_reasons(store: RegistryStore) -> None:
    before = replaced(store).versions.get(1)
    open_restore(store, 1)
    assert judge(store, 1, gate=FAILED) == before
    run = store.runs.get("restore-1")
    assert (run.verdict, run.gate_reasons) == ("fail", FAILED["reasons"])
    told = next(r for r in store.ledger.audit_records() if r.action == "restore_refused")
    assert told.reason == "the candidate is not better than the champion"
    assert verify_audit(store).sound


@pytest.mark.slow
@pytest.mark.parametrize("gate", [PASSED, FAILED])
def test_it_is_judged_once_for_each_run(store: RegistryStore, gate: GateVerdict) -> None:
    replaced(store)
    open_restore(store, 1)
    first, head = judge(store, 1, gate=gate), store.ledger.audit_head()
    assert judge(store, 1, gate=gate) == first
    assert store.ledger.audit_head() == head


@pytest.mark.slow
def test_versions_come_and_go_as_often_as_it_is_right(store: RegistryStore) -> None:
    """Each of their retirements is one of its own."""
    replaced(store)
    brought_back(store, 1, "restore-1", when=60)
    store.versions.retire(2, reason="baked", at=at(111), actor="test")
    brought_back(store, 2, "restore-2", when=120)
    assert store.versions.retire(1, reason="baked", at=at(171), actor="test").state is State.RETIRED
    brought_back(store, 1, "restore-3", when=180)
    champion = store.versions.champion()
    assert champion is not None
    assert champion.version == 1
    assert store.versions.get(1).readmitted_by == "restore-3"
    assert verify_audit(store).sound


@pytest.mark.slow
def test_it_takes_none_of_the_quota_of_trainings(store: RegistryStore) -> None:
    replaced(store)
    open_restore(store, 1)
    close_run(store, "restore-1", when=at(80), status="rejected")
    open_run(store, "train-3", when=at(90), runs=3)
    assert store.runs.active() is not None


def test_the_version_that_serves_is_not_brought_back(store: RegistryStore) -> None:
    replaced(store)
    with pytest.raises(NotRestorableError, match="version 2 is not brought back: it serves"):
        store.restorations.check(2)


@pytest.mark.slow
def test_a_version_that_never_served_is_not_brought_back(store: RegistryStore) -> None:
    replaced(store)
    open_run(store, "train-3", when=at(60))
    register(store, "train-3", gate=FAILED)
    with pytest.raises(NotRestorableError, match="never served to the end of its rollout"):
        store.restorations.check(3)


def test_what_a_baking_rollout_would_go_back_to_is_not_brought_back(store: RegistryStore) -> None:
    crown(store, "train-1")
    crown(store, "train-2", complete=False)
    with pytest.raises(
        NotRestorableError, match="rollout train-2 is baking and would go back to it; `everloop rollout"
    ):
        store.restorations.check(1)


def test_without_a_champion_nothing_is_brought_back(store: RegistryStore) -> None:
    open_run(store, "train-1")
    register(store, "train-1")
    with pytest.raises(NotRestorableError, match="nothing serves"):
        store.restorations.check(1)
    with pytest.raises(UnknownVersionError):
        store.restorations.check(7)


@pytest.mark.slow
def test_a_verdict_counts_for_the_run_that_asked_for_that_version(store: RegistryStore) -> None:
    replaced(store)
    crown(store, "train-3")
    open_run(store, "train-4", when=at(60))
    with pytest.raises(NotRestorableError, match="run train-4 was opened for a run of the kind train, not for 1"):
        judge(store, 1, "train-4")
    close_run(store, "train-4", when=at(61), status="failed")
    open_restore(store, 2, when=62)
    with pytest.raises(NotRestorableError, match="opened for version 2, not for 1"):
        judge(store, 1)


def test_a_verdict_of_a_run_that_was_released_is_refused(store: RegistryStore) -> None:
    replaced(store)
    open_restore(store, 1)
    close_run(store, "restore-1", when=at(62), status="released")
    with pytest.raises(RunNotActiveError):
        judge(store, 1)
    assert store.versions.get(1).state is State.RETIRED


@pytest.mark.slow
def test_a_verdict_beside_another_champion_is_refused(direct: RegistryStore) -> None:
    """GIVEN a run that finds version 2 serving, which a person rolls back meanwhile."""
    store = direct
    crown(store, "train-1")
    crown(store, "train-2")
    crown(store, "train-3", complete=False)
    close_run(store, "train-3", when=at(58), status="failed")
    open_restore(store, 1)
    store.rollouts.roll_back("train-3", reasons=[], at=at(65), actor="a person")
    with pytest.raises(ChampionChangedError, match="compared with version 3, and 2 serves by now"):
        judge(store, 1)


@pytest.mark.slow
def test_what_was_rolled_back_comes_back_by_a_person_alone(store: RegistryStore) -> None:
    replaced(store)
    open_restore(store, 1)
    judge(store, 1)
    start_rollout(store, "restore-1", 1)
    assert restorable(store.versions.all(), store.rollouts.all(), 2) == set()
    store.rollouts.roll_back("restore-1", reasons=[], at=at(90), actor="test")
    close_run(store, "restore-1", when=at(91), status="rolled_back")
    assert store.versions.get(1).state is State.EXPERIMENTING
    assert restorable(store.versions.all(), store.rollouts.all(), 2) == set()
    assert store.restorations.check(1).version == 1


@pytest.mark.slow
def test_by_themselves_come_back_versions_that_served_and_left(store: RegistryStore) -> None:
    replaced(store)
    crown(store, "train-3")
    open_run(store, "train-4", when=at(60))
    register(store, "train-4")
    assert restorable(store.versions.all(), store.rollouts.all(), 3) == {1, 2}
