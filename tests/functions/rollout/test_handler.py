"""The rollout function as the pipeline calls it, against a real registry and an alias that holds to its rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from everloop.busy_services import ServiceBusyError
from everloop.functions.rollout.handler import act as handle
from everloop.instants import format_instant
from everloop.names import CHAMPION_PROMOTED, VERSION_ROLLED_BACK
from everloop.registry.exceptions import (
    ChampionChangedError,
    InvalidTransitionError,
    RolloutEndedError,
    RunNotActiveError,
)
from everloop.registry.states import State
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from everloop.rollout.announcements import Announcer
from everloop.rollout.conductor import Conductor
from everloop.rollout.exceptions import EventNotAcceptedError, NothingServesError
from everloop.rollout.metrics import CloudWatchMetrics
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from tests.fakes.cloudwatch_metrics import FakeCloudWatch
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.lambda_function import FakeLambda
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import UnreliableClient, dynamodb
from tests.helpers.declarations import binary_document, declare
from tests.helpers.present import present
from tests.helpers.registry_scenes import BEGIN, FAILED, close_run, from_nothing, manifest_of, open_run, register

DECLARED = declare(
    binary_document(
        rollout={
            "bake_minutes": 600,
            "guardrail": {
                "max_error_rate": 0.02,
                "max_p99_latency_ms": 800,
                "minimum_requests": 20,
                "max_hold_minutes": 120,
            },
        }
    )
).rollout
T = TypeVar("T")


def act(event: Any, using: Conductor) -> dict[str, Any]:
    """The handler's answer as the state machine reads it."""
    return {**handle(event, using)}


@dataclass
class World:
    """A model's registry, function, metrics and events, and the pipeline's hands on them."""

    client: UnreliableClient
    store: RegistryStore
    function: FakeLambda
    cloudwatch: FakeCloudWatch
    events: FakeEventBus
    conductor: Conductor
    minutes: float = 0
    rollout: dict[str, Any] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        return BEGIN + timedelta(minutes=self.minutes)

    def act(self, action: str, **payload: Any) -> dict[str, Any]:
        self.minutes += 1
        return act({"action": action, "at": format_instant(self.now), **payload}, self.conductor)

    def train(self, run_id: str) -> int:
        open_run(self.store, run_id, when=self.now)
        return register(self.store, run_id).version

    def start(self, run_id: str, version: int | None, kind: str = "train") -> dict[str, Any]:
        self.rollout = self.act("start", run={"run_id": run_id, "kind": kind}, version=version)
        return self.rollout

    def shift(self) -> dict[str, Any]:
        self.rollout = self.act("shift", rollout=self.rollout)
        return self.rollout

    def traffic(self, requests: int, **kinds: Any) -> None:
        """Requests to the version being rolled out, over the next hour."""
        at = BEGIN + timedelta(minutes=self.minutes + 30)
        self.cloudwatch.requests(requests, at=at, version=self.rollout["lambda_version"], **kinds)
        self.minutes += 60

    def check(self, phase: str = "canary") -> dict[str, Any]:
        answer = self.act("check", rollout=self.rollout, phase=phase)
        self.rollout = answer["rollout"]
        return answer

    def promote(self) -> dict[str, Any]:
        self.rollout = self.act("promote", rollout=self.rollout)
        return self.rollout

    def finish(self, run_id: str) -> dict[str, Any]:
        self.minutes += 600
        self.check("bake")
        answer = self.act("retire", rollout=self.rollout)
        close_run(self.store, run_id, when=self.now)
        return answer

    def crown(self, run_id: str) -> int:
        """All the way, with good traffic."""
        return self.from_nothing(f"crowned {run_id}", lambda: self._crown(run_id))

    def successor(self) -> None:
        """A champion, and the start of a rollout that follows it."""
        self.from_nothing("successor", self._successor)

    def from_nothing(self, state: str, build: Callable[[], T]) -> T:
        """What ``build`` gives; in a new world, all of it as it was built for the first test that wanted it."""

        def built() -> tuple[float, dict[str, Any], T]:
            made = build()
            return self.minutes, self.rollout, made

        fakes = (self.function, self.cloudwatch, self.events)
        new = self.minutes == 0 and all(vars(fake) == vars(type(fake)()) for fake in fakes)
        self.minutes, self.rollout, made = from_nothing(self.store, state, built, *fakes) if new else built()
        return made

    def _crown(self, run_id: str) -> int:
        version = self.train(run_id)
        self.start(run_id, version)
        self.shift()
        if self.rollout["previous_version"] is not None:
            for _ in DECLARED.steps[1:]:
                self.traffic(100)
                assert self.check()["decision"] == "advance"
                self.shift()
            self.traffic(100)
        assert self.check()["decision"] == "promote"
        self.promote()
        self.finish(run_id)
        return version

    def _successor(self) -> None:
        self.crown("train-1")
        self.start("train-2", self.train("train-2"))


W = TypeVar("W", bound=World)


@contextmanager
def new_world(kind: type[W]) -> Iterator[W]:
    """A model's rollout function with nothing in it yet."""
    with mock_aws():
        client = UnreliableClient(dynamodb())
        store = remote_registry(client, "flights")
        function, cloudwatch, events = FakeLambda(), FakeCloudWatch(), FakeEventBus()
        conductor = Conductor(
            store=store,
            target=LambdaAliasTarget(function, function="predict", alias="live", pause=lambda _: None),
            metrics=CloudWatchMetrics(cloudwatch, function="predict", alias="live", model="flights", slow_ms=800),
            announcer=Announcer(events, "everloop"),
            declared=DECLARED,
            artifact_bucket="artifacts",
        )
        yield kind(client, store, function, cloudwatch, events, conductor)


@pytest.fixture
def world() -> Iterator[World]:
    with new_world(World) as world:
        yield world
        assert verify_audit(world.store).sound


def served_version(world: World) -> str:
    (only,) = world.function.serving()
    return world.function.variables(only)["EVERLOOP_VERSION"]


class TestTheFirstChampion:
    def test_reaches_nobody_before_its_promotion(self, world: World) -> None:
        version = world.train("train-1")
        rollout = world.start("train-1", version)
        assert (rollout["previous_version"], rollout["step_index"]) == (None, -1)
        assert served_version(world) == ""
        assert world.shift()["wait_seconds"] == 0
        assert served_version(world) == ""
        assert world.check()["decision"] == "promote"
        assert world.promote()["bake_seconds"] == 36_000
        assert served_version(world) == "1"
        assert present(world.store.versions.champion()).lambda_version == rollout["lambda_version"]

    def test_announces_what_serves(self, world: World) -> None:
        world.crown("train-1")
        (detail,) = world.events.details(CHAMPION_PROMOTED)
        assert (detail["model"], detail["version"], detail["previous"]) == ("flights", 1, None)
        assert detail["manifest"]["artifact"]["manifest_sha256"] == manifest_of(world.store.versions.get(1)).sha256
        assert detail["manifest"]["target"]["lambda_version"] == present(world.store.versions.champion()).lambda_version
        assert detail["manifest"]["calibration"] is None

    def test_rolled_back_in_the_bake_leaves_nothing_serving(self, world: World) -> None:
        version = world.train("train-1")
        world.start("train-1", version)
        world.shift()
        world.check()
        world.promote()
        world.traffic(200, answered_5xx=100, weighted=False)
        assert world.check("bake")["decision"] == "rollback"
        assert world.act("rollback", rollout=world.rollout)["rolled_back"]
        assert served_version(world) == ""
        assert world.store.versions.champion() is None
        assert "100 of 200" in present(world.store.versions.get(1).reason)
        assert "manifest" not in world.events.details(VERSION_ROLLED_BACK)[0]


class TestASuccessor:
    @pytest.fixture
    def started(self, world: World) -> World:
        world.successor()
        return world

    def test_takes_the_declared_steps(self, started: World) -> None:
        old, new = present(started.store.versions.champion()).lambda_version, started.rollout["lambda_version"]
        assert (started.rollout["previous_version"], started.rollout["previous_lambda_version"]) == (1, old)
        shifted = started.shift()
        assert (shifted["step_index"], shifted["wait_seconds"], shifted["step_started_at"]) == (
            0,
            60,
            format_instant(started.now),
        )
        assert shifted["wait_until"] == format_instant(started.now + timedelta(minutes=1))
        assert shifted["phase_ends"] == format_instant(started.now + timedelta(hours=1))
        assert started.function.serving() == pytest.approx({old: 0.9, new: 0.1})
        started.traffic(100)
        assert started.check()["decision"] == "advance"
        started.shift()
        assert started.function.serving() == pytest.approx({old: 0.5, new: 0.5})
        started.traffic(100)
        assert started.check()["decision"] == "promote"
        started.promote()
        assert started.function.serving() == {new: 1}
        assert started.store.versions.get(1).state is State.DEPRECATED

    @pytest.mark.slow
    def test_retires_the_old_champion_and_its_function_version_after_the_bake(self, started: World) -> None:
        old = present(started.store.versions.champion()).lambda_version
        started.shift()
        started.traffic(100)
        started.check()
        started.shift()
        started.traffic(100)
        started.check()
        started.promote()
        assert old in started.function.versions
        answer = started.finish("train-2")
        assert answer["retired"] == [1]
        assert old in answer["deleted_lambda_versions"]
        assert list(started.function.versions) == [present(started.store.versions.champion()).lambda_version]
        assert started.store.versions.get(1).state is State.RETIRED
        assert started.act("retire", rollout=started.rollout)["retired"] == []

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("kinds", "code"),
        [({"errors": 10}, "error_rate"), ({"answered_5xx": 10}, "error_rate"), ({"ms": 900}, "p99_latency")],
    )
    def test_that_breaks_a_limit_is_rolled_back(self, started: World, kinds: dict[str, Any], code: str) -> None:
        old = present(started.store.versions.champion()).lambda_version
        started.shift()
        started.traffic(100, **kinds)
        answer = started.check()
        assert (answer["decision"], answer["reasons"][0]["code"]) == ("rollback", code)
        started.act("rollback", rollout=started.rollout)
        assert started.function.serving() == {old: 1}
        assert started.store.versions.get(2).state is State.EXPERIMENTING
        assert present(started.store.versions.champion()).version == 1
        (detail,) = started.events.details(VERSION_ROLLED_BACK)
        assert detail["reasons"][0]["code"] == code
        assert detail["manifest"]["version"] == 1

    def test_without_traffic_waits_and_is_rolled_back_in_the_end(self, started: World) -> None:
        started.shift()
        started.traffic(5)
        answer = started.check()
        assert (answer["decision"], answer["reasons"][0]["code"]) == ("hold", "waiting_for_traffic")
        assert answer["rollout"]["wait_until"] == format_instant(
            started.now + timedelta(seconds=answer["wait_seconds"])
        )
        assert 60 <= answer["wait_seconds"] <= 900
        started.minutes += 60
        assert started.check()["decision"] == "hold"
        started.minutes += 60
        answer = started.check()
        assert (answer["decision"], answer["reasons"][0]["code"]) == ("rollback", "too_little_traffic")

    @pytest.mark.slow
    def test_rolled_back_in_the_bake_gives_all_back(self, started: World) -> None:
        old = present(started.store.versions.champion()).lambda_version
        started.shift()
        started.traffic(100)
        started.check()
        started.shift()
        started.traffic(100)
        started.check()
        started.promote()
        started.traffic(300, errors=60, weighted=False)
        assert started.check("bake")["decision"] == "rollback"
        started.act("rollback", rollout=started.rollout)
        assert started.function.serving() == {old: 1}
        assert (present(started.store.versions.champion()).version, started.store.versions.get(1).state) == (
            1,
            State.PRODUCTION,
        )

    def test_that_passed_no_gate_is_not_rolled_out(self, world: World) -> None:
        world.crown("train-1")
        serving = world.function.serving()
        open_run(world.store, "train-2")
        version = register(world.store, "train-2", gate=FAILED).version
        with pytest.raises(InvalidTransitionError, match="experimenting"):
            world.start("train-2", version)
        assert world.function.serving() == serving

    def test_of_a_run_that_is_not_active_publishes_nothing(self, world: World) -> None:
        with pytest.raises(RunNotActiveError):
            world.start("train-9", 1)
        assert world.function.versions == {}


class TestRepetition:
    """Every action once more, as the pipeline's retries and at-least-once delivery bring it."""

    @pytest.fixture
    def canary(self, world: World) -> World:
        world.successor()
        return world

    def test_starting_again(self, canary: World) -> None:
        first = canary.rollout
        versions = list(canary.function.versions)
        assert canary.start("train-2", 2) == first
        assert list(canary.function.versions) == versions

    def test_shifting_again(self, canary: World) -> None:
        asked = canary.rollout
        canary.shift()
        head = canary.store.ledger.audit_head()
        serving = canary.function.serving()
        assert canary.act("shift", rollout=asked)["step_index"] == 0
        assert canary.store.ledger.audit_head() == head
        assert canary.function.serving() == serving

    def test_a_late_shift_does_not_take_traffic_back(self, canary: World) -> None:
        asked = canary.rollout
        canary.shift()
        canary.traffic(100)
        canary.check()
        canary.shift()
        serving = canary.function.serving()
        assert canary.act("shift", rollout=asked)["step_index"] == 1
        assert canary.function.serving() == serving

    def test_a_late_shift_after_the_end_is_refused(self, canary: World) -> None:
        canary.shift()
        canary.act("rollback", rollout=canary.rollout, reasons=[{"code": "x", "sentence": "y"}])
        serving = canary.function.serving()
        with pytest.raises(RolloutEndedError):
            canary.shift()
        assert canary.function.serving() == serving

    def test_checking_again_at_the_same_instant_gives_the_same_answer(self, canary: World) -> None:
        canary.shift()
        canary.traffic(100)
        answer = canary.check()
        canary.cloudwatch.requests(
            500, at=BEGIN + timedelta(minutes=canary.minutes - 30), version=canary.rollout["lambda_version"], errors=500
        )
        again = act(
            {"action": "check", "at": format_instant(canary.now), "phase": "canary", "rollout": canary.rollout},
            canary.conductor,
        )
        assert again == answer

    @pytest.mark.parametrize("call", ["update_alias", "get_alias"])
    def test_a_crash_between_registry_and_alias_is_finished_by_the_retry(self, canary: World, call: str) -> None:
        canary.shift()
        canary.traffic(100)
        canary.check()
        canary.shift()
        canary.traffic(100)
        canary.check()
        canary.function.crash_before = [call]
        with pytest.raises(ConnectionError):
            canary.act("promote", rollout=canary.rollout)
        assert present(canary.store.versions.champion()).version == 2
        assert len(canary.function.serving()) == 2
        canary.promote()
        assert canary.function.serving() == {canary.rollout["lambda_version"]: 1}
        assert [r.action for r in canary.store.ledger.audit_records()].count("promoted") == 2

    def test_an_event_that_was_not_taken_is_sent_by_the_retry(self, world: World) -> None:
        world.start("train-1", world.train("train-1"))
        world.shift()
        world.check()
        world.events.refuses = True
        with pytest.raises(EventNotAcceptedError, match="slow down"):
            world.act("promote", rollout=world.rollout)
        world.events.refuses = False
        world.promote()
        assert len(world.events.details(CHAMPION_PROMOTED)) == 1

    def test_a_throttled_call_has_the_name_the_pipeline_tries_again_after(
        self, canary: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def throttled(**_: Any) -> None:
            raise ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "GetMetricData")

        canary.shift()
        monkeypatch.setattr(canary.cloudwatch, "get_metric_data", throttled)
        with pytest.raises(ServiceBusyError, match="Rate exceeded"):
            canary.check()

    @pytest.mark.parametrize("fault", ["before", "after"])
    def test_a_rollback_cut_short_is_finished_by_the_retry(self, canary: World, fault: str) -> None:
        old = present(canary.store.versions.champion()).lambda_version
        canary.shift()
        canary.client.faults = [fault]
        reasons = [{"code": "x", "sentence": "y"}]
        with pytest.raises(Exception, match="https://dynamodb"):
            canary.act("rollback", rollout=canary.rollout, reasons=reasons)
        assert canary.function.serving() == {old: 1}
        assert canary.act("rollback", rollout=canary.rollout, reasons=reasons)["rolled_back"]
        assert canary.store.versions.get(2).state is State.EXPERIMENTING

    @pytest.mark.slow
    def test_a_late_rollback_leaves_a_later_champion_alone(self, canary: World) -> None:
        first = canary.rollout
        canary.act("rollback", rollout=first, reasons=[{"code": "x", "sentence": "y"}])
        close_run(canary.store, "train-2")
        canary.crown("train-3")
        serving = canary.function.serving()
        canary.act("rollback", rollout=first)
        assert canary.function.serving() == serving
        assert present(canary.store.versions.champion()).version == 3

    def overtake(self, world: World, monkeypatch: pytest.MonkeyPatch, *, only_canary: bool = False) -> list[Any]:
        """Lets a person roll back in the moment before the next action moves the alias.

        Stopping an execution does not stop the function that it called last.
        """
        asked, reasons = world.rollout, [{"code": "taken_back", "sentence": "by hand"}]
        move_alias, answers = world.function.update_alias, []

        def overtaken(**arguments: Any) -> Any:
            monkeypatch.setattr(world.function, "update_alias", move_alias)
            answers.append(world.act("rollback", rollout=asked, reasons=reasons, only_canary=only_canary))
            return move_alias(**arguments)

        monkeypatch.setattr(world.function, "update_alias", overtaken)
        return answers

    def test_a_step_that_ends_after_somebodys_rollback_keeps_no_traffic(
        self, canary: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = present(canary.store.versions.champion()).lambda_version
        answers = self.overtake(canary, monkeypatch)
        with pytest.raises(RolloutEndedError):
            canary.shift()
        assert answers[0]["rolled_back"]
        assert canary.function.serving() == {old: 1}
        # WHEN the pipeline rolls back what failed, THEN nothing changes any more
        assert canary.act("rollback", run={"run_id": "train-2"}, rollout=None)["rolled_back"]
        assert canary.function.serving() == {old: 1}
        assert canary.store.rollouts.get("train-2").reasons == answers[0]["reasons"]

    def test_a_promotion_that_ends_after_somebodys_rollback_keeps_no_traffic(
        self, canary: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, announced = present(canary.store.versions.champion()), canary.events.details(CHAMPION_PROMOTED)
        answers = self.overtake(canary, monkeypatch)
        assert canary.promote()["status"] == "rolled_back"
        assert answers[0]["rolled_back"]
        assert canary.function.serving() == {old.lambda_version: 1}
        assert present(canary.store.versions.champion()).version == old.version
        assert canary.events.details(CHAMPION_PROMOTED) == announced

    def test_only_a_canary_is_taken_back_where_that_is_asked(
        self, canary: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = self.overtake(canary, monkeypatch, only_canary=True)
        promoted = canary.promote()
        assert not answers[0]["rolled_back"]
        assert promoted["status"] == "baking"
        assert canary.function.serving() == {promoted["lambda_version"]: 1}

    def test_a_promotion_in_the_moment_of_taking_the_canary_back_stands(
        self, canary: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # GIVEN a promotion that comes after a canary was found, and before its traffic is taken
        canary.shift()
        move_alias, promoted = canary.function.update_alias, []

        def overtaken(**arguments: Any) -> Any:
            monkeypatch.setattr(canary.function, "update_alias", move_alias)
            promoted.append(canary.promote())
            return move_alias(**arguments)

        monkeypatch.setattr(canary.function, "update_alias", overtaken)
        # WHEN only a canary may be taken back, THEN it is refused, and the new champion keeps everything
        with pytest.raises(RolloutEndedError):
            canary.act("rollback", rollout=canary.rollout, only_canary=True)
        assert present(canary.store.versions.champion()).version == promoted[0]["version"]
        assert canary.function.serving() == {promoted[0]["lambda_version"]: 1}

    def test_promoting_after_a_rollback_is_refused(self, canary: World) -> None:
        canary.act("rollback", rollout=canary.rollout, reasons=[{"code": "x", "sentence": "y"}])
        serving = canary.function.serving()
        with pytest.raises(RolloutEndedError):
            canary.promote()
        assert canary.function.serving() == serving


class TestWhatDeadRunsLeave:
    def test_a_rollback_before_any_rollout(self, world: World) -> None:
        world.train("train-1")
        answer = world.act("rollback", run={"run_id": "train-1"}, rollout=None)
        assert not answer["rolled_back"]

    def test_a_rollback_by_the_run_alone_after_a_failure(self, world: World) -> None:
        world.crown("train-1")
        world.start("train-2", world.train("train-2"))
        answer = world.act("rollback", run={"run_id": "train-2"}, rollout=None)
        assert answer["rolled_back"]
        assert "the pipeline failed" in present(world.store.versions.get(2).reason)

    @pytest.mark.slow
    def test_a_canary_of_a_dead_run_is_taken_back_by_a_person(self, world: World) -> None:
        world.crown("train-1")
        old = present(world.store.versions.champion()).lambda_version
        world.start("train-2", world.train("train-2"))
        world.shift()
        reasons = [{"code": "taken_back", "sentence": "by hand"}]
        for _ in range(2):
            answer = world.act("rollback", run={"run_id": "train-2"}, reasons=reasons, actor="ann")
            assert answer["rolled_back"]
            assert world.function.serving() == {old: 1}
        (record,) = [r for r in world.store.ledger.audit_records() if r.action == "rolled_back"]
        assert (record.actor, record.reason) == ("ann", "by hand")

    @pytest.mark.slow
    def test_a_canary_of_a_dead_run_is_rolled_back_by_the_next_start(self, world: World) -> None:
        world.crown("train-1")
        champion = present(world.store.versions.champion())
        world.start("train-2", world.train("train-2"))
        world.shift()
        close_run(world.store, "train-2", status="failed")
        world.start("train-3", world.train("train-3"))
        assert world.store.rollouts.get("train-2").status == "rolled_back"
        assert world.store.versions.get(2).state is State.EXPERIMENTING
        assert world.store.versions.get(3).state is State.STAGING
        assert world.function.serving() == {champion.lambda_version: 1}

    @pytest.mark.slow
    def test_a_bake_of_a_dead_run_is_superseded_and_its_predecessor_retired_later(self, world: World) -> None:
        world.crown("train-1")
        world.start("train-2", world.train("train-2"))
        world.shift()
        world.traffic(100)
        world.check()
        world.shift()
        world.traffic(100)
        world.check()
        world.promote()
        close_run(world.store, "train-2", status="failed")
        world.crown("train-3")
        assert world.store.rollouts.get("train-2").status == "superseded"
        assert [world.store.versions.get(n).state for n in (1, 2)] == [State.RETIRED, State.RETIRED]

    @pytest.mark.slow
    def test_an_alias_that_someone_moved_is_put_where_the_registry_says(self, world: World) -> None:
        world.crown("train-1")
        champion = present(world.store.versions.champion())
        world.function.alias["FunctionVersion"] = "$LATEST"
        world.start("train-2", world.train("train-2"))
        assert world.function.serving() == {champion.lambda_version: 1}
        (note,) = [r for r in world.store.ledger.audit_records() if r.action == "alias_reconciled"]
        assert note.details["found"] == "$LATEST"

    @pytest.mark.slow
    def test_a_model_deployed_again_serves_its_champion_from_the_registered_artefact(self, world: World) -> None:
        # GIVEN a champion whose stack was removed and deployed again: a function without versions
        world.crown("train-1")
        gone = present(world.store.versions.champion())
        world.function.redeploy()
        # WHEN its code is rolled out
        open_run(world.store, "rollout-1", kind="rollout", when=world.now)
        rollout = world.start("rollout-1", None, kind="rollout")
        # THEN the same version serves at once, by another function version, and the audit log has both
        champion = present(world.store.versions.champion())
        assert (champion.version, champion.since) == (gone.version, gone.since)
        assert world.function.serving() == {champion.lambda_version: 1}
        assert champion.lambda_version != gone.lambda_version
        assert served_version(world) == "1"
        (note,) = [r for r in world.store.ledger.audit_records() if r.action == "champion_republished"]
        assert (note.details["gone"], note.details["lambda_version"]) == (gone.lambda_version, champion.lambda_version)
        # AND the rollout ends without a canary, as nobody else serves
        assert world.start("rollout-1", None, kind="rollout") == rollout
        world.shift()
        assert world.check()["decision"] == "promote"
        world.promote()
        world.finish("rollout-1")
        assert present(world.store.versions.champion()).lambda_version == champion.lambda_version

    @pytest.mark.parametrize("call", ["publish_version", "update_alias"])
    def test_publishing_again_survives_a_crash(self, world: World, call: str) -> None:
        world.crown("train-1")
        world.function.redeploy()
        open_run(world.store, "rollout-1", kind="rollout", when=world.now)
        world.function.crash_before = [call]
        with pytest.raises(ConnectionError):
            world.start("rollout-1", None, kind="rollout")
        world.start("rollout-1", None, kind="rollout")
        assert world.function.serving() == {present(world.store.versions.champion()).lambda_version: 1}

    @pytest.mark.slow
    def test_a_candidate_of_a_model_deployed_again_is_held_against_its_champion(self, world: World) -> None:
        world.crown("train-1")
        world.function.redeploy()
        rollout = world.start("train-2", world.train("train-2"))
        champion = present(world.store.versions.champion())
        assert (rollout["previous_version"], rollout["previous_lambda_version"]) == (1, champion.lambda_version)
        world.shift()
        assert set(world.function.serving()) == {champion.lambda_version, rollout["lambda_version"]}
        world.act("rollback", rollout=rollout)
        assert served_version(world) == "1"

    @pytest.mark.slow
    @pytest.mark.parametrize("ended_by", ["person", "next run"])
    def test_a_canary_that_its_stack_took_along_is_ended(self, world: World, ended_by: str) -> None:
        world.crown("train-1")
        rollout = world.start("train-2", world.train("train-2"))
        world.shift()
        world.function.redeploy()
        if ended_by == "person":
            assert world.act("rollback", run={"run_id": "train-2"}, actor="ann")["rolled_back"]
            assert set(world.function.serving()) == {"$LATEST"}
        world.store.runs.release_stale("train-2", reason="its stack was removed", at=world.now, actor="ann")
        open_run(world.store, "rollout-1", kind="rollout", when=world.now)
        world.start("rollout-1", None, kind="rollout")
        assert world.store.rollouts.get(rollout["rollout_id"]).status == "rolled_back"
        assert world.store.versions.get(2).state is State.EXPERIMENTING
        assert served_version(world) == "1"

    def test_a_released_run_shifts_nothing(self, world: World) -> None:
        world.crown("train-1")
        world.start("train-2", world.train("train-2"))
        world.store.runs.release_stale("train-2", reason="looked dead", at=world.now, actor="ann")
        serving = world.function.serving()
        with pytest.raises(RunNotActiveError):
            world.shift()
        assert world.function.serving() == serving


class TestNewCode:
    @pytest.fixture
    def deployed(self, world: World) -> World:
        world.crown("train-1")
        world.function.deploy_code("code-2")
        open_run(world.store, "rollout-1", kind="rollout", when=world.now)
        return world

    @pytest.mark.slow
    def test_is_rolled_out_for_the_champion(self, deployed: World) -> None:
        old = present(deployed.store.versions.champion()).lambda_version
        rollout = deployed.start("rollout-1", None, kind="rollout")
        assert (rollout["version"], rollout["code_sha256"]) == (1, "code-2")
        assert (rollout["previous_version"], rollout["previous_lambda_version"]) == (1, old)
        for _ in DECLARED.steps:
            deployed.shift()
            deployed.traffic(100)
            deployed.check()
        deployed.promote()
        champion = present(deployed.store.versions.champion())
        assert (champion.version, champion.code_sha256) == (1, "code-2")
        assert deployed.function.serving() == {champion.lambda_version: 1}
        assert deployed.store.versions.get(1).state is State.PRODUCTION
        answer = deployed.finish("rollout-1")
        assert (answer["retired"], old in answer["deleted_lambda_versions"]) == ([], True)

    def test_that_fails_is_taken_back(self, deployed: World) -> None:
        old = present(deployed.store.versions.champion()).lambda_version
        deployed.start("rollout-1", 1, kind="rollout")
        deployed.shift()
        deployed.traffic(100, errors=50)
        assert deployed.check()["decision"] == "rollback"
        deployed.act("rollback", rollout=deployed.rollout)
        assert deployed.function.serving() == {old: 1}
        assert present(deployed.store.versions.champion()).code_sha256 == "code-1"
        assert deployed.store.versions.get(1).state is State.PRODUCTION

    def test_that_serves_already_changes_nothing(self, world: World) -> None:
        world.crown("train-1")
        open_run(world.store, "rollout-1", kind="rollout")
        serving, announced = world.function.serving(), len(world.events.entries)
        world.start("rollout-1", None, kind="rollout")
        assert world.shift()["wait_seconds"] == 0
        assert world.check()["decision"] == "promote"
        assert world.promote()["bake_seconds"] == 0
        assert world.check("bake")["decision"] == "ok"
        world.act("retire", rollout=world.rollout)
        assert world.function.serving() == serving
        assert len(world.events.entries) == announced

    def test_without_a_champion(self, world: World) -> None:
        open_run(world.store, "rollout-1", kind="rollout")
        with pytest.raises(NothingServesError, match="train one first"):
            world.start("rollout-1", None, kind="rollout")

    def test_for_a_version_that_does_not_serve(self, deployed: World) -> None:
        with pytest.raises(ChampionChangedError, match="the champion is version 1, not 2"):
            deployed.start("rollout-1", 2, kind="rollout")


def test_all_at_once(world: World) -> None:
    world.crown("train-1")
    declared = DECLARED.model_copy(update={"steps": []})
    world.conductor = replace(world.conductor, declared=declared)
    world.start("train-2", world.train("train-2"))
    assert world.shift()["wait_seconds"] == 0
    assert world.check()["decision"] == "promote"
    world.promote()
    assert served_version(world) == "2"


def test_an_action_that_does_not_exist(world: World) -> None:
    with pytest.raises(ValueError, match="promote"):
        world.act("deploy")


class TestACandidateThatRefusesWhatItsChampionTakes:
    def serve(self, world: World, *, refused: int, by_champion: int = 0) -> dict[str, Any]:
        world.crown("train-1")
        world.start("train-2", world.train("train-2"))
        world.shift()
        at, champion = BEGIN + timedelta(minutes=world.minutes + 30), world.rollout["previous_lambda_version"]
        world.cloudwatch.requests(270, at=at, version=champion, refused=by_champion)
        world.traffic(30, refused=refused)
        return world.check()

    def test_goes_back_with_the_two_counts(self, world: World) -> None:
        answer = self.serve(world, refused=30)
        assert answer["decision"] == "rollback"
        assert [r["code"] for r in answer["reasons"]] == ["refused_requests"]
        assert (
            "30 of 30 requests were refused with 4xx, and by the version before 0 of 270"
            in answer["reasons"][0]["sentence"]
        )
        world.act("rollback", rollout=world.rollout)
        assert present(world.store.versions.champion()).version == 1

    def test_goes_on_where_the_champion_refuses_as_many(self, world: World) -> None:
        assert self.serve(world, refused=15, by_champion=135)["decision"] == "advance"

    @pytest.mark.slow
    def test_is_found_in_the_bake_where_nothing_came_in_the_canary(self, world: World) -> None:
        """GIVEN a candidate that was promoted on good traffic; WHEN callers that it refuses come in the bake."""
        world.crown("train-1")
        champion = present(world.store.versions.champion()).lambda_version
        world.minutes += 60
        at = BEGIN + timedelta(minutes=world.minutes - 30)
        world.cloudwatch.requests(100, at=at, version=champion, weighted=False)
        world.start("train-2", world.train("train-2"))
        for _ in DECLARED.steps:
            world.shift()
            world.traffic(100)
            decision = world.check()["decision"]
        assert decision == "promote"
        world.promote()
        world.traffic(100, refused=100, weighted=False)
        answer = world.check("bake")
        assert (answer["decision"], answer["reasons"][0]["code"]) == ("rollback", "refused_requests")
