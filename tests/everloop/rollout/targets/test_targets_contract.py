"""What every rollout target keeps, and that a target of one's own is a file and its registration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from everloop.rollout.announcements import Announcer
from everloop.rollout.conductor import Conductor
from everloop.rollout.endpoint_place import EndpointPlace
from everloop.rollout.exceptions import AliasNotPinnedError
from everloop.rollout.first_request import why_not_started
from everloop.rollout.metrics import CloudWatchMetrics
from everloop.rollout.serverless_place import ServerlessPlace
from everloop.rollout.targets import (
    TARGETS,
    Question,
    RolloutTarget,
    ServedArtifact,
    TargetPlace,
    lambda_alias,
    sagemaker_endpoint,
    sagemaker_serverless,
)
from everloop.rollout.targets.sagemaker_serverless import SageMakerServerlessTarget
from everloop.rollout.variant_scaling import Scaling
from everloop.serving.standby import Standby
from tests.fakes.autoscaling import FakeAutoscaling
from tests.fakes.cloudwatch_metrics import FakeCloudWatch
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.lambda_function import FakeLambda
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import dynamodb
from tests.fakes.sagemaker_endpoint import FakeSageMaker
from tests.helpers.declarations import binary_document, declare
from tests.helpers.registry_scenes import at, open_run, register
from tests.helpers.seams import add

SEVEN = ServedArtifact(7, "artifacts/flights/000007/", "hash-7")
EIGHT = ServedArtifact(8, "artifacts/flights/000008/", "hash-8")


@pytest.fixture(autouse=True)
def _polls_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Function and endpoint here are ready when they were asked often enough."""
    monkeypatch.setattr(lambda_alias, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(sagemaker_endpoint, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(sagemaker_serverless, "_POLL_SECONDS", 0.0)


ENDPOINT = EndpointPlace(
    name="everloop-flights",
    model="flights",
    image="123456789012.dkr.ecr.us-east-1.amazonaws.com/everloop@sha256:" + 64 * "1",
    role_arn="arn:aws:iam::123456789012:role/endpoint",
    instance_type="ml.m5.large",
    instances=1,
    artifact_bucket="artifacts",
    stream="everloop-flights-predictions",
    scaling=Scaling(most=4, invocations_per_instance=600.0),
)
SERVERLESS = ServerlessPlace(
    name=ENDPOINT.name,
    model=ENDPOINT.model,
    image=ENDPOINT.image,
    role_arn=ENDPOINT.role_arn,
    memory_mb=2048,
    max_concurrency=5,
    timeout_seconds=10,
    artifact_bucket=ENDPOINT.artifact_bucket,
    stream=ENDPOINT.stream,
)
PLACE = TargetPlace("predict", "live", ENDPOINT, SERVERLESS)


def opened(name: str, clients: dict[str, Any]) -> RolloutTarget:
    target = TARGETS.load(name).open(clients.__getitem__, PLACE)
    if isinstance(target, SageMakerServerlessTarget):  # it waits for callers, and here are none
        return SageMakerServerlessTarget(target.client, target.door, target.place, pause=lambda _: None)
    return target


def fakes() -> dict[str, dict[str, Any]]:
    """The services that each target works with."""
    return {
        "lambda_alias": {"lambda": FakeLambda()},
        "sagemaker_endpoint": _endpoint_fakes(),
        "sagemaker_serverless": _serverless_fakes(),
    }


def _serverless_fakes() -> dict[str, Any]:
    hosting = FakeSageMaker()
    return {"lambda": FakeLambda(passed_on=hosting.asked), "sagemaker": hosting}


def _endpoint_fakes() -> dict[str, Any]:
    hosting = FakeSageMaker()
    scaling = FakeAutoscaling(hosting)
    return {
        "lambda": FakeLambda(),
        "sagemaker": hosting,
        "sagemaker-runtime": hosting,
        "application-autoscaling": scaling,
    }


def unpinned_is_refused(target: RolloutTarget) -> None:
    assert not target.current().pinned
    with pytest.raises(AliasNotPinnedError):
        target.publish(SEVEN)
    idle = target.idle()
    assert (target.current().primary, target.current().pinned, target.current().candidate) == (idle, True, None)
    assert target.idle() == idle


def publishing_reaches_nobody_and_is_repeatable(target: RolloutTarget) -> None:
    idle = target.idle()
    seven, eight = target.publish(SEVEN), target.publish(EIGHT)
    assert seven.lambda_version != eight.lambda_version
    assert target.publish(SEVEN) == seven
    assert (target.current().primary, target.current().candidate) == (idle, None)
    assert target.holds(seven.lambda_version, SEVEN)
    assert not target.holds(seven.lambda_version, EIGHT)
    assert target.holds(seven.lambda_version)
    assert not target.holds("no-such-version")


def the_signer_is_part_of_what_is_published(target: RolloutTarget) -> None:
    target.idle()
    signed = replace(SEVEN, signer="a" * 64)
    alone, with_signer = target.publish(SEVEN).lambda_version, target.publish(signed).lambda_version
    assert alone != with_signer
    assert target.publish(signed).lambda_version == with_signer
    assert target.holds(with_signer, signed)
    assert not target.holds(with_signer, SEVEN)
    assert not target.holds(with_signer, replace(SEVEN, signer="b" * 64))
    assert target.holds(alone, SEVEN)
    assert not target.holds(alone, signed)


def traffic_goes_where_it_is_sent(target: RolloutTarget) -> None:
    target.idle()
    seven, eight = target.publish(SEVEN).lambda_version, target.publish(EIGHT).lambda_version
    assert target.settle(seven)
    assert not target.settle(seven)
    for percent in (12.5, 50.0, 50.0):
        target.shift(primary=seven, candidate=eight, percent=percent)
        state = target.current()
        assert (state.primary, state.candidate, state.percent) == (seven, eight, percent)
    assert target.settle(eight)
    assert (target.current().primary, target.current().candidate) == (eight, None)


def traffic_stays_where_it_may_not_be_moved(target: RolloutTarget) -> None:
    target.idle()
    seven, eight = target.publish(SEVEN).lambda_version, target.publish(EIGHT).lambda_version
    target.settle(seven)
    assert not target.settle(eight, only_if=lambda: False)
    assert target.current().primary == seven
    assert target.settle(eight, only_if=lambda: True)
    assert target.current().primary == eight


def a_calibration_is_served_by_a_version_of_its_own(target: RolloutTarget) -> None:
    target.idle()
    calibrated = replace(SEVEN, calibration="{}")
    plain, other = target.publish(SEVEN).lambda_version, target.publish(calibrated).lambda_version
    assert plain != other
    assert target.holds(other, calibrated)
    assert not target.holds(other, SEVEN)
    assert target.unchanged_since(plain)
    assert target.unchanged_since(other)
    assert not target.unchanged_since("no-such-version")


def what_stands_by_is_no_part_of_what_is_served(target: RolloutTarget) -> None:
    target.idle()
    backed = replace(SEVEN, standby=Standby(6, "artifacts/flights/000006/", "hash-6", at(60)))
    seven = target.publish(backed).lambda_version
    assert target.publish(backed).lambda_version == seven
    assert target.holds(seven, SEVEN)
    assert target.holds(seven, replace(backed, standby=None))
    assert target.unchanged_since(seven)
    assert target.publish_like(backed, seven) is not None


def what_is_like_a_version_is_published_beside_it(target: RolloutTarget) -> None:
    assert target.publish_like(SEVEN, "1") is None, "nothing is published"
    target.idle()
    seven = target.publish(SEVEN).lambda_version
    calibrated = replace(SEVEN, calibration="{}")
    beside = target.publish_like(calibrated, seven)
    assert beside is not None
    assert target.holds(beside.lambda_version, calibrated)
    assert target.publish_like(calibrated, seven) == beside
    assert target.publish_like(calibrated, "no-such-version") is None


def what_serves_or_is_needed_is_kept(target: RolloutTarget) -> None:
    target.idle()
    seven, eight = target.publish(SEVEN).lambda_version, target.publish(EIGHT).lambda_version
    nine = target.publish(ServedArtifact(9, "artifacts/flights/000009/", "hash-9")).lambda_version
    target.settle(eight)
    assert seven in target.prune({nine})
    assert any(not target.holds(seven) for _ in range(9)), "it may take a while to go"
    assert target.holds(eight)
    assert target.holds(nine)
    assert target.prune({nine}) == []


def what_serves_is_not_released(target: RolloutTarget) -> None:
    target.idle()
    seven, eight = target.publish(SEVEN).lambda_version, target.publish(EIGHT).lambda_version
    target.settle(seven)
    target.release(eight)
    target.release(eight)
    target.release(seven)
    assert target.current().primary == seven
    assert target.holds(seven)
    again = target.publish(EIGHT).lambda_version
    assert again == eight
    assert target.holds(eight)


def a_version_that_nobody_is_sent_to_is_asked_unseen(target: RolloutTarget) -> None:
    target.idle()
    seven, eight = target.publish(SEVEN).lambda_version, target.publish(EIGHT).lambda_version
    target.settle(seven)
    question = Question("flights", '{"instances": [{}]}', "shadow-1", at(1))
    for version, number in ((eight, 8), (seven, 7)):
        asked = target.ask(version, question)
        assert (asked.status, asked.document["version"], asked.document["unseen"]) == (200, number, True)
        assert asked.document["asked"] == question.body
    assert (target.current().primary, target.current().candidate) == (seven, None)
    failing = target.publish(ServedArtifact(500, "artifacts/flights/000500/", "hash")).lambda_version
    assert target.ask(failing, question).status == 500


def a_version_has_started_once_it_refuses_a_request_without_rows(target: RolloutTarget) -> None:
    target.idle()
    seven = target.publish(SEVEN).lambda_version
    assert why_not_started(target, seven, model="flights", name="first-1", at=at(1)) == ""
    failing = target.publish(ServedArtifact(500, "artifacts/flights/000500/", "hash")).lambda_version
    assert why_not_started(target, failing, model="flights", name="first-2", at=at(2)).startswith("500")


def it_says_what_it_is(target: RolloutTarget, name: str) -> None:
    target.idle()
    described = target.describe(target.publish(SEVEN))
    assert described["kind"] == name
    assert all(isinstance(value, str) for value in described.values())


CONTRACT: list[Callable[[RolloutTarget], None]] = [
    unpinned_is_refused,
    publishing_reaches_nobody_and_is_repeatable,
    the_signer_is_part_of_what_is_published,
    what_is_like_a_version_is_published_beside_it,
    traffic_goes_where_it_is_sent,
    traffic_stays_where_it_may_not_be_moved,
    a_calibration_is_served_by_a_version_of_its_own,
    what_stands_by_is_no_part_of_what_is_served,
    what_serves_or_is_needed_is_kept,
    what_serves_is_not_released,
    a_version_that_nobody_is_sent_to_is_asked_unseen,
    a_version_has_started_once_it_refuses_a_request_without_rows,
]


def test_every_target_is_held_to_it() -> None:
    assert set(fakes()) == set(TARGETS.names)


@pytest.mark.parametrize("name", TARGETS.names)
@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.__name__)
def test_keeps_the_contract(name: str, clause: Callable[[RolloutTarget], None]) -> None:
    clause(opened(name, fakes()[name]))


@pytest.mark.parametrize("name", TARGETS.names)
def test_says_what_it_is(name: str) -> None:
    it_says_what_it_is(opened(name, fakes()[name]), name)


MEMORY = """
from everloop.rollout.exceptions import AliasNotPinnedError
from everloop.rollout.targets import AskedAnswer, Published, TrafficState
from tests.fakes.asked_version import asked_version


class Memory:
    def __init__(self):
        self.published = []
        self.state = TrafficState("nothing", None, 0.0, pinned=False)

    def current(self):
        return self.state

    def idle(self):
        idle = self._number(None)
        self.settle(idle)
        return idle

    def publish(self, artifact):
        if not self.state.pinned:
            raise AliasNotPinnedError("nothing is published; make it idle first")
        return Published(self._number(artifact), "memory")

    def publish_like(self, artifact, lambda_version):
        return self.publish(artifact) if self.state.pinned and self.holds(lambda_version) else None

    def shift(self, *, primary, candidate, percent):
        self.state = TrafficState(primary, candidate, percent)

    def settle(self, lambda_version, *, only_if=None):
        if only_if is not None and not only_if():
            return False
        before, self.state = self.state, TrafficState(lambda_version, None, 0.0)
        return before != self.state

    def unchanged_since(self, lambda_version):
        return self.holds(lambda_version)

    def holds(self, lambda_version, artifact=None):
        found = [a for number, a in enumerate(self.published) if str(number) == lambda_version and a != "deleted"]
        return bool(found) and (artifact is None or found == [artifact])

    def prune(self, keep):
        kept = keep | {self.state.primary, self.state.candidate}
        gone = [str(n) for n, a in enumerate(self.published) if a != "deleted" and str(n) not in kept]
        for number in gone:
            self.published[int(number)] = "deleted"
        return gone

    def release(self, lambda_version):
        pass

    def ask(self, lambda_version, question):
        version = self.published[int(lambda_version)].version
        if version == 500:
            return AskedAnswer(500, {})
        return AskedAnswer(*asked_version(version, question.body, unseen=True))

    def describe(self, published):
        return {"kind": "memory", "lambda_version": published.lambda_version}

    def _number(self, artifact):
        if artifact not in self.published:
            self.published.append(artifact)
        return str(self.published.index(artifact))


class Memories:
    def open(self, client, place):
        return Memory()


TARGET = Memories()
"""


def test_one_is_added_by_its_file_and_its_registration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # GIVEN a declaration that names a target nobody knows
    document = binary_document()
    document["rollout"]["target"] = "memory"
    with pytest.raises(ValueError, match="'lambda_alias'"):
        declare(document)
    # WHEN its file and its name are there
    add(monkeypatch, tmp_path, TARGETS, "memory", MEMORY)
    # THEN it keeps the contract
    for clause in CONTRACT:
        clause(opened("memory", {}))
    it_says_what_it_is(opened("memory", {}), "memory")
    # AND a version comes to serve there
    declared = declare(document).rollout
    target, bus = opened(declared.target, {}), FakeEventBus()
    with mock_aws():
        store = remote_registry(dynamodb(), "flights")
        conductor = Conductor(
            store=store,
            target=target,
            metrics=CloudWatchMetrics(FakeCloudWatch(), function="predict", alias="live", model="flights", slow_ms=200),
            announcer=Announcer(bus, "everloop"),
            declared=declared,
            artifact_bucket="artifacts",
        )
        open_run(store, "train-1")
        rollout = conductor.start("train-1", "train", register(store, "train-1").version, at=at(1))
        conductor.shift("train-1", -1, at=at(2))
        conductor.promote("train-1", at=at(3))
    assert target.current().primary == rollout["lambda_version"]
    (promoted,) = bus.details("Champion Promoted")
    assert promoted["manifest"]["target"] == {"kind": "memory", "lambda_version": rollout["lambda_version"]}
