from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from everloop.rollout.exceptions import AliasContendedError, AliasNotPinnedError, FunctionNotReadyError
from everloop.rollout.targets import ServedArtifact
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from tests.fakes.aws import aws_client
from tests.fakes.lambda_function import FakeLambda, refusal

SEVEN = ServedArtifact(7, "artifacts/flights/000007/", "hash-7")
EIGHT = ServedArtifact(8, "artifacts/flights/000008/", "hash-8")


@pytest.fixture
def function() -> FakeLambda:
    return FakeLambda()


@pytest.fixture
def target(function: FakeLambda) -> LambdaAliasTarget:
    return LambdaAliasTarget(function, function="predict", alias="live", pause=lambda _: None)


class TestIdle:
    def test_moves_a_fresh_alias_off_latest_to_a_version_without_artefact(
        self, target: LambdaAliasTarget, function: FakeLambda
    ) -> None:
        idle = target.idle()
        assert function.serving() == {idle: 1}
        assert function.variables(idle)["EVERLOOP_VERSION"] == ""
        assert function.variables(idle)["EVERLOOP_MODEL"] == "flights"

    def test_is_the_same_version_next_time(self, target: LambdaAliasTarget, function: FakeLambda) -> None:
        idle = target.idle()
        target.settle(target.publish(SEVEN).lambda_version)
        assert target.idle() == idle
        assert function.serving() == {idle: 1}

    def test_an_artefact_left_on_latest_is_not_served_from_there(
        self, target: LambdaAliasTarget, function: FakeLambda
    ) -> None:
        function.latest["Environment"]["Variables"]["EVERLOOP_VERSION"] = "6"
        assert function.variables(target.idle())["EVERLOOP_VERSION"] == ""


class TestPublish:
    def test_freezes_the_artefact_in_the_environment_and_keeps_the_rest(
        self, target: LambdaAliasTarget, function: FakeLambda
    ) -> None:
        target.idle()
        seven = target.publish(SEVEN)
        eight = target.publish(EIGHT)
        assert (seven.code_sha256, seven.layers) == ("code-1", ("arn:layer:1",))
        assert function.variables(seven.lambda_version) == {
            "EVERLOOP_MODEL": "flights",
            "EVERLOOP_VERSION": "7",
            "EVERLOOP_ARTIFACT_PREFIX": "artifacts/flights/000007/",
            "EVERLOOP_MANIFEST_SHA256": "hash-7",
            "EVERLOOP_CALIBRATION": "",
        }
        assert function.variables(eight.lambda_version)["EVERLOOP_VERSION"] == "8"

    def test_beside_a_version_latest_is_asked_for_once(self, target: LambdaAliasTarget, function: FakeLambda) -> None:
        target.idle()
        seven = target.publish(SEVEN).lambda_version
        function.calls.clear()
        assert target.publish_like(replace(SEVEN, calibration="{}"), seven) is not None
        before_the_change = function.calls[: function.calls.index("update_function_configuration")]
        assert before_the_change == [
            "get_alias",
            "get_function_configuration",
            "get_function_configuration",
            "list_versions_by_function",
        ]

    def test_beside_a_version_of_other_code_nothing_is_published(
        self, target: LambdaAliasTarget, function: FakeLambda
    ) -> None:
        target.idle()
        seven = target.publish(SEVEN).lambda_version
        function.latest["CodeSha256"] = "code-2"
        assert target.publish_like(replace(SEVEN, calibration="{}"), seven) is None
        assert "publish_version" not in function.calls[-3:]

    def test_with_its_calibration(self, target: LambdaAliasTarget, function: FakeLambda) -> None:
        target.idle()
        plain, calibrated = target.publish(SEVEN), target.publish(replace(SEVEN, calibration="{}"))
        assert function.variables(calibrated.lambda_version)["EVERLOOP_CALIBRATION"] == "{}"
        assert plain.lambda_version != calibrated.lambda_version
        assert target.holds(plain.lambda_version, SEVEN)
        assert not target.holds(calibrated.lambda_version, SEVEN)

    def test_that_knows_no_calibrations_has_none(self, target: LambdaAliasTarget, function: FakeLambda) -> None:
        target.idle()
        seven = target.publish(SEVEN).lambda_version
        del function.variables(seven)["EVERLOOP_CALIBRATION"]
        assert target.holds(seven, SEVEN)
        assert not target.holds(seven, replace(SEVEN, calibration="{}"))

    def test_reaches_nobody(self, target: LambdaAliasTarget, function: FakeLambda) -> None:
        idle = target.idle()
        target.publish(SEVEN)
        assert function.serving() == {idle: 1}

    def test_is_refused_while_latest_serves(self, target: LambdaAliasTarget) -> None:
        with pytest.raises(AliasNotPinnedError, match=r"\$LATEST"):
            target.publish(SEVEN)

    def test_the_same_again_is_the_same_version(self, target: LambdaAliasTarget, function: FakeLambda) -> None:
        target.idle()
        seven = target.publish(SEVEN)
        target.publish(EIGHT)
        assert target.publish(SEVEN) == seven

    @pytest.mark.parametrize("change", ["code", "layers", "memory"])
    def test_the_same_artefact_under_something_new_is_another_version(
        self, target: LambdaAliasTarget, function: FakeLambda, change: str
    ) -> None:
        target.idle()
        seven = target.publish(SEVEN)
        if change == "code":
            function.deploy_code("code-2")
        elif change == "layers":
            function.latest["Layers"] = [{"Arn": "arn:layer:2"}]
        else:
            function.latest["MemorySize"] = 2048
        assert target.publish(SEVEN).lambda_version != seven.lambda_version

    @pytest.mark.parametrize("call", ["update_function_configuration", "publish_version"])
    def test_a_crash_on_the_way_is_made_good_by_the_next_try(
        self, target: LambdaAliasTarget, function: FakeLambda, call: str
    ) -> None:
        target.idle()
        function.crash_before = [call]
        with pytest.raises(ConnectionError):
            target.publish(SEVEN)
        published = target.publish(SEVEN)
        assert function.variables(published.lambda_version)["EVERLOOP_VERSION"] == "7"
        assert len(function.versions) == 2

    def test_a_function_that_failed_to_update(self, target: LambdaAliasTarget, function: FakeLambda) -> None:
        target.idle()
        function.latest |= {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "the role is missing"}
        with pytest.raises(FunctionNotReadyError, match="the role is missing"):
            target.publish(SEVEN)

    def test_a_change_by_someone_else_in_between_is_not_published(
        self, target: LambdaAliasTarget, function: FakeLambda, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target.idle()
        update = function.update_function_configuration

        def updated_by_two(**arguments: Any) -> dict[str, Any]:
            answer = update(**arguments)
            function.latest["Environment"]["Variables"]["EVERLOOP_VERSION"] = "66"
            return answer

        monkeypatch.setattr(function, "update_function_configuration", updated_by_two)
        with pytest.raises(FunctionNotReadyError, match="someone changed"):
            target.publish(SEVEN)

    @pytest.mark.parametrize("call", ["update_function_configuration", "publish_version"])
    @pytest.mark.parametrize("code", ["ResourceConflictException", "PreconditionFailedException"])
    def test_a_function_that_is_being_changed_is_to_be_tried_again(
        self, target: LambdaAliasTarget, function: FakeLambda, call: str, code: str
    ) -> None:
        target.idle()
        change = getattr(function, call)

        def contended(**_: object) -> object:
            setattr(function, call, change)
            raise refusal(code, "an update is in progress", call)

        setattr(function, call, contended)
        with pytest.raises(FunctionNotReadyError, match="is being changed by someone else"):
            target.publish(SEVEN)
        assert function.variables(target.publish(SEVEN).lambda_version)["EVERLOOP_VERSION"] == "7"


class TestTraffic:
    @pytest.fixture
    def pair(self, target: LambdaAliasTarget) -> tuple[str, str]:
        target.idle()
        seven, eight = target.publish(SEVEN).lambda_version, target.publish(EIGHT).lambda_version
        target.settle(seven)
        return seven, eight

    def test_shift_and_settle(self, target: LambdaAliasTarget, function: FakeLambda, pair: tuple[str, str]) -> None:
        old, new = pair
        target.shift(primary=old, candidate=new, percent=10)
        assert function.serving() == {old: 0.9, new: 0.1}
        assert (target.current().candidate, target.current().percent) == (new, 10)
        assert target.settle(new)
        assert function.serving() == {new: 1}

    def test_what_stands_is_not_set_again(
        self, target: LambdaAliasTarget, function: FakeLambda, pair: tuple[str, str]
    ) -> None:
        old, new = pair
        target.shift(primary=old, candidate=new, percent=29)
        function.calls.clear()
        target.shift(primary=old, candidate=new, percent=29)
        assert function.calls == ["get_alias"]
        assert target.settle(old)
        assert not target.settle(old)

    def test_someone_else_in_between(
        self,
        target: LambdaAliasTarget,
        function: FakeLambda,
        pair: tuple[str, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        read, left = function.get_alias, [3]

        def read_then_touched(**arguments: Any) -> dict[str, Any]:
            answer = read(**arguments)
            if left[0]:
                left[0] -= 1
                function._touch(function.alias)
            return answer

        monkeypatch.setattr(function, "get_alias", read_then_touched)
        assert target.settle(pair[1])
        left[0] = 99
        with pytest.raises(AliasContendedError, match="predict:live"):
            target.settle(pair[0])

    def test_other_refusals_come_through(self, target: LambdaAliasTarget, pair: tuple[str, str]) -> None:
        with pytest.raises(ClientError, match="no version 99"):
            target.settle("99")


class TestPrune:
    def test_deletes_what_rollouts_published_and_nobody_needs(
        self, target: LambdaAliasTarget, function: FakeLambda
    ) -> None:
        idle = target.idle()
        seven, eight = target.publish(SEVEN).lambda_version, target.publish(EIGHT).lambda_version
        function.versions["4"] = {**function.versions[seven], "Version": "4", "Description": "a person's own"}
        target.settle(eight)
        assert target.prune({seven}) == [idle]
        assert set(function.versions) == {seven, eight, "4"}
        assert target.prune(set()) == [seven]
        assert not target.delete(seven)


@pytest.mark.slow
def test_the_calls_are_calls_of_the_lambda_api() -> None:
    """Through botocore's own validation, against moto."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("handler.py", "def handle(event, context): pass")
    with mock_aws():
        iam, client = aws_client("iam"), aws_client("lambda")
        role = iam.create_role(RoleName="predict", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        client.create_function(
            FunctionName="predict",
            Runtime="python3.13",
            Role=role,
            Handler="handler.handle",
            Code={"ZipFile": archive.getvalue()},
            Environment={"Variables": {"EVERLOOP_MODEL": "flights"}},
        )
        client.create_alias(FunctionName="predict", Name="live", FunctionVersion="$LATEST")
        target = LambdaAliasTarget(client, function="predict", alias="live", pause=lambda _: None)
        idle = target.idle()
        seven = target.publish(SEVEN)
        assert target.publish(SEVEN) == seven
        target.shift(primary=idle, candidate=seven.lambda_version, percent=10)
        assert target.current().percent == 10
        target.settle(seven.lambda_version)
        assert target.current().candidate is None
        assert target.prune(set()) == [idle]
