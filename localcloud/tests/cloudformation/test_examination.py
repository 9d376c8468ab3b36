"""What can't be deployed is told before anything exists: all of it, by name, with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.cloudformation.examination import MOST_PROBLEMS
from localcloud.cloudformation.exceptions import TemplateError, UnsupportedResourceError
from localcloud.deploy import deploy_assembly
from support.workbench import ClientFactory, Workbench

QUEUE = {"Type": "AWS::SQS::Queue"}


def of(resource_type: str, **properties: Any) -> dict[str, Any]:
    return {"Type": resource_type, "Properties": properties}


def attribute(logical_id: str, name: str = "Arn") -> dict[str, Any]:
    return {"Fn::GetAtt": [logical_id, name]}


def write_assembly(directory: Path, **stacks: dict[str, Any]) -> Path:
    """An assembly of stacks, each after those before it."""
    directory.mkdir()
    artifacts: dict[str, Any] = {}
    for name, template in stacks.items():
        (directory / f"{name}.json").write_text(json.dumps(template))
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": "aws://unknown-account/unknown-region",
            "properties": {"templateFile": f"{name}.json"},
            "dependencies": list(artifacts),
        }
    (directory / "manifest.json").write_text(json.dumps({"version": "48.0.0", "artifacts": artifacts}))
    return directory


def test_all_stacks_are_looked_through_before_the_first_is_touched(clients: ClientFactory, tmp_path: Path) -> None:
    good = {"Resources": {"Queue": QUEUE}}
    bad = {
        "Resources": {
            "Vpc": of("AWS::EC2::VPC"),
            "Function": of(
                "AWS::Lambda::Function",
                Role={"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/r"},
                Code={"ImageUri": "x"},
                VpcConfig={"SubnetIds": [attribute("Vpc", "CidrBlock")]},
                Runtime="nodejs24.x",
            ),
            "Table": of("AWS::DynamoDB::Table", KeySchema=[], StreamSpecification={"StreamViewType": "KEYS_ONLY"}),
        }
    }
    assembly = write_assembly(tmp_path / "cdk.out", Good=good, Bad=bad)
    with pytest.raises(UnsupportedResourceError) as refusal:
        deploy_assembly(assembly, clients, tmp_path / "stacks")

    told = str(refusal.value)
    assert sorted(line.strip().split(":")[0] for line in told.splitlines()) == [
        "4 things can't be deployed here",
        "stack Bad, resource Function (AWS",
        "stack Bad, resource Function (AWS",
        "stack Bad, resource Table (AWS",
        "stack Bad, resource Vpc (AWS",
    ]
    for sentence in (
        "Vpc (AWS::EC2::VPC): this resource type is not supported: functions and jobs run on this machine",
        "Code.ImageUri is not supported: container images are not run here: deliver the function as a zip",
        "Runtime is 'nodejs24.x': only python3.x is run here",
        "StreamSpecification is not supported: streams are not supported here: send an event to a queue",
    ):
        assert sentence in told
    assert "QueueUrls" not in clients("sqs").list_queues()
    assert clients("s3").list_buckets()["Buckets"] == []


def test_a_stack_may_use_what_one_before_it_makes(clients: ClientFactory, tmp_path: Path) -> None:
    first = {
        "Resources": {"Queue": QUEUE, "Name": of("AWS::SSM::Parameter", Type="String", Value="x", Name="/name")},
        "Outputs": {"Arn": {"Value": attribute("Queue"), "Export": {"Name": "First:Queue"}}},
    }
    parameters = {"Name": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/name"}}
    value = {"Fn::Join": ["-", [{"Fn::ImportValue": "First:Queue"}, {"Ref": "Name"}]]}
    second = {"Parameters": parameters, "Resources": {"P": of("AWS::SSM::Parameter", Type="String", Value=value)}}
    assembly = write_assembly(tmp_path / "cdk.out", First=first, Second=second)

    deployed = deploy_assembly(assembly, clients, tmp_path / "stacks")

    assert deployed.actions["Second"] == {"P": "create"}


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        (of("AWS::SSM::Parameter", Type="String", Value=attribute("Queue", "Color")), "Queue has no attribute 'Color'"),
        (of("AWS::SSM::Parameter", Type="String", Value={"Fn::Length": [1]}), "Fn::Length is not supported"),
        (of("AWS::Scheduler::Schedule", ScheduleExpression="rate(0 days)"), "ScheduleExpression is not supported"),
        (of("AWS::Events::Rule", ScheduleExpression="rate(5 minute)"), "ScheduleExpression is not supported"),
        (of("AWS::Events::Rule", EventPattern={"a": [{"sounds-like": "b"}]}), "not known: sounds-like"),
        (
            of("AWS::Events::Rule", Targets=[{"Id": "a", "Arn": "arn:aws:ecs:a:b:c/d"}]),
            r"Targets\[0\] is not supported",
        ),
        (of("AWS::SNS::Subscription", TopicArn="t", Protocol="https"), "Protocol is 'https'"),
        (of("AWS::ApiGatewayV2::Api", Name="a", ProtocolType="WEBSOCKET"), "ProtocolType must be HTTP"),
        (
            of("AWS::ApiGatewayV2::Route", ApiId="a", RouteKey="GET /", AuthorizationType="CUSTOM"),
            "AuthorizationType must be NONE, AWS_IAM or JWT",
        ),
        (
            of("AWS::ApiGatewayV2::Route", ApiId="a", RouteKey="GET /", AuthorizationType="JWT"),
            "AuthorizerId must name the authorizer",
        ),
        (
            of("AWS::ApiGatewayV2::Route", ApiId="a", RouteKey="GET /", AuthorizerId="b"),
            "AuthorizerId belongs to a route whose AuthorizationType is JWT",
        ),
        (
            of("AWS::ApiGatewayV2::Authorizer", ApiId="a", Name="n", AuthorizerType="REQUEST"),
            "AuthorizerType must be JWT",
        ),
        (
            of(
                "AWS::ApiGatewayV2::Authorizer",
                ApiId="a",
                Name="n",
                AuthorizerType="JWT",
                JwtConfiguration={"Issuer": "https://login.example.com", "Audience": []},
            ),
            "JwtConfiguration.Audience must be given",
        ),
        (
            of("AWS::ApiGatewayV2::Integration", ApiId="a", IntegrationType="HTTP_PROXY", PayloadFormatVersion="2.0"),
            "IntegrationType must be AWS_PROXY",
        ),
        (
            of(
                "AWS::StepFunctions::StateMachine",
                RoleArn="r",
                DefinitionString={
                    "Fn::Join": [
                        "",
                        [
                            '{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::ecs:runTask",'
                            '"Parameters":{"Q":"',
                            attribute("Queue"),
                            '"},"End":true}}}',
                        ],
                    ]
                },
            ),
            "state 'A': the integration ecs:runTask is not executed",
        ),
        (
            of(
                "AWS::KinesisFirehose::DeliveryStream",
                ExtendedS3DestinationConfiguration={
                    "RoleARN": "r",
                    "BucketARN": attribute("Queue"),
                    "CompressionFormat": "ZIP",
                },
            ),
            "CompressionFormat ZIP is not supported",
        ),
    ],
)
def test_values_are_looked_at_as_far_as_they_are_known(
    workbench: Workbench, resource: dict[str, Any], message: str
) -> None:
    with pytest.raises(TemplateError, match=message):
        workbench.deploy({"Queue": QUEUE, "X": resource})
    assert "QueueUrls" not in workbench.client("sqs").list_queues()


def test_what_is_not_known_yet_is_no_problem(workbench: Workbench) -> None:
    """Parts of an ARN that does not exist yet, as the CDK takes them apart."""
    part = {"Fn::Select": [5, {"Fn::Split": [":", attribute("Queue")]}]}
    workbench.deploy({"Queue": QUEUE, "P": of("AWS::SSM::Parameter", Type="String", Value=part, Name="/p")})

    assert workbench.client("ssm").get_parameter(Name="/p")["Parameter"]["Value"].startswith("Stack-Queue")


def test_very_many_problems_are_not_all_told(workbench: Workbench) -> None:
    resources = {f"R{number}": of("AWS::EC2::VPC") for number in range(MOST_PROBLEMS + 5)}
    with pytest.raises(UnsupportedResourceError, match="and 5 more"):
        workbench.deploy(resources)
