from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from everloop.instants import parse_instant
from everloop.reasons import ReasonDocument
from everloop.registry.exceptions import (
    ChampionChangedError,
    ContentionError,
    InstantAheadError,
    InvalidTransitionError,
    OperationMismatchError,
    QuotaExceededError,
    RegistryError,
    RolloutEndedError,
    RunAlreadyActiveError,
    RunNotActiveError,
    RunOutOfOrderError,
    StateOccupiedError,
    TooManyBrokenRunsError,
    UnknownRunError,
    UnknownStatusError,
    UnknownVersionError,
)
from everloop.registry.records import Snapshot, Window
from everloop.registry.runs import BROKEN_RUNS
from everloop.registry.states import State
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from tests.fakes.registry_table import UnreliableClient
from tests.helpers.present import present
from tests.helpers.registry_scenes import FAILED, at, close_run, crown, open_run, register, start_rollout, text_at


class TestRuns:
    def test_one_run_at_a_time(self, store: RegistryStore) -> None:
        open_run(store, "train-1", when=at(1))
        with pytest.raises(RunAlreadyActiveError, match="train-1") as refused:
            open_run(store, "train-2")
        assert refused.value.run_id == "train-1"
        assert refused.value.started_at == text_at(1)

    def test_opening_twice_is_opening_once(self, store: RegistryStore) -> None:
        first = open_run(store, "train-1")
        assert open_run(store, "train-1", when=at(5)) == first
        assert [r.action for r in store.ledger.audit_records()] == ["run_opened"]

    def test_a_late_repetition_of_opening_does_not_open_again(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        close_run(store, "train-1")
        assert open_run(store, "train-1").status == "succeeded"
        assert store.runs.active() is None

    def test_the_first_closing_counts(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        close_run(store, "train-1", status="rejected")
        assert close_run(store, "train-1", status="failed").status == "rejected"

    def test_a_run_is_not_opened_before_one_that_was_opened(self, store: RegistryStore) -> None:
        """So no training is written down where the quota no longer looks."""
        open_run(store, "train-1", when=at(60))
        close_run(store, "train-1", when=at(70))
        with pytest.raises(RunOutOfOrderError, match=", so none can be opened at"):
            open_run(store, "train-2", when=at(59))
        assert open_run(store, "train-3", when=at(60)).run_id == "train-3"

    def test_nothing_is_recorded_at_an_instant_that_has_not_come(self, store: RegistryStore) -> None:
        """A run of the year 2199 would be the newest until then, and no other one would open."""
        with pytest.raises(
            InstantAheadError, match="nothing can be recorded at 2199-01-01T00:00:00Z, because it is 20"
        ):
            open_run(store, "train-1", when=datetime(2199, 1, 1, tzinfo=UTC))
        assert store.ledger.audit_head() is None
        assert open_run(store, "train-1").run_id == "train-1"
        with pytest.raises(InstantAheadError):
            close_run(store, "train-1", when=datetime(2199, 1, 1, tzinfo=UTC))

    def test_a_run_that_a_version_came_of_has_trained(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        register(store, "train-1")
        with pytest.raises(UnknownStatusError, match="version 1 came from run train-1, so the run trained"):
            close_run(store, "train-1", status="failed", trained=False)
        assert close_run(store, "train-1", status="failed").trained

    def test_closing_a_run_that_never_opened(self, store: RegistryStore) -> None:
        with pytest.raises(UnknownRunError, match="train-9"):
            close_run(store, "train-9")

    def test_a_run_does_not_end_in_any_word(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        with pytest.raises(ValueError, match="rejected"):
            close_run(store, "train-1", status="done")

    def test_quota_counts_training_runs_of_the_last_days(self, store: RegistryStore) -> None:
        for index, minutes in enumerate([0, 10, 20]):
            open_run(store, f"train-{index}", when=at(minutes), runs=3)
            close_run(store, f"train-{index}", when=at(minutes + 1))
        with pytest.raises(QuotaExceededError) as refused:
            open_run(store, "train-3", when=at(30), runs=3)
        assert refused.value.started == 3
        assert refused.value.free_at == text_at(7 * 24 * 60)
        assert store.runs.active() is None
        assert open_run(store, "train-3", when=parse_instant(refused.value.free_at), runs=3).status == "open"

    @pytest.mark.slow
    def test_runs_that_broke_before_they_trained_cost_none_of_the_quota(self, store: RegistryStore) -> None:
        for index in range(BROKEN_RUNS):
            open_run(store, f"broken-{index}", when=at(index), runs=1)
            closed = close_run(store, f"broken-{index}", when=at(index), status="failed", trained=False)
            assert (closed.status, closed.trained) == ("failed", False)
        # THEN they have a limit of their own, which soon passes
        with pytest.raises(TooManyBrokenRunsError, match="--smoke") as refused:
            open_run(store, "train-1", when=at(60), runs=1)
        assert refused.value.free_at == text_at(24 * 60)
        assert open_run(store, "train-1", when=parse_instant(refused.value.free_at), runs=1).trained
        close_run(store, "train-1", when=parse_instant(refused.value.free_at), status="failed")
        with pytest.raises(QuotaExceededError):
            open_run(store, "train-2", when=at(72 * 60), runs=1)

    def test_smoke_runs_and_rollouts_are_not_counted(self, store: RegistryStore) -> None:
        for index, kind in enumerate(["smoke", "rollout"]):
            open_run(store, f"{kind}-{index}", kind=kind, runs=1)
            close_run(store, f"{kind}-{index}")
        open_run(store, "train-1", runs=1)
        close_run(store, "train-1")
        assert open_run(store, "smoke-9", kind="smoke", runs=1).status == "open"

    def test_the_champion_is_in_retraining_while_a_training_run_is_open(self, store: RegistryStore) -> None:
        champion = crown(store, "train-1").version
        open_run(store, "train-2")
        assert store.versions.get(champion).state is State.RETRAINING
        close_run(store, "train-2", status="rejected")
        assert store.versions.get(champion).state is State.PRODUCTION

    def test_a_smoke_run_leaves_the_champion_alone(self, store: RegistryStore) -> None:
        champion = crown(store, "train-1").version
        open_run(store, "smoke-1", kind="smoke")
        assert store.versions.get(champion).state is State.PRODUCTION

    def test_releasing_a_dead_run(self, store: RegistryStore) -> None:
        champion = crown(store, "train-1").version
        open_run(store, "train-2")
        with pytest.raises(RegistryError, match="reason"):
            store.runs.release_stale("train-2", reason=" ", at=at(1), actor="ann")
        with pytest.raises(RunNotActiveError, match="train-2 is"):
            store.runs.release_stale("train-7", reason="dead", at=at(1), actor="ann")
        released = store.runs.release_stale("train-2", reason="its execution is missing", at=at(1), actor="ann")
        assert (released.status, released.cause) == ("released", "its execution is missing")
        assert not released.trained
        assert store.versions.get(champion).state is State.PRODUCTION
        assert open_run(store, "train-3").status == "open"

    def test_a_released_run_that_came_to_a_version_is_one_of_the_quotas(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        register(store, "train-1")
        assert store.runs.release_stale("train-1", reason="its execution is missing", at=at(21), actor="ann").trained

    def test_a_released_run_that_lives_on_changes_nothing_that_serves(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        version = register(store, "train-1")
        start_rollout(store, "train-1", version.version)
        store.runs.release_stale("train-1", reason="looked dead", at=at(21), actor="ann")
        with pytest.raises(RunNotActiveError):
            store.rollouts.promote("train-1", at=at(30), actor="test")
        assert store.versions.champion() is None


class TestVersions:
    def test_numbers_follow_each_other_and_a_run_gets_one(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        assert register(store, "train-1").version == 1
        assert register(store, "train-1").version == 1
        close_run(store, "train-1")
        open_run(store, "train-2")
        assert register(store, "train-2").version == 2
        assert store.runs.get("train-2").version == 2

    def test_a_failed_gate_stays_experimenting_with_its_reason(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        version = register(store, "train-1", gate=FAILED)
        assert version.state is State.EXPERIMENTING
        assert version.reason == "the candidate is not better than the champion"
        assert store.runs.get("train-1").verdict == "fail"

    def test_an_unknown_version(self, store: RegistryStore) -> None:
        with pytest.raises(UnknownVersionError, match="version 3"):
            store.versions.get(3)

    def test_registering_for_a_run_that_was_never_opened(self, store: RegistryStore) -> None:
        with pytest.raises(UnknownRunError, match="train-1"):
            register(store, "train-1")

    def test_a_repeated_transition_changes_nothing_however_late(self, direct: RegistryStore) -> None:
        open_run(direct, "train-1")
        register(direct, "train-1")
        move: dict[str, Any] = {"operation": "waive", "at": at(1), "actor": "ann"}
        back: dict[str, Any] = {"operation": "back", "at": at(2), "actor": "ann", "reason": "new rows"}
        again: dict[str, Any] = {"operation": "again", "at": at(3), "actor": "ann"}
        direct.versions.transition(1, State.EXPERIMENTING, expected=State.EVALUATED, **back)
        direct.versions.transition(1, State.EVALUATED, expected=State.EXPERIMENTING, **move)
        direct.versions.transition(1, State.EXPERIMENTING, expected=State.EVALUATED, **{**back, "operation": "back 2"})
        length = present(direct.ledger.audit_head()).sequence
        assert (
            direct.versions.transition(1, State.EVALUATED, expected=State.EXPERIMENTING, **move).state
            is State.EXPERIMENTING
        )
        assert present(direct.ledger.audit_head()).sequence == length
        assert (
            direct.versions.transition(1, State.EVALUATED, expected=State.EXPERIMENTING, **again).state
            is State.EVALUATED
        )

    def test_a_key_used_for_something_else_is_refused(self, direct: RegistryStore) -> None:
        open_run(direct, "train-1")
        register(direct, "train-1")
        move: dict[str, Any] = {"operation": "evaluated:train-1", "at": at(1), "actor": "ann", "reason": "no"}
        with pytest.raises(OperationMismatchError, match="evaluated:train-1"):
            direct.versions.transition(1, State.RETIRED, expected=State.EVALUATED, **move)

    def test_a_move_from_a_state_it_is_not_in(self, direct: RegistryStore) -> None:
        open_run(direct, "train-1")
        register(direct, "train-1")
        with pytest.raises(InvalidTransitionError, match="is evaluated, not shadow"):
            direct.versions.transition(1, State.STAGING, expected=State.SHADOW, operation="o", at=at(1), actor="a")

    def test_no_transition_moves_the_champion(self, direct: RegistryStore) -> None:
        crown(direct, "train-1")
        for to in (State.DEPRECATED, State.EXPERIMENTING, State.RETRAINING):
            with pytest.raises(InvalidTransitionError, match="would move the champion"):
                direct.versions.transition(
                    1, to, expected=State.PRODUCTION, operation=f"to {to}", at=at(1), actor="a", reason="why"
                )

    @pytest.mark.slow
    def test_one_version_in_shadow(self, direct: RegistryStore) -> None:
        for run_id in ("train-1", "train-2"):
            open_run(direct, run_id)
            register(direct, run_id)
            close_run(direct, run_id)
        to_shadow: dict[str, Any] = {"expected": State.EVALUATED, "at": at(1), "actor": "a"}
        direct.versions.transition(1, State.SHADOW, operation="1", **to_shadow)
        with pytest.raises(StateOccupiedError, match="version 1 is in shadow"):
            direct.versions.transition(2, State.SHADOW, operation="2", **to_shadow)
        leave: dict[str, Any] = {
            "expected": State.SHADOW,
            "operation": "3",
            "at": at(2),
            "actor": "a",
            "reason": "it disagrees",
        }
        direct.versions.transition(1, State.EXPERIMENTING, **leave)
        assert direct.versions.transition(2, State.SHADOW, operation="2", **to_shadow).state is State.SHADOW


class TestRollouts:
    def test_the_first_champion(self, store: RegistryStore) -> None:
        version = crown(store, "train-1")
        assert version.state is State.PRODUCTION
        champion = present(store.versions.champion())
        assert (champion.version, champion.lambda_version, champion.since) == (1, "10", at(30))
        assert store.versions.place(State.STAGING) is None

    def test_promotion_deprecates_the_old_champion_in_the_same_transaction(
        self, store: RegistryStore, client: UnreliableClient
    ) -> None:
        crown(store, "train-1")
        open_run(store, "train-2")
        register(store, "train-2")
        start_rollout(store, "train-2", 2)
        before = client.transactions
        store.rollouts.promote("train-2", at=at(30), actor="test")
        assert client.transactions == before + 1
        assert store.versions.get(1).state is State.DEPRECATED
        assert store.versions.get(2).state is State.PRODUCTION
        assert present(store.versions.champion()).version == 2

    def test_promoting_twice_is_promoting_once(self, store: RegistryStore) -> None:
        crown(store, "train-1")
        length = present(store.ledger.audit_head()).sequence
        assert store.rollouts.promote("train-1", at=at(99), actor="test").status == "completed"
        assert present(store.ledger.audit_head()).sequence == length

    def test_only_an_evaluated_version_is_staged(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        register(store, "train-1", gate=FAILED)
        with pytest.raises(InvalidTransitionError, match="experimenting"):
            start_rollout(store, "train-1", 1)

    def test_one_version_in_staging(self, store: RegistryStore) -> None:
        open_run(store, "train-1")
        register(store, "train-1")
        start_rollout(store, "train-1", 1)
        close_run(store, "train-1", status="failed")
        open_run(store, "train-2")
        register(store, "train-2")
        with pytest.raises(StateOccupiedError, match="version 1 is in staging"):
            start_rollout(store, "train-2", 2)

    def test_a_failed_canary_returns_to_experimenting_and_the_champion_stays(self, store: RegistryStore) -> None:
        crown(store, "train-1")
        open_run(store, "train-2")
        register(store, "train-2")
        start_rollout(store, "train-2", 2)
        reasons: list[ReasonDocument] = [{"code": "error_rate", "sentence": "too many errors"}]
        rollout = store.rollouts.roll_back("train-2", reasons=reasons, at=at(25), actor="test")
        assert (rollout.status, rollout.reasons) == ("rolled_back", reasons)
        candidate = store.versions.get(2)
        assert (candidate.state, candidate.reason) == (State.EXPERIMENTING, "too many errors")
        assert present(store.versions.champion()).version == 1
        assert store.versions.place(State.STAGING) is None

    @pytest.mark.slow
    def test_rollback_during_the_bake_brings_the_old_champion_back(self, store: RegistryStore) -> None:
        crown(store, "train-1")
        old = present(store.versions.champion())
        crown(store, "train-2", complete=False)
        store.rollouts.roll_back("train-2", reasons=[{"code": "c", "sentence": "slow"}], at=at(35), actor="test")
        assert store.versions.get(1).state is State.PRODUCTION
        assert store.versions.get(2).state is State.EXPERIMENTING
        back = present(store.versions.champion())
        assert (back.version, back.lambda_version, back.code_sha256) == (1, old.lambda_version, old.code_sha256)
        assert verify_audit(store).sound

    def test_rolling_back_the_first_champion_leaves_none(self, store: RegistryStore) -> None:
        crown(store, "train-1", complete=False)
        store.rollouts.roll_back("train-1", reasons=[{"code": "c", "sentence": "slow"}], at=at(35), actor="test")
        assert store.versions.champion() is None
        assert store.versions.get(1).state is State.EXPERIMENTING
        assert verify_audit(store).sound

    def test_a_completed_rollout_is_not_rolled_back(self, store: RegistryStore) -> None:
        crown(store, "train-1")
        with pytest.raises(RolloutEndedError, match="completed"):
            store.rollouts.roll_back("train-1", reasons=[], at=at(60), actor="test")

    def test_a_rollout_against_another_champion_is_refused(self, store: RegistryStore) -> None:
        crown(store, "train-1")
        open_run(store, "train-2")
        register(store, "train-2")
        rollout = start_rollout(store, "train-2", 2)
        stale = replace(rollout, rollout_id="other", previous_version=None)
        with pytest.raises(ChampionChangedError, match="the champion is version 1, not None"):
            store.rollouts.start(stale, at=at(22), actor="test")

    @pytest.mark.parametrize("step", [1, 5])
    def test_a_step_follows_the_one_in_effect(self, store: RegistryStore, step: int) -> None:
        open_run(store, "train-1")
        start_rollout(store, "train-1", register(store, "train-1").version)
        with pytest.raises(UnknownStatusError, match="is in step -1: step 0 follows"):
            store.rollouts.step("train-1", step_index=step, percent=5, at=at(21), actor="test")

    @pytest.mark.parametrize("percent", [-1.0, 100.5])
    def test_a_step_gives_a_share_of_the_traffic(self, store: RegistryStore, percent: float) -> None:
        open_run(store, "train-1")
        start_rollout(store, "train-1", register(store, "train-1").version)
        with pytest.raises(RegistryError, match="0 to 100"):
            store.rollouts.step("train-1", step_index=0, percent=percent, at=at(21), actor="test")

    def test_what_a_rollout_would_go_back_to_is_not_retired(self, store: RegistryStore) -> None:
        crown(store, "train-1")
        crown(store, "train-2", complete=False)
        with pytest.raises(InvalidTransitionError, match="could go back to version 1"):
            store.versions.retire(1, reason="old", at=at(35), actor="test")
        store.rollouts.roll_back("train-2", reasons=[], at=at(36), actor="test")
        champion = store.versions.champion()
        assert champion is not None
        assert champion.version == 1

    def test_new_code_for_the_champion(self, store: RegistryStore) -> None:
        crown(store, "train-1")
        since = present(store.versions.champion()).since
        open_run(store, "rollout-1", kind="rollout")
        start_rollout(store, "rollout-1", 1, kind="code", code="fc2")
        store.rollouts.promote("rollout-1", at=at(70), actor="test")
        champion = present(store.versions.champion())
        assert (champion.version, champion.code_sha256, champion.since) == (1, "fc2", since)
        assert store.versions.get(1).state is State.PRODUCTION
        assert "code_rolled_out" in [r.action for r in store.ledger.audit_records()]
        store.rollouts.roll_back("rollout-1", reasons=[{"code": "c", "sentence": "slow"}], at=at(75), actor="test")
        assert present(store.versions.champion()).code_sha256 == "fc1"
        assert verify_audit(store).sound


class TestCommit:
    def test_a_lost_answer_is_not_a_second_write(self, store: RegistryStore, client: UnreliableClient) -> None:
        client.faults = ["twice"]
        open_run(store, "train-1")
        assert present(store.ledger.audit_head()).sequence == 1

    def test_a_writer_who_is_overtaken_decides_anew(self, store: RegistryStore, client: UnreliableClient) -> None:
        client.overtake = lambda: open_run(store, "train-1")
        with pytest.raises(RunAlreadyActiveError):
            open_run(store, "train-2")
        assert present(store.runs.active()).run_id == "train-1"

    def test_a_writer_who_is_overtaken_by_something_harmless_goes_on(
        self, store: RegistryStore, client: UnreliableClient
    ) -> None:
        crown(store, "train-1")
        open_run(store, "train-2")
        register(store, "train-2")
        start_rollout(store, "train-2", 2)
        client.overtake = lambda: store.rollouts.step("train-2", step_index=0, percent=10, at=at(22), actor="x")
        store.rollouts.promote("train-2", at=at(30), actor="test")
        assert present(store.versions.champion()).version == 2
        assert store.rollouts.get("train-2").step_index == 0
        assert verify_audit(store).sound

    def test_two_promotions_at_once_make_one_champion(self, store: RegistryStore, client: UnreliableClient) -> None:
        open_run(store, "train-1")
        register(store, "train-1")
        start_rollout(store, "train-1", 1)
        client.overtake = lambda: store.rollouts.promote("train-1", at=at(30), actor="other")
        store.rollouts.promote("train-1", at=at(30), actor="test")
        assert [r.action for r in store.ledger.audit_records()].count("promoted") == 1

    def test_endless_contention_is_an_error_that_says_what_did_not_hold(
        self, store: RegistryStore, client: UnreliableClient
    ) -> None:
        rival = RegistryStore(client._client, store.ledger.table, store.model)
        open_run(rival, "train-1")
        notes = iter(range(1000))

        def disturb() -> None:
            from everloop.registry.audit import Entry

            client.overtake = disturb
            rival.ledger.note(Entry(at(1), "noted", "rival"), operation=f"note {next(notes)}")

        client.overtake = disturb
        with pytest.raises(ContentionError, match="the audit chain has not changed"):
            close_run(store, "train-1")


class TestSnapshotsAndWindows:
    def test_a_window_is_written_once(self, store: RegistryStore) -> None:
        first = Window("flights", at(0), {"drift": 0.25})
        assert store.windows.put(first) == first
        assert store.windows.put(Window("flights", at(0), {"drift": 0.5})) == first
        assert store.windows.find(at(0)) == first

    def test_the_latest_windows_come_newest_first(self, store: RegistryStore, client: UnreliableClient) -> None:
        client.page_size = 2
        for day in range(7):
            store.windows.put(Window("flights", at(day * 1440), {"day": day}))
        assert [w.document["day"] for w in store.windows.latest(5)] == [6, 5, 4, 3, 2]
        assert len(store.windows.latest(50)) == 7

    def test_windows_after_an_instant_come_oldest_first_and_no_more_than_are_asked_for(
        self, store: RegistryStore, client: UnreliableClient
    ) -> None:
        client.page_size = 2
        for day in range(7):
            store.windows.put(Window("flights", at(day * 1440), {"day": day}))
        assert [w.document["day"] for w in store.windows.after(at(2 * 1440))] == [3, 4, 5, 6]
        assert [w.document["day"] for w in store.windows.after(at(2 * 1440 - 1))] == [2, 3, 4, 5, 6]
        assert next(store.windows.after(at(1440))).document["day"] == 2
        assert list(store.windows.after(at(6 * 1440))) == []

    def test_a_snapshot_is_written_once(self, store: RegistryStore) -> None:
        snapshot = Snapshot("flights", "abc", "s3://lake/datasets/flights/abc/", at(0), {"rows": {"train": 5}})
        assert store.snapshots.put(snapshot) == snapshot
        assert store.snapshots.put(Snapshot("flights", "abc", "elsewhere", at(1), {})) == snapshot
        assert store.snapshots.find("nothing") is None


def test_models_do_not_see_each_other(store: RegistryStore, client: UnreliableClient) -> None:
    other = RegistryStore(client, store.ledger.table, "loans")
    crown(store, "train-1")
    assert other.versions.champion() is None
    crown(other, "train-1")
    assert verify_audit(other).sound
    assert verify_audit(store).sound
