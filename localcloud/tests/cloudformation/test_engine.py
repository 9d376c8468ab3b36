"""Stacks: what is created, changed, replaced, left alone, undone and kept."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.cloudformation.exceptions import (
    DeletionFailedError,
    DeployError,
    StackRolledBackError,
    TemplateError,
    UnsupportedResourceError,
)
from support.workbench import Workbench

REF_QUEUE = {"Fn::GetAtt": ["Queue", "Arn"]}


def resource(resource_type: str, **properties: Any) -> dict[str, Any]:
    return {"Type": resource_type, "Properties": properties}


def parameter(value: Any, **more: Any) -> dict[str, Any]:
    return resource("AWS::SSM::Parameter", Type="String", Value=value, **more)


def function(workbench: Workbench, **properties: Any) -> dict[str, Any]:
    """A function with its role and an alias on $LATEST."""
    return {
        "Role": workbench.role("lambda.amazonaws.com"),
        "Function": resource(
            "AWS::Lambda::Function",
            Code=workbench.put_code(),
            Role={"Fn::GetAtt": ["Role", "Arn"]},
            Handler="handler.handle",
            Runtime="python3.13",
            **properties,
        ),
        "Alias": resource(
            "AWS::Lambda::Alias", FunctionName={"Ref": "Function"}, FunctionVersion="$LATEST", Name="live"
        ),
    }


def test_a_second_deployment_of_the_same_template_does_nothing(workbench: Workbench) -> None:
    resources = {"Queue": resource("AWS::SQS::Queue"), "Parameter": parameter(REF_QUEUE, Name="/queue")}
    first = workbench.deploy(resources)
    assert first.actions == {"Queue": "create", "Parameter": "create"}
    workbench.client("ssm").put_parameter(Name="/queue", Value="by hand", Overwrite=True)

    second = workbench.deploy(resources)

    assert second.actions == {}
    assert workbench.client("ssm").get_parameter(Name="/queue")["Parameter"]["Value"] == "by hand"


def test_an_update_leaves_resources_alone_whose_properties_did_not_change(workbench: Workbench) -> None:
    """GIVEN an alias that was moved by hand WHEN its function changes THEN the alias stays where it is."""
    workbench.deploy(function(workbench))
    name = workbench.physical_id("Function")
    client = workbench.client("lambda")
    version = client.publish_version(FunctionName=name)["Version"]
    client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)

    result = workbench.deploy(function(workbench, Timeout=30))

    assert result.actions == {"Function": "update"}
    assert client.get_function_configuration(FunctionName=name)["Timeout"] == 30
    assert client.get_alias(FunctionName=name, Name="live")["FunctionVersion"] == version


def test_new_code_leaves_the_environment_alone(workbench: Workbench) -> None:
    """A rollout sets variables of $LATEST by hand: only a changed configuration may write them again."""
    workbench.deploy(function(workbench, Environment={"Variables": {"A": "1"}}))
    name = workbench.physical_id("Function")
    client = workbench.client("lambda")
    client.update_function_configuration(FunctionName=name, Environment={"Variables": {"A": "1", "B": "2"}})
    changed = function(workbench, Environment={"Variables": {"A": "1"}})
    changed["Function"]["Properties"]["Code"] = workbench.put_code("def handle(event, context): return 2\n")

    workbench.deploy(changed)

    environment = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    assert environment == {"A": "1", "B": "2"}


def test_a_replaced_resource_comes_first_and_the_old_one_goes_last(workbench: Workbench) -> None:
    table = resource(
        "AWS::DynamoDB::Table",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    workbench.deploy({"Table": table, "Parameter": parameter({"Ref": "Table"}, Name="/table")})
    old = workbench.physical_id("Table")
    table["Properties"] |= {
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    }
    workbench.events.clear()

    result = workbench.deploy({"Table": table, "Parameter": parameter({"Ref": "Table"}, Name="/table")})

    new = workbench.physical_id("Table")
    assert result.actions == {"Table": "replace", "Parameter": "update"}
    assert [event.action for event in workbench.events] == ["replace", "update", "delete", "done"]
    assert workbench.client("dynamodb").list_tables()["TableNames"] == [new]
    assert new != old
    assert workbench.client("ssm").get_parameter(Name="/table")["Parameter"]["Value"] == new


def test_a_named_resource_can_not_be_replaced_under_its_name(workbench: Workbench) -> None:
    queue = resource("AWS::SQS::Queue", QueueName="q.fifo", FifoQueue=True)
    workbench.deploy({"Queue": queue})
    with pytest.raises(StackRolledBackError, match=r"its name 'q\.fifo' is taken by the old one"):
        workbench.deploy({"Queue": resource("AWS::SQS::Queue", QueueName="q.fifo")})


def test_what_the_template_no_longer_has_is_deleted_unless_it_is_retained(workbench: Workbench) -> None:
    keep = {**resource("AWS::SQS::Queue", QueueName="keep"), "DeletionPolicy": "Retain"}
    anchor = parameter("x", Name="/anchor")
    workbench.deploy({"Keep": keep, "Drop": resource("AWS::SQS::Queue", QueueName="drop"), "Anchor": anchor})

    result = workbench.deploy({"Anchor": anchor})

    assert result.actions == {"Keep": "delete", "Drop": "delete"}
    urls = workbench.client("sqs").list_queues()["QueueUrls"]
    assert [url.rsplit("/", 1)[-1] for url in urls] == ["keep"]


def test_a_failed_creation_takes_everything_back(workbench: Workbench) -> None:
    bad = resource("AWS::IAM::Policy", PolicyName="p", PolicyDocument={"Statement": []}, Roles=["nobody"])
    with pytest.raises(StackRolledBackError, match=r"resource Bad \(AWS::IAM::Policy\).*nobody.*rolled back"):
        workbench.deploy({"Queue": resource("AWS::SQS::Queue"), "Bad": {**bad, "DependsOn": "Queue"}})
    assert (workbench.deployed().status, workbench.deployed().resources) == ("ROLLBACK_COMPLETE", {})
    assert "QueueUrls" not in workbench.client("sqs").list_queues()


def test_a_creation_that_fails_half_way_leaves_nothing(workbench: Workbench) -> None:
    wrong = resource(
        "AWS::S3::Bucket", BucketName="half", LoggingConfiguration={"DestinationBucketName": "nobodys-bucket"}
    )
    with pytest.raises(StackRolledBackError):
        workbench.deploy({"Bucket": wrong})
    assert "half" not in [bucket["Name"] for bucket in workbench.client("s3").list_buckets()["Buckets"]]


def test_a_failed_update_puts_everything_back(workbench: Workbench) -> None:
    def policy(action: str, *roles: Any) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        return resource("AWS::IAM::Policy", PolicyName="p", PolicyDocument=document, Roles=list(roles))

    role = {"Role": workbench.role("lambda.amazonaws.com")}
    before = {**role, "A": parameter("1", Name="/a"), "B": policy("s3:GetObject", {"Ref": "Role"})}
    workbench.deploy(before)
    after = {
        **role,
        "A": parameter("2", Name="/a"),
        "B": {**policy("s3:*", {"Ref": "Role"}, "zz-nobody"), "DependsOn": ["A", "C"]},
        "C": parameter("3", Name="/c"),
    }
    with pytest.raises(StackRolledBackError, match=r"resource B \(AWS::IAM::Policy\)"):
        workbench.deploy(after)

    ssm = workbench.client("ssm")
    assert ssm.get_parameter(Name="/a")["Parameter"]["Value"] == "1"
    with pytest.raises(ClientError, match="ParameterNotFound"):
        ssm.get_parameter(Name="/c")
    found = workbench.client("iam").get_role_policy(RoleName=workbench.physical_id("Role"), PolicyName="p")
    assert found["PolicyDocument"]["Statement"][0]["Action"] == "s3:GetObject"
    assert workbench.deploy(before).actions == {}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (resource("AWS::EC2::Instance"), r"stack Stack, resource X \(AWS::EC2::Instance\): this resource type"),
        (resource("AWS::SQS::Queue", Color="red"), r"resource X \(AWS::SQS::Queue\): property Color is not supported"),
        (resource("Custom::S3AutoDeleteObjects"), "custom resources are not run here"),
        (
            resource(
                "AWS::Events::Rule",
                EventPattern={"source": ["x"]},
                Targets=[{"Id": "a", "Arn": {"Ref": "Queue"}, "Magic": 1}],
            ),
            r"property Targets\[0\]\.Magic is not supported",
        ),
        (
            resource("AWS::S3::Bucket", ReplicationConfiguration={"Role": "r", "Rules": []}),
            "property ReplicationConfiguration is not supported: there is only one region here",
        ),
        (resource("AWS::SNS::Subscription", TopicArn="x"), "property Protocol is missing"),
    ],
)
def test_what_is_not_understood_is_refused(workbench: Workbench, bad: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedResourceError, match=message):
        workbench.deploy({"Queue": resource("AWS::SQS::Queue"), "X": bad})
    assert "QueueUrls" not in workbench.client("sqs").list_queues()


def test_a_name_that_is_taken_outside_the_stack_is_an_error(workbench: Workbench) -> None:
    workbench.client("sns").create_topic(Name="taken")
    with pytest.raises(StackRolledBackError, match="topic taken already exists"):
        workbench.deploy({"Topic": resource("AWS::SNS::Topic", TopicName="taken")})
    assert len(workbench.client("sns").list_topics()["Topics"]) == 1


def test_what_is_taken_is_named_where_its_service_does_not(workbench: Workbench) -> None:
    workbench.deploy({"Queue": resource("AWS::SQS::Queue")})
    workbench.client("logs").create_log_group(logGroupName="/left/over")
    group = resource("AWS::Logs::LogGroup", LogGroupName="/left/over")
    with pytest.raises(StackRolledBackError, match="/left/over already exists; delete it or give"):
        workbench.deploy({"Queue": resource("AWS::SQS::Queue"), "Logs": group})
    assert len(workbench.client("logs").describe_log_groups()["logGroups"]) == 1
    reasons = [event.reason for event in workbench.states.events.of(workbench.deployed().stack_id)]
    assert any("The following resource(s) failed to create: [Logs]" in reason for reason in reasons)


def test_exports_can_be_imported_and_not_taken_away_while_they_are(workbench: Workbench) -> None:
    export = {"Name": {"Value": {"Ref": "Queue"}, "Export": {"Name": "Queue:Url"}}}
    workbench.deploy({"Queue": resource("AWS::SQS::Queue")}, "Producer", Outputs=export)
    consumer = {"Parameter": parameter({"Fn::ImportValue": "Queue:Url"}, Name="/url")}
    workbench.deploy(consumer, "Consumer")
    url = workbench.physical_id("Queue", "Producer")
    assert workbench.client("ssm").get_parameter(Name="/url")["Parameter"]["Value"] == url

    with pytest.raises(DeployError, match="cannot be deleted as it is in use by Consumer"):
        workbench.destroy("Producer")
    with pytest.raises(StackRolledBackError, match="cannot be deleted as it is in use by Consumer"):
        workbench.deploy({"Queue": resource("AWS::SQS::Queue")}, "Producer")
    workbench.destroy("Consumer")
    workbench.destroy("Producer")
    assert workbench.states.load_all() == []


def test_an_unknown_import_is_refused(workbench: Workbench) -> None:
    with pytest.raises(TemplateError, match="no deployed stack exports 'nothing'"):
        workbench.deploy({"Parameter": parameter({"Fn::ImportValue": "nothing"})})


def test_a_deletion_that_fails_can_be_repeated(workbench: Workbench) -> None:
    workbench.deploy({"Bucket": resource("AWS::S3::Bucket", BucketName="full"), "Queue": resource("AWS::SQS::Queue")})
    s3 = workbench.client("s3")
    s3.put_object(Bucket="full", Key="x", Body=b"x")
    with pytest.raises(DeletionFailedError, match="bucket full is not empty"):
        workbench.destroy()
    assert list(workbench.deployed().resources) == ["Bucket"]
    s3.delete_object(Bucket="full", Key="x")
    workbench.destroy()
    assert workbench.state() is None
