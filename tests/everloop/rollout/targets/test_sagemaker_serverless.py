"""Serverless endpoints behind an alias, one for each version: a rollback asks nothing of them, and none is left."""

from __future__ import annotations

from dataclasses import replace

import pytest
from moto import mock_aws

from everloop.rollout.announcements import Announcer
from everloop.rollout.conductor import Conductor
from everloop.rollout.endpoint_place import EndpointPlace
from everloop.rollout.exceptions import EndpointFailedError, EndpointNotReadyError
from everloop.rollout.metrics import CloudWatchMetrics
from everloop.rollout.serverless_place import ServerlessPlace
from everloop.rollout.targets import Published, ServedArtifact
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from everloop.rollout.targets.sagemaker_endpoint import SageMakerEndpointTarget
from everloop.rollout.targets.sagemaker_serverless import SageMakerServerlessTarget
from tests.fakes.autoscaling import FakeAutoscaling
from tests.fakes.cloudwatch_metrics import FakeCloudWatch
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.lambda_function import FakeLambda
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import dynamodb
from tests.fakes.sagemaker_endpoint import FakeSageMaker
from tests.helpers.declarations import binary_document, declare, serverless
from tests.helpers.registry_scenes import at, close_run, open_run, register

SEVEN = ServedArtifact(7, "artifacts/flights/000007/", "hash-7")
EIGHT = ServedArtifact(8, "artifacts/flights/000008/", "hash-8")
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/everloop@sha256:" + 64 * "1"
PLACE = ServerlessPlace(
    name="everloop-flights",
    model="flights",
    image=IMAGE,
    role_arn="arn:aws:iam::123456789012:role/endpoint",
    memory_mb=2048,
    max_concurrency=5,
    timeout_seconds=10,
    artifact_bucket="artifacts",
    stream="everloop-flights-predictions",
)
ON_INSTANCES = EndpointPlace(
    name=PLACE.name,
    model=PLACE.model,
    image=IMAGE,
    role_arn=PLACE.role_arn,
    instance_type="ml.m5.large",
    instances=1,
    artifact_bucket=PLACE.artifact_bucket,
    stream=PLACE.stream,
)
SEVENS, EIGHTS = PLACE.model_name(SEVEN), PLACE.model_name(EIGHT)


@pytest.fixture
def sagemaker() -> FakeSageMaker:
    return FakeSageMaker()


@pytest.fixture
def function(sagemaker: FakeSageMaker) -> FakeLambda:
    return FakeLambda(passed_on=sagemaker.asked)


@pytest.fixture
def target(function: FakeLambda, sagemaker: FakeSageMaker) -> SageMakerServerlessTarget:
    return on(function, sagemaker)


def door(function: FakeLambda) -> LambdaAliasTarget:
    return LambdaAliasTarget(function, function="predict", alias="live", pause=lambda _: None)


def on(function: FakeLambda, sagemaker: FakeSageMaker, place: ServerlessPlace = PLACE) -> SageMakerServerlessTarget:
    return SageMakerServerlessTarget(sagemaker, door(function), place, pause=lambda _: None)


def on_instances(function: FakeLambda, sagemaker: FakeSageMaker) -> SageMakerEndpointTarget:
    scaling = FakeAutoscaling(sagemaker)
    return SageMakerEndpointTarget(sagemaker, door(function), ON_INSTANCES, scaling=scaling, pause=lambda _: None)


@pytest.fixture
def serving(target: SageMakerServerlessTarget) -> Published:
    """Version 7 serves."""
    target.idle()
    published = target.publish(SEVEN)
    target.settle(published.lambda_version)
    return published


def test_a_version_is_an_endpoint_whose_container_reads_the_versions_files(
    serving: Published, function: FakeLambda, sagemaker: FakeSageMaker
) -> None:
    assert set(sagemaker.endpoints) == set(sagemaker.models) == set(sagemaker.configurations) == {SEVENS}
    container = sagemaker.models[SEVENS]["PrimaryContainer"]
    assert container["Image"] == IMAGE
    assert "ModelDataSource" not in container, "serverless endpoints take none"
    assert container["Environment"]["EVERLOOP_ARTEFACT"] == "s3://artifacts/artifacts/flights/000007/"
    assert container["Environment"]["EVERLOOP_MANIFEST_SHA256"] == "hash-7"
    (variant,) = sagemaker.configurations[SEVENS]["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert function.variables(serving.lambda_version)["EVERLOOP_ENDPOINT"] == SEVENS
    assert function.variables(serving.lambda_version)["EVERLOOP_VERSION"] == ""


def test_a_step_and_a_rollback_ask_nothing_of_sagemaker(
    serving: Published, target: SageMakerServerlessTarget, function: FakeLambda, sagemaker: FakeSageMaker
) -> None:
    eight = target.publish(EIGHT).lambda_version
    sagemaker.calls.clear()
    target.shift(primary=serving.lambda_version, candidate=eight, percent=25.0)
    assert function.serving() == {serving.lambda_version: 0.75, eight: 0.25}
    target.settle(serving.lambda_version)
    assert function.serving() == {serving.lambda_version: 1.0}
    assert sagemaker.calls == []


def test_what_takes_minutes_is_not_waited_for_and_goes_on(
    target: SageMakerServerlessTarget, sagemaker: FakeSageMaker
) -> None:
    target.idle()
    sagemaker.looks = 15
    with pytest.raises(EndpointNotReadyError, match=f"endpoint {SEVENS} is Creating"):
        target.publish(SEVEN)
    assert target.holds(target.publish(SEVEN).lambda_version, SEVEN)
    assert sagemaker.calls.count("create_endpoint") == 1


@pytest.mark.parametrize("call", ["create_model", "create_endpoint_config", "create_endpoint"])
def test_a_crash_in_between_is_made_good_by_the_next_try(
    call: str, target: SageMakerServerlessTarget, sagemaker: FakeSageMaker
) -> None:
    target.idle()
    sagemaker.crash_before = [call]
    with pytest.raises(ConnectionError):
        target.publish(SEVEN)
    assert target.holds(target.publish(SEVEN).lambda_version, SEVEN)


@pytest.mark.parametrize("told", [True, False])
def test_a_version_that_does_not_come_up_is_told_and_leaves_nothing_that_serves(
    told: bool, serving: Published, target: SageMakerServerlessTarget, sagemaker: FakeSageMaker
) -> None:
    sagemaker.gives_reasons = told
    sagemaker.unhealthy = {EIGHTS}
    why = "did not pass the ping health check" if told else "SageMaker gives no reason"
    with pytest.raises(EndpointFailedError, match=f"endpoint {EIGHTS} could not be created: .*{why}"):
        target.publish(EIGHT)
    assert target.current().primary == serving.lambda_version
    for _ in range(9):
        target.prune({serving.lambda_version})
    assert set(sagemaker.models) == set(sagemaker.configurations) == {SEVENS}


def test_a_released_candidates_endpoint_goes_and_its_concurrency_with_it(
    serving: Published, target: SageMakerServerlessTarget, sagemaker: FakeSageMaker
) -> None:
    eight = target.publish(EIGHT).lambda_version
    target.release(eight)
    assert sagemaker.endpoints[EIGHTS]["EndpointStatus"] == "Deleting"
    assert not target.holds(eight)
    target.release(serving.lambda_version)
    assert sagemaker.endpoints[SEVENS]["EndpointStatus"] == "InService", "it is asked"


def test_what_a_version_was_asked_before_it_was_released_is_still_passed_on(
    serving: Published, function: FakeLambda, sagemaker: FakeSageMaker
) -> None:
    # GIVEN a candidate, and callers whose requests its function version has just taken
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        statuses.append(sagemaker.endpoints[EIGHTS]["EndpointStatus"])

    statuses: list[str] = []
    target = SageMakerServerlessTarget(sagemaker, door(function), PLACE, pause=pause)
    eight = target.publish(EIGHT).lambda_version
    waited.clear()
    statuses.clear()
    # WHEN it is released
    target.release(eight)
    # THEN its endpoint goes when the longest of them is answered: the alias's change, a start, and the function's limit
    assert (waited, statuses) == ([PLACE.timeout_seconds + 15], ["InService"])
    assert sagemaker.endpoints[EIGHTS]["EndpointStatus"] == "Deleting"


def test_a_version_that_is_asked_again_meanwhile_keeps_its_endpoint(
    serving: Published, target: SageMakerServerlessTarget, function: FakeLambda, sagemaker: FakeSageMaker
) -> None:
    eight = target.publish(EIGHT).lambda_version

    def comes_back(_seconds: float) -> None:
        target.settle(eight)

    SageMakerServerlessTarget(sagemaker, door(function), PLACE, pause=comes_back).release(eight)
    assert sagemaker.endpoints[EIGHTS]["EndpointStatus"] == "InService"


def test_no_endpoint_is_left_that_no_function_version_passes_on_to(
    serving: Published, target: SageMakerServerlessTarget, function: FakeLambda, sagemaker: FakeSageMaker
) -> None:
    # GIVEN an endpoint whose function version went with the stack, and one of another model
    target.publish(EIGHT)
    other = on(FakeLambda(passed_on=sagemaker.asked), sagemaker, replace(PLACE, name="everloop-flights-v2"))
    other.idle()
    others = other.door.passes_on_to(other.publish(EIGHT).lambda_version)
    function.delete_function(FunctionName="predict", Qualifier=str(max(map(int, function.versions))))
    # WHEN what nobody needs is deleted
    target.prune({serving.lambda_version})
    # THEN the first is, and the other model's stays
    assert {n: e["EndpointStatus"] for n, e in sagemaker.endpoints.items()} == {
        SEVENS: "InService",
        EIGHTS: "Deleting",
        others: "InService",
    }


def test_another_image_or_size_is_another_endpoint(
    serving: Published, target: SageMakerServerlessTarget, function: FakeLambda, sagemaker: FakeSageMaker
) -> None:
    for place in (replace(PLACE, image=IMAGE[:-1] + "2"), replace(PLACE, memory_mb=3072)):
        newer = on(function, sagemaker, place)
        assert newer.holds(serving.lambda_version, SEVEN), "it serves on"
        assert not newer.unchanged_since(serving.lambda_version)
        assert newer.publish_like(SEVEN, serving.lambda_version) is None
        published = newer.publish(SEVEN)
        assert published.lambda_version != serving.lambda_version
        assert published.code_sha256 != serving.code_sha256
    assert target.unchanged_since(serving.lambda_version)
    function.deploy_code("code-2")
    assert not target.unchanged_since(serving.lambda_version)


def test_an_endpoint_that_was_deleted_by_hand_is_missed_and_made_again(
    serving: Published, target: SageMakerServerlessTarget, sagemaker: FakeSageMaker
) -> None:
    del sagemaker.endpoints[SEVENS]
    assert not target.holds(serving.lambda_version)
    assert target.publish(SEVEN) == serving
    assert target.holds(serving.lambda_version, SEVEN)


class TestAMoveIsARolloutOfItsOwn:
    """No calibration moves a model, and a function version of the target before serves on until a rollout ends."""

    def test_from_lambda(self, target: SageMakerServerlessTarget, function: FakeLambda) -> None:
        on_lambda = door(function)
        on_lambda.idle()
        before = on_lambda.publish(SEVEN).lambda_version
        on_lambda.settle(before)
        assert target.holds(before, SEVEN)
        assert not target.unchanged_since(before)
        assert target.publish_like(SEVEN, before) is None
        eight = target.publish(EIGHT).lambda_version
        target.shift(primary=before, candidate=eight, percent=10.0)
        assert function.serving() == {before: 0.9, eight: 0.1}

    def test_to_lambda(self, serving: Published, function: FakeLambda) -> None:
        on_lambda = door(function)
        assert on_lambda.holds(serving.lambda_version, SEVEN)
        assert not on_lambda.holds(serving.lambda_version, EIGHT)
        assert not on_lambda.unchanged_since(serving.lambda_version)
        assert on_lambda.publish_like(SEVEN, serving.lambda_version) is None
        eight = on_lambda.publish(EIGHT).lambda_version
        on_lambda.shift(primary=serving.lambda_version, candidate=eight, percent=10.0)
        assert function.serving() == {serving.lambda_version: 0.9, eight: 0.1}

    def test_to_instances(self, serving: Published, function: FakeLambda, sagemaker: FakeSageMaker) -> None:
        instances = on_instances(function, sagemaker)
        assert instances.holds(serving.lambda_version, SEVEN)
        assert not instances.unchanged_since(serving.lambda_version)
        assert instances.publish_like(SEVEN, serving.lambda_version) is None
        variant = instances.publish(EIGHT).lambda_version
        instances.shift(primary=serving.lambda_version, candidate=variant, percent=10.0)
        state = instances.current()
        assert (state.primary, state.candidate, state.percent) == (serving.lambda_version, variant, 10.0)
        instances.settle(serving.lambda_version)
        assert instances.current().primary == serving.lambda_version
        # AND what is deleted meanwhile is nothing of the endpoint that serves
        instances.prune({serving.lambda_version})
        assert SEVENS in sagemaker.models

    def test_from_instances(
        self, target: SageMakerServerlessTarget, function: FakeLambda, sagemaker: FakeSageMaker
    ) -> None:
        instances = on_instances(function, sagemaker)
        instances.idle()
        variant = instances.publish(SEVEN).lambda_version
        instances.settle(variant)
        # Its champion is published here first, from the same artefact, and takes the requests at once.
        assert not target.holds(variant, SEVEN)
        seven = target.publish(SEVEN).lambda_version
        target.settle(seven)
        assert function.serving() == {seven: 1.0}
        assert target.prune({seven})
        assert set(sagemaker.endpoints) == {SEVENS, PLACE.name}, "that of instances is not this target's"
        assert variant in sagemaker.models, "it runs"


def test_the_old_champions_endpoint_stays_through_the_bake_and_goes_when_it_is_retired(
    target: SageMakerServerlessTarget, function: FakeLambda, sagemaker: FakeSageMaker
) -> None:
    # GIVEN a champion on an endpoint of its own
    declared = declare(serverless(binary_document(rollout={"bake_minutes": 60}))).rollout
    with mock_aws():
        store = remote_registry(dynamodb(), "flights")
        metrics = CloudWatchMetrics(FakeCloudWatch(), function="predict", alias="live", model="flights", slow_ms=200)
        announcer = Announcer(FakeEventBus(), "everloop")
        conductor = Conductor(store, target, metrics, announcer, declared, "artifacts")

        def rolled_out(run_id: str, begin: int) -> None:
            open_run(store, run_id, when=at(begin))
            conductor.start(run_id, "train", register(store, run_id).version, at=at(begin + 1))
            conductor.shift(run_id, -1, at=at(begin + 2))
            conductor.promote(run_id, at=at(begin + 3))

        rolled_out("train-1", 0)
        conductor.retire("train-1", at=at(70))
        close_run(store, "train-1", when=at(71))
        (first,) = sagemaker.endpoints
        # WHEN another comes to serve, THEN the first one's is there, in service, until the bake is over
        rolled_out("train-2", 80)
        assert [endpoint["EndpointStatus"] for endpoint in sagemaker.endpoints.values()] == ["InService", "InService"]
        (serving,) = function.serving()
        assert {first, function.variables(serving)["EVERLOOP_ENDPOINT"]} == set(sagemaker.endpoints)
        conductor.retire("train-2", at=at(150))
    assert sagemaker.endpoints[first]["EndpointStatus"] == "Deleting"
