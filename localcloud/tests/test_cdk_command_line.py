"""The CDK's command line, unmodified, against a local cloud: what is typed here is what is typed for AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.deploy import deploy_assembly
from support.cdk import Cdk, install_cdk, shell_of
from support.running_cloud import RunningCloud, running_cloud

pytestmark = pytest.mark.xdist_group("cdk")  # one cloud for all of them

ACCOUNT, REGION = "111122223333", "eu-west-1"
BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
ROLE = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/cdk-hnb659fds-%s-role-${AWS::AccountId}-${AWS::Region}"
BUCKET = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
CODE = "def handle(event, context):\n    return {'said': event}\n"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    folder = tmp_path_factory.mktemp("cloud")
    with running_cloud(folder / "state", folder / "cache", account_id=ACCOUNT, region=REGION) as running:
        yield running


@pytest.fixture(scope="module")
def cdk(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> Cdk:
    """``cdk bootstrap`` was typed."""
    program = install_cdk(tmp_path_factory.mktemp("cdk"))
    home = tmp_path_factory.mktemp("home")
    command = Cdk(program, home, shell_of(home, cloud.daemon.environment()))
    told = command("bootstrap", f"aws://{ACCOUNT}/{REGION}")
    assert "bootstrapped" in told
    return command


def producer(**queue: Any) -> dict[str, Any]:
    return {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": queue}},
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}, "Export": {"Name": "Producer:Arn"}}},
    }


def consumer(timeout: int) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    return {
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}},
            },
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "FunctionName": "speaker",
                    "Code": {"S3Bucket": {"Fn::Sub": BUCKET}, "S3Key": "code.zip"},
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Handler": "handler.handle",
                    "Runtime": "python3.13",
                    "Timeout": timeout,
                    "Environment": {"Variables": {"QUEUE": {"Fn::ImportValue": "Producer:Arn"}}},
                },
            },
        }
    }


@pytest.fixture
def app(cdk: Cdk, tmp_path: Path) -> Callable[..., Cdk]:
    """Write an assembly as the CDK's library does; the command in its folder."""

    def write(**stacks: dict[str, Any]) -> Cdk:
        folder = tmp_path / "cdk.out"
        (folder / "asset.code").mkdir(parents=True, exist_ok=True)
        (folder / "asset.code" / "handler.py").write_text(CODE)
        artifacts: dict[str, Any] = {}
        before: list[str] = []
        for name, template in stacks.items():
            artifacts |= _artifacts(folder, name, template, before)
            before.append(name)
        (folder / "manifest.json").write_text(json.dumps({"version": "48.0.0", "artifacts": artifacts}))
        (tmp_path / "cdk.json").write_text(json.dumps({"app": "cdk.out"}))
        return Cdk(cdk.program, tmp_path, cdk.environment)

    return write


def _artifacts(folder: Path, name: str, template: dict[str, Any], before: list[str]) -> dict[str, Any]:
    parameters = {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": BOOTSTRAP}}
    text = json.dumps({**template, "Parameters": parameters})
    (folder / f"{name}.template.json").write_text(text)
    publishing = {"bucketName": BUCKET, "assumeRoleArn": ROLE % "file-publishing"}
    key = f"{abs(hash(text))}.json"
    files = {
        "template": {
            "source": {"path": f"{name}.template.json", "packaging": "file"},
            "destinations": {"here": {**publishing, "objectKey": key}},
        },
        "code": {
            "source": {"path": "asset.code", "packaging": "zip"},
            "destinations": {"here": {**publishing, "objectKey": "code.zip"}},
        },
    }
    (folder / f"{name}.assets.json").write_text(json.dumps({"version": "48.0.0", "files": files, "dockerImages": {}}))
    return {
        f"{name}.assets": {
            "type": "cdk:asset-manifest",
            "properties": {"file": f"{name}.assets.json", "requiresBootstrapStackVersion": 6,
                           "bootstrapStackVersionSsmParameter": BOOTSTRAP},
        },
        name: {
            "type": "aws:cloudformation:stack",
            "environment": "aws://unknown-account/unknown-region",
            "displayName": name,
            "dependencies": [*before, f"{name}.assets"],
            "properties": {
                "templateFile": f"{name}.template.json",
                "stackTemplateAssetObjectUrl": f"s3://{BUCKET}/{key}",
                "assumeRoleArn": ROLE % "deploy",
                "cloudFormationExecutionRoleArn": ROLE % "cfn-exec",
                "requiresBootstrapStackVersion": 6,
                "bootstrapStackVersionSsmParameter": BOOTSTRAP,
            },
        },
    }  # fmt: skip


def test_what_fails_leaves_nothing_and_the_next_is_deployed_looked_at_changed_and_taken_down(
    app: Callable[..., Cdk], cloud: RunningCloud
) -> None:
    # WHEN a template asks for what can't be had THEN that is told, and nothing exists
    template = producer(QueueName="never")
    template["Resources"]["Vpc"] = {"Type": "AWS::EC2::VPC"}
    told = " ".join(app(Producer=template)("deploy", "--all", "--require-approval", "never", status=1).split())
    assert "resource Vpc (AWS::EC2::VPC): this resource type is not supported" in told
    assert "QueueUrls" not in cloud.client("sqs").list_queues()

    # WHEN a resource can't be made THEN those before it are taken back
    template = producer(QueueName="old")
    policy = {"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": []}, "Roles": ["nobody"]}
    template["Resources"]["Bad"] = {"Type": "AWS::IAM::Policy", "DependsOn": "Queue", "Properties": policy}
    told = app(Producer=template)("deploy", "--all", "--require-approval", "never", status=1)
    assert "ROLLBACK_COMPLETE" in told
    assert "nobody" in told
    assert "QueueUrls" not in cloud.client("sqs").list_queues()

    # AND the next deployment works, which finds what localcloud has deployed as it is
    found = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "found"}}}}
    deploy_assembly(app(Found=found).folder / "cdk.out", cloud.client, cloud.daemon.state_directory / "stacks")
    cdk = app(Producer=producer(QueueName="old"), Consumer=consumer(5), Found=found)
    told = cdk("deploy", "--all", "--require-approval", "never")
    assert f"Producer.Arn = arn:aws:sqs:{REGION}:{ACCOUNT}:old" in told
    assert "Found (no changes)" in told
    assert len(cloud.client("sqs").list_queues()["QueueUrls"]) == 2
    answer = cloud.client("lambda").invoke(FunctionName="speaker", Payload=b'"hello"')
    assert json.loads(answer["Payload"].read()) == {"said": "hello"}
    # The roles of the bootstrap were taken, none of them with the operator's rights.
    assert "Proceeding anyway" not in told
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName="Consumer")["Stacks"]
    assert stack["RoleARN"].endswith(f"cfn-exec-role-{ACCOUNT}-{REGION}")

    # WHEN something would change THEN that is told, and of a queue that it would be replaced; its status says so too
    told = app(Producer=producer(QueueName="new"), Consumer=consumer(6), Found=found)("diff", "--fail", status=1)
    assert "[~] AWS::Lambda::Function Function" in told
    assert "requires replacement" in told or "replace" in told
    # AND of what would not, that there is nothing to deploy
    assert "There were no differences" in told.partition("Stack Found")[2]
    assert "Number of stacks with differences: 2" in told

    # WHEN something changes THEN it is changed
    cdk = app(Producer=producer(QueueName="old", VisibilityTimeout=45), Consumer=consumer(6), Found=found)
    told = cdk("deploy", "--all", "--require-approval", "never")
    assert told.count("(no changes)") == 1
    assert cloud.client("lambda").get_function_configuration(FunctionName="speaker")["Timeout"] == 6

    # WHEN all is taken down THEN nothing is left
    assert "destroyed" in cdk("destroy", "--all", "--force")
    left = [stack["StackName"] for stack in cloud.client("cloudformation").describe_stacks()["Stacks"]]
    assert left == ["CDKToolkit"]
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert "QueueUrls" not in cloud.client("sqs").list_queues()
