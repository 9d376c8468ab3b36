"""What an account is said to lack: accounts as AWS answers for them, one for each thing that can be missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.operations.preflight.bootstrap import Bootstrap, DeployRoles
from everloop.cli.operations.preflight.checks import CHECKS, findings
from everloop.cli.operations.preflight.findings import Check, Finding
from everloop.cli.operations.preflight.identity import Identity
from everloop.cli.operations.preflight.images import EndpointImages
from everloop.cli.operations.preflight.lake_formation import LakeFormation
from everloop.cli.operations.preflight.needs import EndpointNeeds, Needs
from everloop.cli.operations.preflight.quotas import (
    OF_ALL_ENDPOINTS,
    OF_ALL_SERVERLESS,
    LambdaConcurrency,
    LambdaMemory,
    SageMakerInstances,
)
from everloop.cli.operations.preflight.region import Region
from everloop.cli.output import to_plain

ACCOUNT = "111122223333"
BY_IAM = [{"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}]


def refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


class Quotas:
    """Service Quotas: what an account has, and AWS's defaults."""

    def __init__(self, applied: Mapping[str, float], default: Mapping[str, float]) -> None:
        self._values = {"list_service_quotas": applied, "list_aws_default_service_quotas": default}

    def get_paginator(self, operation: str) -> Quotas:
        self._asked = self._values[operation]
        return self

    def paginate(self, **_given: str) -> Quotas:
        return self

    def build_full_result(self) -> dict[str, Any]:
        quotas = [{"QuotaName": n, "QuotaCode": f"L-{len(n)}", "Value": v} for n, v in self._asked.items()]
        return {"Quotas": quotas}


class Client:
    """One service: its operations, each an answer or an error."""

    def __init__(self, **operations: Any) -> None:
        self._operations = operations

    def __getattr__(self, name: str) -> Callable[..., Any]:
        answer = self._operations[name]

        def call(**given: Any) -> Any:
            found = answer(**given) if callable(answer) else answer
            if isinstance(found, Exception):
                raise found
            return found

        return call


class World:
    """An account that lacks nothing, until a test takes something away."""

    def __init__(self, region: str = "eu-central-1") -> None:
        self.region = region
        types = {f"ml.m5.large for {use} usage": 3.0 for use in ("training job", "processing job", "endpoint")}
        self.parameters = {"/cdk-bootstrap/hnb659fds/version": "28"}
        self.clients: dict[str, Any] = {
            "sts": Client(
                get_caller_identity={"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/me", "Account": ACCOUNT},
                assume_role={"Credentials": {}},
            ),
            "ssm": Client(get_parameter=self._parameter),
            "service-quotas": Quotas({}, {**types, OF_ALL_ENDPOINTS: 3.0}),
            "lambda": Client(get_account_settings={"AccountLimit": {"UnreservedConcurrentExecutions": 1000}}),
            "ecr": Client(describe_images={"imageDetails": [{}]}),
            "lakeformation": Client(
                get_data_lake_settings={
                    "DataLakeSettings": {
                        "CreateDatabaseDefaultPermissions": BY_IAM,
                        "CreateTableDefaultPermissions": BY_IAM,
                    }
                }
            ),
        }

    def _parameter(self, Name: str) -> Any:  # boto3's word
        if Name not in self.parameters:
            return refusal("ParameterNotFound", "GetParameter")
        return {"Parameter": {"Value": self.parameters[Name]}}


STACK = "EverloopModel-late-train"
IMAGE = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/serve@sha256:{64 * 'a'}"
NEEDS = Needs(
    regions=["eu-central-1", "us-east-1"],
    bootstrap_version=6,
    instances={f"ml.m5.large for {job} job usage": [STACK] for job in ("training", "processing")},
    endpoints=[EndpointNeeds(STACK, IMAGE, "ml.m5.large", 1)],
    memory_mb={"everloop-late_train-predict": 1024},
    loops=1,
)


def looked(world: World, *checks: Check, needs: Needs = NEEDS) -> list[Finding]:
    account = Account(boto3.Session(region_name=world.region), world.clients)
    return list(findings(account, needs, checks or CHECKS))


def test_an_account_that_lacks_nothing_is_ready() -> None:
    found = looked(World())
    assert {one.state for one in found} == {"good"}
    assert {one.check for one in found} == {check.name for check in CHECKS}
    assert all(one.remedy is None for one in found)
    json.dumps(to_plain(found))


def test_whatever_is_not_good_says_what_cures_it() -> None:
    """Every service refuses every question."""
    world = World("mx-central-1")
    denied = {"get_parameter", "assume_role", "get_account_settings", "get_data_lake_settings"}
    for service in ("ssm", "lambda", "lakeformation"):
        world.clients[service] = Client(**{name: refusal("AccessDeniedException", name) for name in denied})
    world.clients["sts"]._operations["assume_role"] = refusal("AccessDenied", "AssumeRole")
    found = looked(world)
    assert all(one.remedy for one in found if one.state != "good")
    assert {one.check for one in found if one.state == "unknown"} == {
        "bootstrap",
        "concurrency",
        "lake formation",
    }
    assert [one.sentence for one in found if one.check == "concurrency"] == [
        "these credentials may not read this: lambda:GetAccountSettings is refused"
    ]


def test_other_errors_are_not_taken_for_an_answer() -> None:
    world = World()
    world.clients["ssm"] = Client(get_parameter=refusal("InternalServerError", "GetParameter"))
    with pytest.raises(ClientError, match="InternalServerError"):
        looked(world, Bootstrap())


def test_the_root_user_is_told_of() -> None:
    world = World()
    world.clients["sts"]._operations["get_caller_identity"] = {
        "Arn": f"arn:aws:iam::{ACCOUNT}:root",
        "Account": ACCOUNT,
    }
    assert [one.state for one in looked(world, Identity())] == ["unknown"]


def test_another_region_is_refused_with_those_that_do() -> None:
    (found,) = looked(World("mx-central-1"), Region())
    assert found.state == "missing"
    assert "eu-central-1" in str(found.remedy)


def test_images_in_two_regions_leave_none() -> None:
    (found,) = looked(World(), Region(), needs=replace(NEEDS, regions=[]))
    assert (found.state, found.remedy) == ("missing", "push the images of all endpoints to one region")


@pytest.mark.parametrize("version", [None, "5", "x"])
def test_a_bootstrap_that_is_not_there_or_too_old(version: str | None) -> None:
    world = World()
    del world.parameters["/cdk-bootstrap/hnb659fds/version"]
    if version:
        world.parameters["/cdk-bootstrap/hnb659fds/version"] = version
    (found,) = looked(world, Bootstrap())
    assert found.state == "missing"
    assert "bootstrap`" in str(found.remedy)


def test_a_bootstrap_of_another_qualifier_is_asked_for_by_it() -> None:
    world = World()
    world.parameters["/cdk-bootstrap/ours/version"] = "21"
    world.clients["sts"]._operations["assume_role"] = lambda RoleArn, **_: (  # boto3's word
        {} if "/cdk-ours-" in RoleArn else refusal("AccessDenied", "AssumeRole")
    )
    found = looked(world, Bootstrap(), DeployRoles(), needs=replace(NEEDS, qualifier="ours"))
    assert [one.state for one in found] == ["good", "good", "good"]


def test_a_role_that_may_not_be_assumed_is_named() -> None:
    world = World()
    world.clients["sts"]._operations["assume_role"] = lambda RoleArn, **_: (  # boto3's word
        {} if "-file-" in RoleArn else refusal("AccessDenied", "AssumeRole")
    )
    deploy, publish = looked(world, DeployRoles())
    assert (deploy.state, publish.state) == ("missing", "good")
    assert f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-deploy-role-{ACCOUNT}-eu-central-1" in str(deploy.remedy)


def test_an_accounts_own_quota_comes_before_the_default() -> None:
    """A new account: AWS's default says 2, its own quota 0."""
    world = World()
    defaults = {f"ml.m5.large for {job} job usage": 2.0 for job in ("training", "processing")}
    world.clients["service-quotas"] = Quotas({"ml.m5.large for training job usage": 0.0}, defaults)
    training, processing = looked(world, SageMakerInstances(), needs=replace(NEEDS, endpoints=[]))
    assert (training.state, processing.state) == ("missing", "good")
    assert "--service-code sagemaker --quota-code L-34 --desired-value 1`" in str(training.remedy)


ON_ENDPOINTS = replace(
    NEEDS,
    instances={},
    endpoints=[
        EndpointNeeds("A", IMAGE, "ml.m5.large", 1),
        EndpointNeeds("B", IMAGE, "ml.m5.large", 2),
        EndpointNeeds("C", IMAGE, "ml.c5.large", 1),
    ],
)


@pytest.mark.parametrize(("large", "state"), [(0, "missing"), (6, "missing"), (7, "good")])
def test_an_endpoint_needs_instances_for_a_rollout_beside_those_that_serve(large: int, state: str) -> None:
    """Three of the type serve two models. The larger endpoint's list of two variants comes up beside its old one."""
    world = World()
    quotas = {"ml.m5.large for endpoint usage": large, "ml.c5.large for endpoint usage": 3.0, OF_ALL_ENDPOINTS: 8.0}
    world.clients["service-quotas"] = Quotas(quotas, {})
    found = {one.sentence.partition(":")[0]: one for one in looked(world, SageMakerInstances(), needs=ON_ENDPOINTS)}
    assert [one.state for one in found.values()] == ["good", state, "good"]
    of_type = found["ml.m5.large for endpoint usage"]
    assert "of A, B: 3 at rest, 7 while a rollout changes an endpoint" in of_type.sentence
    assert state == "good" or "--desired-value 7`" in str(of_type.remedy)


@pytest.mark.parametrize("code", ["RepositoryNotFoundException", "ImageNotFoundException"])
def test_an_image_that_nobody_pushed_is_missing(code: str) -> None:
    world = World()
    asked: list[dict[str, Any]] = []

    def describe_images(**given: Any) -> Any:
        asked.append(given)
        return {} if given["repositoryName"] == "there" else refusal(code, "DescribeImages")

    world.clients["ecr"] = Client(describe_images=describe_images)
    images = [IMAGE, IMAGE.replace("serve@", "there@"), IMAGE.replace("eu-central-1", "us-east-1")]
    endpoints = [EndpointNeeds("S", image, "ml.m5.large", 1) for image in images]
    found = looked(world, EndpointImages(), needs=replace(NEEDS, endpoints=endpoints))
    assert [(one.state, images[0] in one.sentence) for one in found] == [("missing", True), ("good", False)]
    assert asked[0] == {
        "registryId": ACCOUNT,
        "repositoryName": "serve",
        "imageIds": [{"imageDigest": f"sha256:{64 * 'a'}"}],
    }


def test_all_endpoints_together_have_a_quota_of_their_own() -> None:
    world = World()
    types = {f"ml.{kind}.large for endpoint usage": 20.0 for kind in ("m5", "c5")}
    world.clients["service-quotas"] = Quotas({}, {**types, OF_ALL_ENDPOINTS: 4.0})
    states = [one.state for one in looked(world, SageMakerInstances(), needs=ON_ENDPOINTS)]
    assert states == ["good", "good", "missing"]


@pytest.mark.parametrize(("concurrency", "state"), [(10, "missing"), (24, "missing"), (25, "good")])
def test_serverless_endpoints_share_a_concurrency_that_a_candidate_needs_too(concurrency: int, state: str) -> None:
    world = World()
    needs = replace(
        NEEDS, instances={}, endpoints=[EndpointNeeds(s, IMAGE, "", 0, n) for s, n in (("A", 5), ("B", 10))]
    )
    world.clients["service-quotas"] = Quotas({OF_ALL_SERVERLESS: concurrency}, {})
    (found,) = looked(world, SageMakerInstances(), needs=needs)
    assert found.state == state
    assert "of A, B: 15 at rest, 25 while a version is rolled out" in found.sentence


def test_a_quota_that_has_no_name_is_unknown_and_not_missing() -> None:
    world = World()
    world.clients["service-quotas"] = Quotas({}, {})
    assert [one.state for one in looked(world, SageMakerInstances())] == 4 * ["unknown"]


@pytest.mark.parametrize(("free", "state"), [(3, "missing"), (4, "good"), (10, "good")])
def test_predictions_need_concurrency_of_their_own(free: int, state: str) -> None:
    world = World()
    world.clients["lambda"] = Client(get_account_settings={"AccountLimit": {"UnreservedConcurrentExecutions": free}})
    (found,) = looked(world, LambdaConcurrency())
    assert found.state == state


@pytest.mark.parametrize(
    ("free", "reserved", "state"),
    [(10, None, "missing"), (149, None, "missing"), (150, None, "good"), (100, 50, "good"), (109, 40, "missing")],
)
def test_an_account_keeps_a_hundred_executions_unreserved(free: int, reserved: int | None, state: str) -> None:
    """GIVEN a function that is to have 50, and may have some already, WHEN so many are left."""
    unknown = refusal("ResourceNotFoundException", "GetFunctionConcurrency")
    world = World()
    world.clients["lambda"] = Client(
        get_account_settings={"AccountLimit": {"UnreservedConcurrentExecutions": free}},
        get_function_concurrency=unknown if reserved is None else {"ReservedConcurrentExecutions": reserved},
    )
    needs = replace(NEEDS, reserved={"everloop-late_train-predict": 50})
    _, found = looked(world, LambdaConcurrency(), needs=needs)
    assert found.state == state
    assert "50 executions for everloop-late_train-predict" in found.sentence
    assert (found.remedy is not None) is (state == "missing")


def test_memory_that_a_new_account_may_not_have() -> None:
    needs = replace(NEEDS, memory_mb={"small": 3008, "large": 3009})
    (found,) = looked(World(), LambdaMemory(), needs=needs)
    assert (found.state, found.sentence.split(":")[0]) == ("unknown", "large (3009 MB)")
    assert [one.state for one in looked(World(), LambdaMemory())] == ["good"]


@pytest.mark.parametrize("kind", ["Database", "Table"])
def test_lake_formation_in_the_way(kind: str) -> None:
    world = World()
    settings = {"CreateDatabaseDefaultPermissions": BY_IAM, "CreateTableDefaultPermissions": BY_IAM}
    settings[f"Create{kind}DefaultPermissions"] = []
    world.clients["lakeformation"] = Client(get_data_lake_settings={"DataLakeSettings": settings})
    (found,) = looked(world, LakeFormation())
    assert found.state == "missing"
    assert f"{kind.lower()}s" in found.sentence
