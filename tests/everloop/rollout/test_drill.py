"""A rollback is tried while nothing is wrong: timed, recorded, never in the way of what moves the traffic otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from moto import mock_aws

from everloop.cli.operations.stories import describe, drill_sentence
from everloop.registry.exceptions import RolloutEndedError, UnknownStatusError
from everloop.registry.store import RegistryStore
from everloop.registry.trace import status, verify_audit
from everloop.rollout.drill import Drilled, Driller
from everloop.rollout.observed import Observer
from everloop.rollout.reconciler import Reconciler
from everloop.rollout.targets import ServedArtifact
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from everloop.serving.contract import NumberField
from tests.fakes.lambda_function import FakeLambda
from tests.fakes.object_store import FakeS3
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import dynamodb
from tests.fakes.sagemaker_endpoint import FakeSageMaker
from tests.helpers.artifacts import small_contract
from tests.helpers.registry_scenes import at, close_run, manifest_of, open_run, register, start_rollout


@dataclass
class World:
    """What a drill needs, with a timer that counts half a second each time it is asked."""

    store: RegistryStore
    function: FakeLambda = field(default_factory=FakeLambda)
    s3: FakeS3 = field(default_factory=FakeS3)
    minutes: int = 100

    def __post_init__(self) -> None:
        self.target = LambdaAliasTarget(self.function, function="predict", alias="live", pause=lambda _: None)
        clients = {"lambda": self.function, "s3": self.s3, "sagemaker": FakeSageMaker()}
        observer = Observer(clients.__getitem__, "flights", "artifacts")
        self.reconciler = Reconciler(self.store, self.target, observer, pause=lambda _: None)
        ticks = count()
        self.driller = Driller(
            self.store, self.target, self.reconciler, observer.content, timer=lambda: next(ticks) * 0.5
        )

    def crown(self, run_id: str, **contract: Any) -> str:
        """A version that comes to serve by a rollout; the function version that does."""
        open_run(self.store, run_id)
        contents = {"model.onnx": run_id.encode(), "contract.json": small_contract(**contract).to_json()}
        version = register(self.store, run_id, contents=contents)
        for name, data in {**contents, "manifest.json": manifest_of(version).content}.items():
            self.s3.objects[f"{version.artifact_prefix}{name}"] = data
        if not self.target.current().pinned:
            self.target.idle()
        artifact = ServedArtifact(version.version, version.artifact_prefix, version.manifest_sha256)
        published = self.target.publish(artifact).lambda_version
        start_rollout(self.store, run_id, version.version, lambda_version=published)
        self.store.rollouts.promote(run_id, at=at(30), actor="test")
        self.store.rollouts.end(run_id, status="completed", at=at(40), actor="test")
        self.target.settle(published)
        close_run(self.store, run_id)
        return published

    def canary(self, run_id: str) -> None:
        """A rollout that begins."""
        open_run(self.store, run_id)
        version = register(self.store, run_id)
        start_rollout(self.store, run_id, version.version)

    def drill(self, **given: Any) -> Drilled:
        self.minutes += 1
        return self.driller.drill(at=at(self.minutes), **given)

    def actions(self) -> list[str]:
        """What the audit chain says of drills."""
        return [r.action for r in self.store.ledger.audit_records() if r.action.startswith("drill")]


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        yield World(remote_registry(dynamodb(), "flights"))


@pytest.mark.slow
def test_a_rollback_is_tried_timed_and_recorded(world: World) -> None:
    # GIVEN a champion with one before it, whose function version is gone since
    before, serving = world.crown("train-1"), world.crown("train-2")
    world.target.prune({serving})
    assert not world.target.holds(before)
    # WHEN a rollback is tried
    answer = world.drill(actor="cleo")
    # THEN all requests went to the version before, and are where they were
    assert answer == {
        "status": "passed",
        "reason": "",
        "version": 2,
        "previous_version": 1,
        "back_seconds": 0.5,
        "forward_seconds": 0.5,
    }
    assert world.function.serving() == {serving: 1}
    assert world.function.calls.count("update_alias") >= 2
    # AND both are on record, in a chain that is whole
    begun, ended = (r for r in world.store.ledger.audit_records() if r.action.startswith("drill"))
    assert (begun.action, begun.actor, begun.version) == ("drill_begun", "cleo", 2)
    assert (ended.action, ended.details["back_seconds"], ended.at > begun.at) == ("drill_ended", 0.5, True)
    assert describe(ended) == "the rollback that was tried took 0.50 s, and 0.50 s forward again"
    assert verify_audit(world.store).problems == []
    found = status(world.store).drill
    assert found is not None
    assert drill_sentence(found).endswith(": back in 0.50 s, forward in 0.50 s")


@pytest.mark.slow
def test_the_same_event_again_tries_nothing_again(world: World) -> None:
    world.crown("train-1")
    world.crown("train-2")
    first = world.drill()
    calls = len(world.function.calls)
    world.minutes -= 1
    assert world.drill() == first
    assert (len(world.function.calls), len(world.actions())) == (calls, 2)


@pytest.mark.slow
def test_nothing_is_tried_where_there_is_nothing_to_go_back_to(world: World) -> None:
    assert world.drill()["reason"] == "nothing serves"
    world.crown("train-1")
    assert "first champion" in world.drill()["reason"]
    assert (world.actions(), world.store.drills.latest()) == ([], None)


@pytest.mark.slow
def test_nothing_is_tried_while_a_rollout_is_open(world: World) -> None:
    world.crown("train-1")
    serving = world.crown("train-2")
    world.canary("train-3")
    answer = world.drill()
    assert (answer["status"], answer["reason"]) == ("not_begun", "rollout train-3 is open")
    with pytest.raises(RolloutEndedError, match="rollout train-3 is open"):
        world.store.drills.begin(2, 1, at=at(90), actor="x")
    assert (world.function.serving(), world.actions()) == ({serving: 1}, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "contract",
    [
        {"numbers": (NumberField("distance", min=0, max=100), NumberField("wind", missing="allow"))},
        {"numbers": (NumberField("distance", min=0, max=5000),)},
        {"max_rows": 99},
    ],
)
def test_callers_of_another_contract_are_left_alone(world: World, contract: dict[str, Any]) -> None:
    world.crown("train-1", **contract)
    world.crown("train-2")
    assert world.drill()["reason"] == "version 1 takes other requests than version 2"
    assert world.actions() == []


@pytest.mark.slow
def test_what_training_learned_is_no_other_contract(world: World) -> None:
    learned = (NumberField("distance", min=0, max=5000, median=3.0), NumberField("wind", missing="allow", median=1.0))
    world.crown("train-1", numbers=learned, threshold=0.4)
    world.crown("train-2")
    assert world.drill()["status"] == "passed"


@pytest.mark.slow
def test_a_file_that_was_altered_is_not_rolled_back_to(world: World) -> None:
    world.crown("train-1")
    world.crown("train-2")
    world.s3.objects["artifacts/flights/000001/model.onnx"] = b"another"
    assert "model.onnx is not the file that was registered" in world.drill()["reason"]
    world.s3.objects["artifacts/flights/000001/contract.json"] = b"{}"
    assert "contract.json: expected sha256" in world.drill()["reason"]


@pytest.mark.slow
def test_a_version_that_does_not_start_gets_no_request(world: World) -> None:
    world.crown("train-1")
    serving = world.crown("train-2")
    world.function.unable = {1}
    answer = world.drill()
    assert (answer["status"], answer["back_seconds"]) == ("failed", None)
    assert answer["reason"] == "version 1 does not start: it answers 503 artifact_refused"
    assert world.function.serving() == {serving: 1}
    assert verify_audit(world.store).problems == []


@pytest.mark.slow
def test_a_rollout_that_begins_in_the_same_moment_wins(world: World) -> None:
    # GIVEN a rollout that begins after the drill did, before it has taken the traffic
    world.crown("train-1")
    serving = world.crown("train-2")
    publish = world.target.publish

    def meanwhile(artifact: ServedArtifact) -> Any:
        world.canary("train-3")
        return publish(artifact)

    world.target.publish = meanwhile  # type: ignore[method-assign]  # it is the moment that matters
    # WHEN the drill goes on, THEN it takes nothing
    answer = world.drill()
    assert (answer["status"], answer["reason"]) == ("gave_way", "the traffic was wanted otherwise meanwhile")
    assert world.function.serving() == {serving: 1}
    assert world.store.rollouts.get("train-3").status == "canary"


@pytest.mark.slow
@pytest.mark.parametrize("call", ["publish_version", "invoke", "update_alias"])
def test_what_fails_on_the_way_is_recorded_and_the_traffic_is_back(world: World, call: str) -> None:
    world.crown("train-1")
    serving = world.crown("train-2")
    world.target.prune({serving})
    world.function.crash_before = [call]
    answer = world.drill()
    assert (answer["status"], "ConnectionError" in answer["reason"]) == ("failed", True)
    assert world.function.serving() == {serving: 1}
    assert world.actions() == ["drill_begun", "drill_ended"]


@pytest.mark.slow
def test_one_that_was_interrupted_is_ended_by_the_next(world: World) -> None:
    # GIVEN a process that ended while the version before served
    before, serving = world.crown("train-1"), world.crown("train-2")
    world.store.drills.begin(2, 1, at=at(90), actor="drill")
    world.target.settle(before)
    # WHEN what is deployed is reconciled meanwhile, THEN nothing is said
    assert world.reconciler.reconcile(at=at(91))["settled"] is False
    with pytest.raises(UnknownStatusError, match="is under way; end it first"):
        world.store.drills.begin(2, 1, at=at(92), actor="drill")
    # AND the next one gives the traffic back first
    answer = world.drill()
    assert (answer["status"], "interrupted" in answer["reason"]) == ("failed", True)
    assert world.function.serving() == {serving: 1}
    assert world.drill()["status"] == "passed"
    assert verify_audit(world.store).problems == []
    assert world.reconciler.reconcile(at=at(200) + timedelta(hours=1))["differences"] == []
