"""A version is asked once before callers are: one that does not start reaches nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from moto import mock_aws

from everloop.exceptions import TerminalError
from everloop.registry.store import RegistryStore
from everloop.rollout.announcements import Announcer
from everloop.rollout.conductor import Conductor
from everloop.rollout.exceptions import VersionNotStartedError
from everloop.rollout.first_request import TRIES, why_not_started
from everloop.rollout.metrics import CloudWatchMetrics
from everloop.rollout.targets import ServedArtifact
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from tests.fakes.cloudwatch_metrics import FakeCloudWatch
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.lambda_function import FakeLambda
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import dynamodb
from tests.helpers.declarations import binary_document, declare
from tests.helpers.registry_scenes import at, close_run, open_run, register

pytestmark = pytest.mark.slow


class Unlucky(FakeLambda):
    """Its versions fail on the first request of their lives, ``spoiled`` times."""

    spoiled = 0

    def invoke(self, **asked: object) -> dict[str, object]:
        self.unable, self.spoiled = ({1, 2} if self.spoiled else set()), max(0, self.spoiled - 1)
        return super().invoke(**asked)  # type: ignore[arg-type]  # as above


@dataclass
class World:
    store: RegistryStore
    function: Unlucky = field(default_factory=Unlucky)

    def __post_init__(self) -> None:
        target = LambdaAliasTarget(self.function, function="predict", alias="live", pause=lambda _: None)
        metrics = CloudWatchMetrics(FakeCloudWatch(), function="predict", alias="live", model="flights", slow_ms=200)
        announcer, declared = Announcer(FakeEventBus(), "everloop"), declare(binary_document()).rollout
        self.conductor = Conductor(self.store, target, metrics, announcer, declared, "artifacts")

    def begin(self, run_id: str, minutes: int) -> None:
        open_run(self.store, run_id, when=at(minutes))
        self.conductor.start(run_id, "train", register(self.store, run_id).version, at=at(minutes + 1))

    def crown(self, run_id: str) -> None:
        self.begin(run_id, 0)
        self.conductor.shift(run_id, -1, at=at(2))
        self.conductor.promote(run_id, at=at(3))
        self.conductor.retire(run_id, at=at(4))
        close_run(self.store, run_id, when=at(5))


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        yield World(remote_registry(dynamodb(), "flights"))


def test_a_version_that_does_not_start_is_sent_no_caller_and_has_no_rollout(world: World) -> None:
    # GIVEN a champion
    world.crown("train-1")
    serving = world.function.serving()
    # WHEN a version that can't be loaded is rolled out
    world.function.spoiled = TRIES
    # THEN it is told which it is, what it answered, where its log is and what to do, and trying again is no use
    with pytest.raises(VersionNotStartedError) as refused:
        world.begin("train-2", 10)
    assert isinstance(refused.value, TerminalError)
    assert str(refused.value) == (
        "version 2 of flights does not start, so no caller was sent to it: asked 2 times, it answered 503"
        " artifact_refused (function predict, lambda_version 3; the request is first-train-2). Its log may say more. If"
        " it takes longer to load than it may, raise serving.timeout_seconds or serving.memory_mb; otherwise train"
        " again"
    )
    # AND the champion serves, and no rollout is there to be taken back
    assert world.function.serving() == serving
    assert world.store.rollouts.find("train-2") is None
    assert world.conductor.roll_back("train-2", at=at(12))["rolled_back"] is False


def test_a_start_that_fails_once_is_tried_again(world: World) -> None:
    world.function.spoiled = TRIES - 1
    world.begin("train-1", 0)
    assert world.store.rollouts.get("train-1").status == "canary"


def test_what_lambda_says_of_one_that_loads_too_long_is_told(world: World) -> None:
    target = world.conductor.target
    target.idle()
    published = target.publish(ServedArtifact(500, "artifacts/flights/000500/", "hash")).lambda_version
    said = why_not_started(target, published, model="flights", name="first-1", at=at(1))
    assert said == "500 Sandbox.Timedout: Task timed out after 10.00 seconds"
    assert world.function.calls.count("invoke") == TRIES
