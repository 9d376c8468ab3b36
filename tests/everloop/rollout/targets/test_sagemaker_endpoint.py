"""A SageMaker endpoint behind an alias: variants come up beside what serves, and what fails leaves it as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.environment import joined
from everloop.rollout.endpoint_place import EndpointPlace, shared_by, shares
from everloop.rollout.exceptions import EndpointChangedError, EndpointFailedError, EndpointNotReadyError
from everloop.rollout.targets import ServedArtifact
from everloop.rollout.targets.lambda_alias import ENDPOINT_VARIABLE, LambdaAliasTarget
from everloop.rollout.targets.sagemaker_endpoint import SageMakerEndpointTarget
from everloop.rollout.variant_scaling import Scaling
from everloop.serving.standby import STANDBY_VARIABLE, Standby
from tests.fakes.autoscaling import FakeAutoscaling
from tests.fakes.lambda_function import FakeLambda
from tests.fakes.sagemaker_endpoint import FakeSageMaker

SEVEN = ServedArtifact(7, "artifacts/flights/000007/", "hash-7")
EIGHT = ServedArtifact(8, "artifacts/flights/000008/", "hash-8")
PLACE = EndpointPlace(
    name="everloop-flights",
    model="flights",
    image="123456789012.dkr.ecr.us-east-1.amazonaws.com/everloop@sha256:" + 64 * "1",
    role_arn="arn:aws:iam::123456789012:role/endpoint",
    instance_type="ml.m5.large",
    instances=2,
    artifact_bucket="artifacts",
    stream="everloop-flights-predictions",
)
SEVENS, EIGHTS = PLACE.model_name(SEVEN), PLACE.model_name(EIGHT)


@pytest.fixture
def function() -> FakeLambda:
    return FakeLambda()


@pytest.fixture
def sagemaker() -> FakeSageMaker:
    return FakeSageMaker()


@pytest.fixture
def target(function: FakeLambda, sagemaker: FakeSageMaker) -> SageMakerEndpointTarget:
    return on(function, sagemaker)


def on(function: FakeLambda, sagemaker: FakeSageMaker, place: EndpointPlace = PLACE) -> SageMakerEndpointTarget:
    door = LambdaAliasTarget(function, function="predict", alias="live", pause=lambda _: None)
    scaling = FakeAutoscaling(sagemaker)
    return SageMakerEndpointTarget(sagemaker, door, place, scaling=scaling, pause=lambda _: None)


@pytest.fixture
def serving(target: SageMakerEndpointTarget) -> SageMakerEndpointTarget:
    """Version 7 serves."""
    target.idle()
    target.publish(SEVEN)
    target.settle(SEVENS)
    return target


class TestAVariant:
    def test_is_a_model_with_the_versions_files_and_hash(
        self, serving: SageMakerEndpointTarget, sagemaker: FakeSageMaker
    ) -> None:
        container = sagemaker.models[SEVENS]["PrimaryContainer"]
        assert container["Image"] == PLACE.image
        assert container["ModelDataSource"]["S3DataSource"]["S3Uri"] == "s3://artifacts/artifacts/flights/000007/"
        assert container["Environment"]["EVERLOOP_MANIFEST_SHA256"] == "hash-7"
        assert container["Environment"]["EVERLOOP_PREDICTIONS_STREAM"] == "everloop-flights-predictions"
        (variant,) = sagemaker.configurations["everloop-flights-c000001"]["ProductionVariants"]
        assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 2)

    def test_another_image_is_another_variant(self, serving: SageMakerEndpointTarget, sagemaker: FakeSageMaker) -> None:
        newer = on(serving.door.client, sagemaker, replace(PLACE, image=PLACE.image[:-1] + "2"))
        assert serving.unchanged_since(SEVENS)
        assert not newer.unchanged_since(SEVENS)
        assert newer.holds(SEVENS, SEVEN), "it serves on"
        assert newer.publish_like(SEVEN, SEVENS) is None
        published = newer.publish(SEVEN)
        assert published.lambda_version not in (SEVENS, EIGHTS)
        assert published.code_sha256 != PLACE.code_sha256

    def test_a_function_that_passes_requests_on_by_newer_code_is_a_change(
        self, serving: SageMakerEndpointTarget, function: FakeLambda
    ) -> None:
        function.deploy_code("code-2")
        assert not serving.unchanged_since(SEVENS)

    @pytest.mark.parametrize("text", ["", "x" * 1024, json.dumps({"groups": ["ä" * 900, "b" * 3000]})])
    def test_a_long_calibration_is_in_parts(self, text: str) -> None:
        environment = PLACE.environment(replace(SEVEN, calibration=text))
        assert max(map(len, environment.values())) <= 1024
        assert joined(environment, "EVERLOOP_CALIBRATION") == text

    def test_it_knows_the_place_of_what_stands_by(self) -> None:
        standby = Standby(6, "artifacts/flights/000006/", "hash-6")
        told = PLACE.environment(replace(SEVEN, standby=standby))[STANDBY_VARIABLE]
        place = f"s3://{PLACE.artifact_bucket}/artifacts/flights/000006/"
        assert Standby.from_text(told) == replace(standby, prefix=place)
        assert STANDBY_VARIABLE not in PLACE.environment(SEVEN)
        assert "EVERLOOP_SIGNER" not in PLACE.environment(SEVEN)
        assert PLACE.environment(replace(SEVEN, signer="a" * 64))["EVERLOOP_SIGNER"] == "a" * 64
        calibrated = replace(standby, calibration="c" * 3000)
        environment = PLACE.environment(replace(SEVEN, standby=calibrated))
        assert max(map(len, environment.values())) <= 1024
        assert Standby.from_text(joined(environment, STANDBY_VARIABLE)) == replace(calibrated, prefix=place)

    def test_other_models_names_are_not_its_own(self) -> None:
        assert PLACE.is_model(SEVENS)
        other = replace(PLACE, name="everloop-flights-v2")
        assert not PLACE.is_model(other.model_name(SEVEN))
        assert PLACE.configuration_number(other.configuration_name(3)) is None
        longest = replace(PLACE, name=f"everloop-{'m' * 31}")
        assert len(longest.model_name(replace(SEVEN, version=999_999))) <= 63


class TestComingUp:
    def test_takes_minutes_and_goes_on_where_it_stands(self, function: FakeLambda) -> None:
        slow = FakeSageMaker(looks=25)
        target = on(function, slow)
        target.idle()
        for _ in range(2):
            with pytest.raises(EndpointNotReadyError, match="is Creating"):
                target.publish(SEVEN)
        assert target.publish(SEVEN).lambda_version == SEVENS
        assert slow.calls.count("create_endpoint") == 1

    @pytest.mark.parametrize("call", ["create_endpoint_config", "update_endpoint", "describe_endpoint"])
    def test_a_crash_anywhere_is_healed_by_a_repetition(
        self, serving: SageMakerEndpointTarget, sagemaker: FakeSageMaker, call: str
    ) -> None:
        sagemaker.crash_before = [call]
        with pytest.raises(ConnectionError):
            serving.publish(EIGHT)
        assert serving.publish(EIGHT).lambda_version == EIGHTS
        assert sagemaker.weights("everloop-flights") == {SEVENS: 1, EIGHTS: 0}

    @pytest.mark.parametrize("gives_reasons", [True, False])
    def test_an_unhealthy_one_is_told_once_and_may_be_tried_again(
        self, serving: SageMakerEndpointTarget, sagemaker: FakeSageMaker, gives_reasons: bool
    ) -> None:
        sagemaker.gives_reasons = gives_reasons
        sagemaker.unhealthy = {EIGHTS}
        told = "ping health check" if gives_reasons else "no reason"
        for _ in range(2):
            with pytest.raises(EndpointFailedError, match=f"{EIGHTS} .* did not come into service: .*{told}"):
                serving.publish(EIGHT)
        assert sagemaker.weights("everloop-flights") == {SEVENS: 1}
        assert serving.current().primary == SEVENS
        sagemaker.unhealthy = set()
        assert serving.publish(EIGHT).lambda_version == EIGHTS

    def test_an_endpoint_that_can_not_be_made_leaves_nothing(
        self, target: SageMakerEndpointTarget, sagemaker: FakeSageMaker
    ) -> None:
        idle = target.idle()
        sagemaker.unhealthy = {SEVENS}
        with pytest.raises(EndpointFailedError, match="could not be created"):
            target.publish(SEVEN)
        for _ in range(9):
            assert target.current().primary == idle
        assert sagemaker.endpoints == {}
        sagemaker.unhealthy = set()
        assert target.publish(SEVEN).lambda_version == SEVENS

    def test_configurations_do_not_pile_up(self, serving: SageMakerEndpointTarget, sagemaker: FakeSageMaker) -> None:
        for number in range(8, 14):
            serving.publish(replace(EIGHT, version=number))
            serving.prune({SEVENS})
        assert len(sagemaker.configurations) <= 3
        assert len(sagemaker.models) <= 3


class TestTraffic:
    def test_is_one_call_a_step_and_none_where_it_stands(
        self, serving: SageMakerEndpointTarget, sagemaker: FakeSageMaker
    ) -> None:
        serving.publish(EIGHT)
        sagemaker.calls.clear()
        serving.shift(primary=SEVENS, candidate=EIGHTS, percent=5)
        serving.shift(primary=SEVENS, candidate=EIGHTS, percent=5)
        assert sagemaker.calls.count("update_endpoint_weights_and_capacities") == 1
        assert "update_endpoint" not in sagemaker.calls

    def test_waits_for_what_is_under_way(self, serving: SageMakerEndpointTarget, sagemaker: FakeSageMaker) -> None:
        serving.publish(EIGHT)
        sagemaker.looks = 50
        serving.shift(primary=SEVENS, candidate=EIGHTS, percent=5)
        with pytest.raises(EndpointNotReadyError):
            serving.settle(SEVENS)

    def test_an_older_variant_may_be_on_trial(self, serving: SageMakerEndpointTarget) -> None:
        serving.publish(EIGHT)
        serving.settle(EIGHTS)
        serving.shift(primary=EIGHTS, candidate=SEVENS, percent=30)
        state = serving.current()
        assert (state.primary, state.candidate, state.percent) == (EIGHTS, SEVENS, 30)

    def test_a_variant_that_somebody_took_away_is_named(self, serving: SageMakerEndpointTarget) -> None:
        with pytest.raises(EndpointChangedError, match=f"no variant {EIGHTS}, only {SEVENS}"):
            serving.shift(primary=SEVENS, candidate=EIGHTS, percent=5)

    @given(percent=st.floats(0.01, 99.99), primary=st.integers(0, 3), candidate=st.integers(0, 3))
    def test_weights_say_who_is_on_trial(self, percent: float, primary: int, candidate: int) -> None:
        order = ["a", "b", "c", "d"]
        if primary == candidate:
            return
        found = shared_by(shares(order, order[primary], order[candidate], percent))
        assert found[:2] == (order[primary], order[candidate])
        assert found[2] == pytest.approx(percent, abs=1e-3)


class TestWhatCosts:
    def test_a_candidate_that_was_rolled_back_stops_running(
        self, serving: SageMakerEndpointTarget, sagemaker: FakeSageMaker
    ) -> None:
        serving.publish(EIGHT)
        serving.shift(primary=SEVENS, candidate=EIGHTS, percent=5)
        serving.settle(SEVENS)
        serving.release(EIGHTS)
        assert any(not serving.holds(EIGHTS) for _ in range(9))
        assert sagemaker.weights("everloop-flights") == {SEVENS: 1}

    def test_without_a_champion_nothing_runs(self, serving: SageMakerEndpointTarget, sagemaker: FakeSageMaker) -> None:
        serving.settle(serving.idle())
        serving.release(SEVENS)
        for _ in range(9):
            serving.current()
        assert sagemaker.endpoints == {}
        assert not serving.holds(SEVENS)

    def test_what_is_warm_stays_through_the_bake(
        self, serving: SageMakerEndpointTarget, sagemaker: FakeSageMaker
    ) -> None:
        serving.publish(EIGHT)
        serving.settle(EIGHTS)
        for _ in range(9):
            assert serving.current().primary == EIGHTS
        assert sagemaker.weights("everloop-flights") == {SEVENS: 0, EIGHTS: 1}
        sagemaker.calls.clear()
        serving.settle(SEVENS)
        assert "update_endpoint" not in sagemaker.calls, "a rollback brings nothing up"


class TestInstancesThatFollowRequests:
    """Between 2 and 6 instances: who serves is scaled, and a rollout never leaves either version with too few."""

    SCALED = replace(PLACE, scaling=Scaling(most=6, invocations_per_instance=600.0))
    SEVENS, EIGHTS = SCALED.model_name(SEVEN), SCALED.model_name(EIGHT)

    @pytest.fixture
    def scaled(self, function: FakeLambda, sagemaker: FakeSageMaker) -> SageMakerEndpointTarget:
        """Version 7 serves, its rollout is over, and callers have made it 5 instances."""
        target = on(function, sagemaker, self.SCALED)
        target.idle()
        target.publish(SEVEN)
        target.settle(self.SEVENS)
        target.prune({self.SEVENS})
        self.set_count(sagemaker, self.SEVENS, 5)
        return target

    def limits(self, target: SageMakerEndpointTarget) -> dict[str, tuple[int, int]]:
        return dict(target._scaling.client.limits)

    def counts(self, target: SageMakerEndpointTarget, sagemaker: FakeSageMaker) -> dict[str, int]:
        for _ in range(9):
            target.current()
        variants = sagemaker.endpoints[PLACE.name]["ProductionVariants"]
        return {variant["VariantName"]: variant["CurrentInstanceCount"] for variant in variants}

    def set_count(self, sagemaker: FakeSageMaker, variant: str, count: int) -> None:
        for each in sagemaker.endpoints[PLACE.name]["ProductionVariants"]:
            if each["VariantName"] == variant:
                each["DesiredInstanceCount"] = each["CurrentInstanceCount"] = count

    def test_it_is_another_variant_than_one_that_is_not_scaled(self) -> None:
        assert self.SEVENS != SEVENS
        assert PLACE.code_sha256 == replace(self.SCALED, scaling=None).code_sha256

    def test_a_candidate_begins_with_as_many_as_serve_and_neither_has_fewer_until_it_is_over(
        self, scaled: SageMakerEndpointTarget, sagemaker: FakeSageMaker
    ) -> None:
        assert self.limits(scaled) == {self.SEVENS: (2, 6)}
        scaled.publish(EIGHT)
        assert self.counts(scaled, sagemaker) == {self.SEVENS: 5, self.EIGHTS: 5}
        assert self.limits(scaled) == {self.SEVENS: (5, 6), self.EIGHTS: (5, 6)}
        scaled.shift(primary=self.SEVENS, candidate=self.EIGHTS, percent=5)
        scaled.settle(self.EIGHTS)
        assert self.limits(scaled) == {self.SEVENS: (5, 6), self.EIGHTS: (5, 6)}, "a rollback finds all of them"
        assert scaled.prune({self.EIGHTS}) == [self.SEVENS]
        assert self.counts(scaled, sagemaker) == {self.EIGHTS: 5}
        assert self.limits(scaled) == {self.EIGHTS: (2, 6)}
        assert scaled._scaling.client.tracked == {self.EIGHTS: 600.0}

    def test_a_rollback_takes_the_candidate_and_its_target_away(
        self, scaled: SageMakerEndpointTarget, sagemaker: FakeSageMaker
    ) -> None:
        scaled.publish(EIGHT)
        scaled.shift(primary=self.SEVENS, candidate=self.EIGHTS, percent=5)
        scaled.settle(self.SEVENS)
        scaled.release(self.EIGHTS)
        assert self.counts(scaled, sagemaker) == {self.SEVENS: 5}
        assert self.limits(scaled) == {self.SEVENS: (2, 6)}

    def test_what_is_kept_and_nobody_asks_has_the_fewest(
        self, scaled: SageMakerEndpointTarget, sagemaker: FakeSageMaker
    ) -> None:
        calibrated = replace(SEVEN, calibration="{}")
        name = scaled.publish(calibrated).lambda_version
        scaled.settle(name)
        assert scaled.prune({self.SEVENS, name}) == []
        assert self.counts(scaled, sagemaker) == {self.SEVENS: 2, name: 5}
        assert self.limits(scaled) == {name: (2, 6)}
        # WHEN it comes to serve again, it follows requests again
        scaled.settle(self.SEVENS)
        scaled.prune({self.SEVENS, name})
        assert self.limits(scaled) == {self.SEVENS: (2, 6)}

    def test_what_is_no_longer_declared_is_forgotten_with_its_variant(
        self, scaled: SageMakerEndpointTarget, function: FakeLambda, sagemaker: FakeSageMaker
    ) -> None:
        plain = SageMakerEndpointTarget(
            sagemaker, scaled.door, PLACE, scaling=scaled._scaling.client, pause=lambda _: None
        )
        plain.publish(SEVEN)
        plain.settle(SEVENS)
        assert plain.prune({SEVENS}) == [self.SEVENS]
        assert self.counts(plain, sagemaker) == {SEVENS: 2}
        assert self.limits(scaled) == {}

    def test_a_crash_between_target_and_variant_is_healed_by_a_repetition(
        self, scaled: SageMakerEndpointTarget, sagemaker: FakeSageMaker
    ) -> None:
        scaled.publish(EIGHT)
        scaled.settle(self.EIGHTS)
        sagemaker.crash_before = ["update_endpoint"]
        with pytest.raises(ConnectionError):
            scaled.prune({self.EIGHTS})
        assert self.limits(scaled) == {self.EIGHTS: (5, 6)}
        assert scaled.prune({self.EIGHTS}) == [self.SEVENS]
        assert self.limits(scaled) == {self.EIGHTS: (2, 6)}


class TestMovingHere:
    """A model whose champion is a function version moves to an endpoint by a rollout."""

    @pytest.fixture
    def moving(self, function: FakeLambda, sagemaker: FakeSageMaker) -> tuple[SageMakerEndpointTarget, str]:
        before = LambdaAliasTarget(function, function="predict", alias="live", pause=lambda _: None)
        before.idle()
        champion = before.publish(SEVEN).lambda_version
        before.settle(champion)
        function.latest["Environment"]["Variables"][ENDPOINT_VARIABLE] = PLACE.name
        return on(function, sagemaker), champion

    def test_step_by_step(
        self, moving: tuple[SageMakerEndpointTarget, str], function: FakeLambda, sagemaker: FakeSageMaker
    ) -> None:
        target, champion = moving
        assert target.holds(champion, SEVEN)
        assert not target.unchanged_since(champion), "a rollout brings it here"
        # WHEN its endpoint comes up, the function version serves on
        target.publish(SEVEN)
        assert function.serving() == {champion: 1}
        # WHEN a part of the requests goes there
        target.shift(primary=champion, candidate=SEVENS, percent=10)
        shared = function.serving()
        assert shared[champion] == pytest.approx(0.9)
        state = target.current()
        assert (state.primary, state.candidate, state.percent) == (champion, SEVENS, 10)
        # THEN it can be taken back
        target.settle(champion)
        assert function.serving() == {champion: 1}
        # AND go on to the end, where the function version may go
        target.shift(primary=champion, candidate=SEVENS, percent=10)
        target.settle(SEVENS)
        (now,) = function.serving()
        assert function.variables(now)[ENDPOINT_VARIABLE] == PLACE.name
        assert target.current().primary == SEVENS
        assert champion in target.prune(set())

    def test_back_to_function_versions(self, moving: tuple[SageMakerEndpointTarget, str], function: FakeLambda) -> None:
        target, _ = moving
        target.publish(SEVEN)
        target.settle(SEVENS)
        del function.latest["Environment"]["Variables"][ENDPOINT_VARIABLE]
        lambdas = target.door
        assert not lambdas.holds(SEVENS), "so the champion is published again"
        published = lambdas.publish(SEVEN).lambda_version
        (before,) = function.serving()
        assert function.variables(before)[ENDPOINT_VARIABLE] == PLACE.name, "the endpoint serves until then"
        lambdas.settle(published)
        assert ENDPOINT_VARIABLE not in function.variables(published)
