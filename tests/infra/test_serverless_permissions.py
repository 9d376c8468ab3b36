"""What a model on serverless endpoints may do: make and delete those of its versions, and nothing of any other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from everloop.infra.grants import Grant
from everloop.infra.permissions import ModelPermissions
from everloop.infra.platform_reference import Platform
from everloop.names import ModelNames

ROLE = "arn:aws:iam::123456789012:role/endpoint"


@pytest.fixture(scope="module")
def app() -> App:
    return App(analytics_reporting=False)


@pytest.fixture
def stack(app: App, request: pytest.FixtureRequest) -> Stack:
    return Stack(app, "".join(part.title() for part in request.node.name.split("_")))


def permissions(stack: Stack, *, serverless: bool) -> ModelPermissions:
    scope = Construct(stack, f"Serverless{serverless}")
    platform = Platform(
        table=dynamodb.Table.from_table_name(scope, "Table", "table"),
        lake=s3.Bucket.from_bucket_name(scope, "Lake", "lake"),
        artifacts=s3.Bucket.from_bucket_name(scope, "Artifacts", "artifacts"),
        audit=s3.Bucket.from_bucket_name(scope, "Audit", "audit"),
        topic=sns.Topic.from_topic_arn(scope, "Topic", "arn:aws:sns:us-east-1:123456789012:topic"),
        signing_key_arn="arn:aws:kms:us-east-1:123456789012:key/signing",
        api_id="api",
        api_endpoint="https://api",
        exports={},
    )
    names = ModelNames("late_train")
    return ModelPermissions(stack, platform, names, compares=True, endpoint_role_arn=ROLE, serverless=serverless)


def of_sagemaker(grants: list[Grant]) -> Iterator[tuple[str, str]]:
    """Each action of SageMaker's with what it may be done to."""
    for grant in grants:
        for action in grant.actions:
            if action.startswith("sagemaker:"):
                yield from ((action.removeprefix("sagemaker:"), arn.rpartition(":")[2]) for arn in grant.resources)


def test_the_rollout_function_makes_and_deletes_endpoints_of_versions_alone(stack: Stack) -> None:
    found = set(of_sagemaker(permissions(stack, serverless=True).of("rollout")))
    changes = {(action, to) for action, to in found if not action.startswith(("List", "Describe"))}
    endpoint, configuration, model = (
        f"{kind}/everloop-late-train-v*" for kind in ("endpoint", "endpoint-config", "model")
    )
    assert changes == {
        ("CreateEndpoint", endpoint),
        ("CreateEndpoint", configuration),
        ("DeleteEndpoint", endpoint),
        ("CreateEndpointConfig", configuration),
        ("DeleteEndpointConfig", configuration),
        ("CreateModel", model),
        ("DeleteModel", model),
    }, "an update would be the endpoint of instances', and a rollback is an alias's"


def test_the_prediction_function_asks_both_kinds_so_that_a_model_may_move(stack: Stack) -> None:
    both = {("InvokeEndpoint", f"endpoint/everloop-late-train{more}") for more in ("", "-v*")}
    for serverless in (True, False):
        assert set(of_sagemaker(permissions(stack, serverless=serverless).of("predict"))) == both


def test_the_monitor_looks_at_the_kind_that_is_declared(stack: Stack) -> None:
    for serverless, more in ((True, "-v*"), (False, "")):
        found = set(of_sagemaker(permissions(stack, serverless=serverless).of("monitor")))
        assert found == {("DescribeEndpoint", f"endpoint/everloop-late-train{more}")}
