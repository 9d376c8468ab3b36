"""The control plane: versions never change, aliases choose by weight, conditions are checked."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.core.archives import Limits
from localcloud.services.lambda_.runtime.exceptions import (
    InvalidParameterValueError,
    NotExecutedLocallyError,
    PreconditionFailedError,
    ResourceConflictError,
    ResourceNotFoundError,
    TooManyRequestsError,
)
from localcloud.services.lambda_.runtime.functions import Alias, split_name
from support.lambdas import Lambda

WHO = "import os\ndef handle(event, context):\n    return [context.function_version, os.environ.get('N')]\n"


def publish(aws: Lambda, **conditions: Any) -> str:
    given = {"code_sha256": None, "description": None, "revision_id": None, **conditions}
    return aws.service.store.publish_version("f", **given).version


def set_environment(aws: Lambda, value: str, **more: Any) -> None:
    aws.service.store.update_function_configuration("f", {"Environment": {"Variables": {"N": value}}, **more})


def test_a_function_made_again_under_its_name_goes_on_counting_its_versions(lambda_: Lambda) -> None:
    lambda_.create(WHO, Environment={"Variables": {"N": "one"}})
    assert publish(lambda_) == "1"
    lambda_.service.store.delete_function("f", None)
    lambda_.create(WHO, Environment={"Variables": {"N": "one"}})
    assert publish(lambda_) == "2"
    with pytest.raises(ResourceNotFoundError):
        lambda_.service.store.resolve("f", "1")


def test_a_published_version_keeps_its_environment_and_code(lambda_: Lambda) -> None:
    # GIVEN version 1 with N=one, invoked once so that its worker is warm
    lambda_.create(WHO, Environment={"Variables": {"N": "one"}})
    assert publish(lambda_) == "1"
    lambda_.invoke(qualifier="1")

    # WHEN $LATEST gets another environment and other code, and becomes version 2
    set_environment(lambda_, "two")
    assert publish(lambda_) == "2"
    from support.lambdas import zipped

    code = lambda_.service.code({"ZipFile": zipped({"handler.py": "def handle(event, context):\n    return 'new'\n"})})
    lambda_.service.store.update_function_code("f", {}, code)

    # THEN each answers as it was published
    assert json.loads(lambda_.invoke(qualifier="1").payload) == ["1", "one"]
    assert json.loads(lambda_.invoke(qualifier="2").payload) == ["2", "two"]
    assert json.loads(lambda_.invoke().payload) == "new"
    assert lambda_.service.store.resolve("f", "1").version.code != lambda_.service.store.resolve("f", None).version.code


def test_publishing_without_a_change_gives_the_same_version(lambda_: Lambda) -> None:
    lambda_.create(WHO)

    assert [publish(lambda_), publish(lambda_, description="again")] == ["1", "1"]
    set_environment(lambda_, "x")
    assert [publish(lambda_), publish(lambda_)] == ["2", "2"]
    assert [v.version for v in lambda_.service.store.list_versions("f")] == ["$LATEST", "1", "2"]


def test_publishing_checks_its_conditions(lambda_: Lambda) -> None:
    version = lambda_.create(WHO)

    with pytest.raises(InvalidParameterValueError, match="CodeSHA256"):
        publish(lambda_, code_sha256="other")
    with pytest.raises(PreconditionFailedError):
        publish(lambda_, revision_id="other")
    assert publish(lambda_, code_sha256=version.code.sha256, revision_id=version.revision_id) == "1"


def test_a_stale_revision_changes_nothing(lambda_: Lambda) -> None:
    version = lambda_.create(WHO)
    set_environment(lambda_, "one", RevisionId=version.revision_id)

    with pytest.raises(PreconditionFailedError):
        set_environment(lambda_, "two", RevisionId=version.revision_id)

    assert json.loads(lambda_.invoke().payload) == ["$LATEST", "one"]


def two_versions(aws: Lambda) -> None:
    aws.create(WHO)
    publish(aws)
    set_environment(aws, "two")
    publish(aws)


def test_an_alias_shares_invocations_by_weight(lambda_: Lambda) -> None:
    # GIVEN an alias with a quarter of its invocations for version 2
    two_versions(lambda_)
    draws = iter([index / 100 for index in range(100)])
    lambda_.service.store._draw = lambda: next(draws)
    lambda_.service.aliases.create_alias(
        "f",
        {"Name": "live", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.25}}},
    )

    # WHEN it is invoked for each of a hundred evenly spread draws
    answers = [lambda_.invoke(qualifier="live") for _ in range(100)]

    # THEN a quarter of them ran on version 2, and said so
    assert Counter(answer.executed_version for answer in answers) == {"1": 75, "2": 25}
    assert all(json.loads(answer.payload)[0] == answer.executed_version for answer in answers)


@given(weight=st.floats(0, 1), drawn=st.floats(0, 1, exclude_max=True))
def test_a_draw_below_the_weight_goes_to_the_additional_version(weight: float, drawn: float) -> None:
    alias = Alias("live", "1", "", {"2": weight}, "r")

    assert alias.choose(drawn) == ("2" if drawn < weight else "1")


def test_moving_an_alias_needs_the_current_revision(lambda_: Lambda) -> None:
    two_versions(lambda_)
    alias = lambda_.service.aliases.create_alias("f", {"Name": "live", "FunctionVersion": "1"})

    moved = lambda_.service.aliases.update_alias(
        "f", "live", {"FunctionVersion": "2", "RevisionId": alias["RevisionId"]}
    )

    assert moved["FunctionVersion"] == "2"
    with pytest.raises(PreconditionFailedError):
        lambda_.service.aliases.update_alias("f", "live", {"FunctionVersion": "1", "RevisionId": alias["RevisionId"]})


def test_an_empty_routing_configuration_ends_the_sharing(lambda_: Lambda) -> None:
    two_versions(lambda_)
    weights = {"AdditionalVersionWeights": {"2": 0.5}}
    aliases = lambda_.service.aliases
    aliases.create_alias("f", {"Name": "live", "FunctionVersion": "1", "RoutingConfig": weights})

    kept = aliases.update_alias("f", "live", {"Description": "x"})
    ended = aliases.update_alias("f", "live", {"RoutingConfig": {"AdditionalVersionWeights": {}}})

    assert kept["RoutingConfig"] == weights
    assert "RoutingConfig" not in ended


@pytest.mark.parametrize(
    ("primary", "weights"),
    [
        ("1", {"1": 0.5}),
        ("1", {"2": 1.5}),
        ("$LATEST", {"1": 0.1}),
        ("1", {"$LATEST": 0.1}),
        ("1", {"2": 0.1, "1": 0.1}),
    ],
)
def test_weights_that_lambda_refuses(lambda_: Lambda, primary: str, weights: dict[str, float]) -> None:
    two_versions(lambda_)

    with pytest.raises(InvalidParameterValueError):
        lambda_.service.aliases.create_alias(
            "f",
            {"Name": "live", "FunctionVersion": primary, "RoutingConfig": {"AdditionalVersionWeights": weights}},
        )


def test_a_version_with_an_alias_is_not_deleted(lambda_: Lambda) -> None:
    two_versions(lambda_)
    lambda_.service.aliases.create_alias("f", {"Name": "live", "FunctionVersion": "1"})

    with pytest.raises(ResourceConflictError, match="live"):
        lambda_.service.store.delete_function("f", "1")
    lambda_.service.store.delete_function("f", "2")

    with pytest.raises(ResourceNotFoundError):
        lambda_.invoke(qualifier="2")
    # AND its number is not used again
    set_environment(lambda_, "three")
    assert publish(lambda_) == "3"


def test_deleting_a_function_ends_its_workers(lambda_: Lambda) -> None:
    lambda_.create(WHO)
    lambda_.invoke()
    assert lambda_.service.pools.memory_mb() > 0

    lambda_.service.store.delete_function("f", None)

    assert lambda_.service.pools.memory_mb() == 0
    with pytest.raises(ResourceNotFoundError):
        lambda_.invoke()


def test_a_permission_belongs_to_the_alias_it_is_added_to(lambda_: Lambda) -> None:
    two_versions(lambda_)
    lambda_.service.aliases.create_alias("f", {"Name": "live", "FunctionVersion": "1"})
    permission = {
        "StatementId": "api",
        "Action": "lambda:InvokeFunction",
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": "arn:aws:execute-api:us-east-1:123456789012:a/*/*",
    }
    policies = lambda_.service.policies

    policies.add_permission("f", "live", permission)

    statement = json.loads(policies.get_policy("f", "live")["Policy"])["Statement"][0]
    assert statement["Resource"].endswith(":function:f:live")
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": permission["SourceArn"]}}
    assert policies.statements("f", None) == []
    with pytest.raises(ResourceConflictError):
        policies.add_permission("f", "live", permission)
    policies.remove_permission("f", "live", "api")
    with pytest.raises(ResourceNotFoundError):
        policies.get_policy("f", "live")


@pytest.mark.parametrize(
    "parameters",
    [
        {"Timeout": 901},
        {"MemorySize": 64},
        {"Environment": {"Variables": {"AWS_REGION": "x"}}},
        {"Environment": {"Variables": {"X": "y" * 4097}}},
        {"Runtime": "nodejs22.x"},
        {"SnapStart": {"ApplyOn": "PublishedVersions"}},
        {"VpcConfig": {"SubnetIds": ["subnet-1"]}},
        {"PackageType": "Image"},
    ],
)
def test_what_lambda_or_the_local_cloud_does_not_take_is_refused(lambda_: Lambda, parameters: dict[str, Any]) -> None:
    with pytest.raises((InvalidParameterValueError, NotExecutedLocallyError)):
        lambda_.create(WHO, **parameters)


@pytest.mark.parametrize(
    ("files", "named"),
    [({"../handler.py": "x"}, r"'\.\./handler.py' has a part"), ({"/handler.py": "x"}, "absolute")],
)
def test_a_package_that_leads_out_of_its_directory_is_refused(
    lambda_: Lambda, tmp_path: Path, files: dict[str, str], named: str
) -> None:
    with pytest.raises(InvalidParameterValueError, match=named):
        lambda_.create(files)
    assert not list(tmp_path.rglob("handler.py"))


def test_a_package_is_as_large_as_lambda_takes(lambda_: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(members=2, total_bytes=100, member_bytes=100)
    monkeypatch.setattr("localcloud.services.lambda_.runtime.packages.LIMITS", limits)

    with pytest.raises(InvalidParameterValueError, match="101 bytes"):
        lambda_.create({"handler.py": "#" * 101})
    with pytest.raises(InvalidParameterValueError, match="3 members"):
        lambda_.create({"handler.py": "", "b": "", "c": ""})
    assert lambda_.create({"handler.py": "#" * 100}, name="fits")


def test_reserved_concurrency_throttles(lambda_: Lambda) -> None:
    lambda_.create(WHO)
    lambda_.service.store.set_reserved_concurrency("f", 0)

    with pytest.raises(TooManyRequestsError):
        lambda_.invoke()

    assert [record.throttled for record in lambda_.sink.records] == [True]


@pytest.mark.parametrize(
    ("name", "qualifier", "expected"),
    [
        ("f", None, ("f", None)),
        ("f", "live", ("f", "live")),
        ("f:live", None, ("f", "live")),
        ("arn:aws:lambda:us-east-1:123456789012:function:f", "2", ("f", "2")),
        ("arn:aws:lambda:us-east-1:123456789012:function:f:live", None, ("f", "live")),
        ("123456789012:function:f:live", "live", ("f", "live")),
    ],
)
def test_names_in_every_form(name: str, qualifier: str | None, expected: tuple[str, str | None]) -> None:
    assert split_name(name, qualifier) == expected


def test_two_different_qualifiers_are_refused() -> None:
    with pytest.raises(InvalidParameterValueError):
        split_name("f:live", "2")
