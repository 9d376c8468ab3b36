"""The API, as clients see it: change sets, deployments, how they fail, and what is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.cloudformation.engine import StackEngine
from localcloud.cloudformation.exceptions import StackBusyError
from localcloud.cloudformation.state import StateDirectory
from localcloud.services.cloudformation import beside
from support.in_process import Cloud, allow

ASSETS = "https://s3.us-east-1.amazonaws.com"


def of(resource_type: str, **properties: Any) -> dict[str, Any]:
    return {"Type": resource_type, "Properties": properties}


def parameter(value: Any, **more: Any) -> dict[str, Any]:
    return of("AWS::SSM::Parameter", Type="String", Value=value, **more)


QUEUE = of("AWS::SQS::Queue")
NOBODYS_POLICY = of(
    "AWS::IAM::Policy", PolicyName="p", PolicyDocument={"Version": "2012-10-17", "Statement": []}, Roles=["nobody"]
)


@dataclass
class Api:
    """A client, and what tests do with it again and again."""

    cloud: Cloud
    client: Any

    def foresee(self, resources: dict[str, Any], stack: str = "S", kind: str = "CREATE", **more: Any) -> Any:
        """Make a change set and describe it, values included."""
        sections = {name: more.pop(name) for name in ("Outputs", "Parameters") if isinstance(more.get(name), dict)}
        self.client.create_change_set(
            StackName=stack,
            ChangeSetName="c",
            ChangeSetType=kind,
            TemplateBody=json.dumps({"Resources": resources, **sections}),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            **more,
        )
        return self.client.describe_change_set(StackName=stack, ChangeSetName="c", IncludePropertyValues=True)

    def deploy(self, resources: dict[str, Any], stack: str = "S", kind: str = "CREATE", **more: Any) -> str:
        """Carry a change set out; the stack's status then."""
        foreseen = self.foresee(resources, stack, kind, **more)
        assert foreseen["Status"] == "CREATE_COMPLETE", foreseen["StatusReason"]
        self.client.execute_change_set(StackName=stack, ChangeSetName="c")
        status = self.status(stack)
        self.client.delete_change_set(StackName=stack, ChangeSetName=foreseen["ChangeSetId"])
        return status

    def status(self, stack: str = "S") -> str:
        """The status of a stack once nothing goes on."""
        self.cloud.wait_until_quiet()
        return str(self.stack(stack)["StackStatus"])

    def stack(self, name: str = "S") -> Any:
        """A stack as it is described."""
        (found,) = self.client.describe_stacks(StackName=name)["Stacks"]
        return found

    def events(self, stack: str = "S") -> list[tuple[str, str]]:
        """What happened, oldest first: logical id and status."""
        events = self.client.describe_stack_events(StackName=stack)["StackEvents"]
        return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in reversed(events)]

    def delete(self, stack: str = "S") -> None:
        """Delete a stack and wait until that is done."""
        self.client.delete_stack(StackName=stack)
        self.cloud.wait_until_quiet()


@pytest.fixture
def api(cloud: Cloud) -> Api:
    return Api(cloud, cloud.client("cloudformation"))


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    """Code and message of the error that a call must end with."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    error = refused.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_a_new_stack_is_looked_at_made_described_and_deleted(api: Api) -> None:
    outputs = {"Url": {"Value": {"Ref": "Q"}, "Description": "where", "Export": {"Name": "S:Url"}}}
    resources = {"Q": QUEUE, "P": parameter({"Ref": "Q"}, Name="/url")}

    foreseen = api.foresee(resources, Outputs=outputs, Tags=[{"Key": "a", "Value": "b"}])
    assert [(change["ResourceChange"]["Action"], change["ResourceChange"]["LogicalResourceId"])
            for change in foreseen["Changes"]] == [("Add", "Q"), ("Add", "P")]  # fmt: skip
    assert api.stack()["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert "QueueUrls" not in api.cloud.client("sqs").list_queues()

    api.client.execute_change_set(StackName="S", ChangeSetName="c")
    assert api.status() == "CREATE_COMPLETE"
    (url,) = api.cloud.client("sqs").list_queues()["QueueUrls"]
    stack = api.stack()
    told = {"OutputKey": "Url", "OutputValue": url, "Description": "where", "ExportName": "S:Url"}
    assert (stack["Outputs"], stack["Tags"]) == ([told], [{"Key": "a", "Value": "b"}])
    assert api.client.list_exports()["Exports"][0]["Value"] == url
    assert api.events() == [
        ("S", "REVIEW_IN_PROGRESS"),
        ("S", "CREATE_IN_PROGRESS"),
        ("Q", "CREATE_IN_PROGRESS"),
        ("Q", "CREATE_COMPLETE"),
        ("P", "CREATE_IN_PROGRESS"),
        ("P", "CREATE_COMPLETE"),
        ("S", "CREATE_COMPLETE"),
    ]
    found = api.client.describe_stack_resources(StackName="S")["StackResources"]
    assert [(each["LogicalResourceId"], each["PhysicalResourceId"], each["ResourceStatus"]) for each in found] == [
        ("Q", url, "CREATE_COMPLETE"),
        ("P", "/url", "CREATE_COMPLETE"),
    ]
    (first, _) = api.client.list_stack_resources(StackName="S")["StackResourceSummaries"]
    assert first["PhysicalResourceId"] == url
    assert api.client.get_template(StackName="S")["TemplateBody"]["Resources"] == resources

    api.delete()
    assert "Stack with id S does not exist" in code_of(api.client.describe_stacks, StackName="S")
    assert api.stack(stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert api.events(stack["StackId"])[-1] == ("S", "DELETE_COMPLETE")
    assert "QueueUrls" not in api.cloud.client("sqs").list_queues()


def test_a_change_set_says_what_a_change_replaces(api: Api) -> None:
    """The types' own rules decide; what depends on a resource that is replaced is known only afterwards."""
    queue = of("AWS::SQS::Queue", QueueName="old")
    named = parameter("x", Name={"Fn::Join": ["/", ["", {"Fn::GetAtt": ["Q", "QueueName"]}]]})
    kept = {**parameter("z", Name="/gone"), "DeletionPolicy": "Retain"}
    api.deploy({"Q": queue, "N": named, "V": parameter("1", Name="/v"), "Same": parameter("s"), "Gone": kept})

    foreseen = api.foresee(
        {
            "Q": of("AWS::SQS::Queue", QueueName="new"),
            "N": named,
            "V": parameter("2", Name="/v"),
            "Same": parameter("s"),
            "More": QUEUE,
        },
        kind="UPDATE",
    )
    told = {change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"] for change in foreseen["Changes"]}

    assert {name: (each["Action"], each.get("Replacement")) for name, each in told.items()} == {
        "Q": ("Modify", "True"),
        "N": ("Modify", "Conditional"),
        "V": ("Modify", "False"),
        "More": ("Add", None),
        "Gone": ("Remove", None),
    }
    policies = {name: each.get("PolicyAction") for name, each in told.items()}
    assert policies == {"Q": "ReplaceAndDelete", "N": "ReplaceAndDelete", "V": None, "More": None, "Gone": "Retain"}
    (detail,) = told["Q"]["Details"]
    assert detail["Target"] == {
        "Attribute": "Properties",
        "Name": "QueueName",
        "Path": "/Properties/QueueName",
        "RequiresRecreation": "Always",
        "BeforeValue": "old",
        "AfterValue": "new",
        "AttributeChangeType": "Modify",
    }
    assert told["N"]["Details"][0]["Target"]["RequiresRecreation"] == "Conditionally"
    # What was foreseen is what happens.
    api.client.execute_change_set(StackName="S", ChangeSetName="c")
    assert api.status() == "UPDATE_COMPLETE"
    urls = [url.rsplit("/", 1)[-1] for url in api.cloud.client("sqs").list_queues()["QueueUrls"]]
    assert sorted(url.split("-")[0] for url in urls) == ["S", "new"]
    assert api.cloud.client("ssm").get_parameter(Name="/gone")["Parameter"]["Value"] == "z"


def test_what_can_not_be_had_fails_the_change_set_and_nothing_exists(api: Api) -> None:
    foreseen = api.foresee({"Q": QUEUE, "Vpc": of("AWS::EC2::VPC"), "I": of("AWS::EC2::Instance")})

    assert (foreseen["Status"], foreseen["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "resource Vpc (AWS::EC2::VPC): this resource type is not supported" in foreseen["StatusReason"]
    problems = api.client.describe_events(ChangeSetName="c", StackName="S")["OperationEvents"]
    assert [problem["LogicalResourceId"] for problem in problems] == ["Vpc", "I"]
    assert problems[0]["ValidationPath"] == "/Resources/Vpc"
    refused = code_of(api.client.execute_change_set, StackName="S", ChangeSetName="c")
    assert refused.startswith("InvalidChangeSetStatus: ")
    assert "QueueUrls" not in api.cloud.client("sqs").list_queues()


def test_nothing_to_change_is_said_in_aws_words(api: Api) -> None:
    api.deploy({"Q": QUEUE})
    foreseen = api.foresee({"Q": QUEUE}, kind="UPDATE")

    assert foreseen["Status"] == "FAILED"
    assert foreseen["StatusReason"].startswith("The submitted information didn't contain changes.")
    body = json.dumps({"Resources": {"Q": QUEUE}})
    assert "No updates are to be performed." in code_of(api.client.update_stack, StackName="S", TemplateBody=body)


def test_outputs_alone_are_a_change(api: Api) -> None:
    api.deploy({"Q": QUEUE})

    assert api.deploy({"Q": QUEUE}, kind="UPDATE", Outputs={"A": {"Value": {"Ref": "Q"}}}) == "UPDATE_COMPLETE"
    assert [output["OutputKey"] for output in api.stack()["Outputs"]] == ["A"]


def test_a_stack_that_does_not_come_up_is_rolled_back_and_can_only_be_deleted(api: Api) -> None:
    status = api.deploy({"Q": QUEUE, "Bad": {**NOBODYS_POLICY, "DependsOn": "Q"}})

    assert status == "ROLLBACK_COMPLETE"
    assert "QueueUrls" not in api.cloud.client("sqs").list_queues()
    happened = api.events()
    assert happened[-5:] == [
        ("Bad", "CREATE_FAILED"),
        ("S", "ROLLBACK_IN_PROGRESS"),
        ("Q", "DELETE_IN_PROGRESS"),
        ("Q", "DELETE_COMPLETE"),
        ("S", "ROLLBACK_COMPLETE"),
    ]
    events = api.client.describe_stack_events(StackName="S")["StackEvents"]
    (why,) = (event["ResourceStatusReason"] for event in events if event["ResourceStatus"] == "CREATE_FAILED")
    assert "nobody" in why
    body = json.dumps({"Resources": {"Q": QUEUE}})
    asked = {"StackName": "S", "ChangeSetName": "d", "TemplateBody": body}
    assert "is in ROLLBACK_COMPLETE state and can not be updated" in code_of(
        api.client.create_change_set, **asked, ChangeSetType="UPDATE"
    )
    assert "already exists" in code_of(api.client.create_change_set, **asked, ChangeSetType="CREATE")
    api.delete()
    assert api.deploy({"Q": QUEUE}) == "CREATE_COMPLETE"


def test_a_failed_update_leaves_the_stack_as_it_was(api: Api) -> None:
    before = {"V": parameter("1", Name="/v")}
    api.deploy(before)

    status = api.deploy({"V": parameter("2", Name="/v"), "Bad": {**NOBODYS_POLICY, "DependsOn": "V"}}, kind="UPDATE")

    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert api.cloud.client("ssm").get_parameter(Name="/v")["Parameter"]["Value"] == "1"
    assert api.client.get_template(StackName="S")["TemplateBody"]["Resources"] == before
    assert [status for name, status in api.events() if name == "S"][-4:] == [
        "UPDATE_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
    ]
    assert api.deploy({"V": parameter("3", Name="/v")}, kind="UPDATE") == "UPDATE_COMPLETE"


def test_what_a_template_keeps_stays(api: Api) -> None:
    resources = {
        "Kept": {**of("AWS::SQS::Queue", QueueName="kept"), "DeletionPolicy": "Retain"},
        "Except": {**of("AWS::SQS::Queue", QueueName="except"), "DeletionPolicy": "RetainExceptOnCreate"},
        "Bad": {**NOBODYS_POLICY, "DependsOn": ["Kept", "Except"]},
    }
    assert api.deploy(resources) == "ROLLBACK_COMPLETE"
    assert [url.rsplit("/", 1)[-1] for url in api.cloud.client("sqs").list_queues()["QueueUrls"]] == ["kept"]
    assert ("Kept", "DELETE_SKIPPED") in api.events()


def test_exports_hold_the_stack_that_makes_them(api: Api) -> None:
    export = {"Url": {"Value": {"Ref": "Q"}, "Export": {"Name": "Producer:Url"}}}
    api.deploy({"Q": QUEUE}, "Producer", Outputs=export)
    api.deploy({"P": parameter({"Fn::ImportValue": "Producer:Url"})}, "Consumer")
    assert api.client.list_imports(ExportName="Producer:Url")["Imports"] == ["Consumer"]

    api.delete("Producer")
    # As on AWS it stays what it was, and its reason says who holds it.
    assert api.status("Producer") == "CREATE_COMPLETE"
    why = "Export Producer:Url cannot be deleted as it is in use by Consumer"
    assert why in api.stack("Producer")["StackStatusReason"]
    api.delete("Consumer")
    api.delete("Producer")
    assert api.client.describe_stacks()["Stacks"] == []


def test_a_protected_stack_is_not_deleted(api: Api) -> None:
    api.deploy({"Q": QUEUE})
    api.client.update_termination_protection(StackName="S", EnableTerminationProtection=True)

    assert "cannot be deleted while TerminationProtection is enabled" in code_of(api.client.delete_stack, StackName="S")
    assert api.stack()["EnableTerminationProtection"]
    api.client.update_termination_protection(StackName="S", EnableTerminationProtection=False)
    api.delete()
    assert api.client.describe_stacks()["Stacks"] == []


def test_a_stack_without_a_change_set(api: Api) -> None:
    body = json.dumps({"Resources": {"V": parameter("1", Name="/v")}})
    api.client.create_stack(StackName="S", TemplateBody=body, EnableTerminationProtection=True)
    assert api.status() == "CREATE_COMPLETE"
    assert api.stack()["EnableTerminationProtection"]
    assert code_of(api.client.create_stack, StackName="S", TemplateBody=body).startswith("AlreadyExistsException")

    api.client.update_stack(StackName="S", TemplateBody=body.replace('"1"', '"2"'))
    assert api.status() == "UPDATE_COMPLETE"
    assert api.cloud.client("ssm").get_parameter(Name="/v")["Parameter"]["Value"] == "2"


def test_a_new_stack_may_go_when_it_does_not_come_up(api: Api) -> None:
    body = json.dumps({"Resources": {"Bad": NOBODYS_POLICY}})
    made = api.client.create_stack(
        StackName="S", TemplateBody=body, OnFailure="DELETE", Capabilities=["CAPABILITY_IAM"]
    )
    assert api.status(made["StackId"]) == "DELETE_COMPLETE"


def test_yaml_and_short_forms_are_read(api: Api) -> None:
    body = """
        Parameters: {Name: {Type: String, Default: q}}
        Resources:
          Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "${Name}-1"}}
          R:
            Type: AWS::IAM::Role
            Properties:
              AssumeRolePolicyDocument:
                Version: 2012-10-17
                Statement: [{Effect: Allow, Action: sts:AssumeRole, Principal: {Service: !Join ["", [lambda, .amazonaws.com]]}}]
          P: {Type: AWS::SSM::Parameter, Properties: {Type: String, Name: /p, Value: !GetAtt Q.Arn}}
    """  # noqa: E501
    summary = api.client.get_template_summary(TemplateBody=body)
    assert summary["Parameters"][0]["DefaultValue"] == "q"
    assert summary["Capabilities"] == ["CAPABILITY_IAM"]
    asked = {"StackName": "S", "TemplateBody": body}
    assert code_of(api.client.create_stack, **asked).startswith("InsufficientCapabilities")
    api.client.create_stack(**asked, Capabilities=["CAPABILITY_IAM"])
    assert api.status() == "CREATE_COMPLETE"
    assert api.cloud.client("ssm").get_parameter(Name="/p")["Parameter"]["Value"].endswith(":q-1")
    assert api.stack()["Parameters"] == [{"ParameterKey": "Name", "ParameterValue": "q"}]


def test_a_template_comes_from_a_bucket_with_the_rights_of_who_asks(api: Api) -> None:
    s3 = api.cloud.client("s3")
    s3.create_bucket(Bucket="templates")
    s3.put_object(Bucket="templates", Key="a/t.json", Body=json.dumps({"Resources": {"Q": QUEUE}}))
    url = f"{ASSETS}/templates/a/t.json"
    role = api.cloud.role("deployer", "codebuild.amazonaws.com", allow(["cloudformation:*", "sqs:*"]))
    theirs = api.cloud.role_client("cloudformation", role, "codebuild.amazonaws.com")

    assert "Access Denied" in code_of(theirs.validate_template, TemplateURL=url)
    api.client.create_stack(StackName="S", TemplateURL=url)
    assert api.status() == "CREATE_COMPLETE"


def test_resources_are_made_under_the_role_of_the_stack(api: Api) -> None:
    principal = "cloudformation.amazonaws.com"
    role = api.cloud.role("maker", principal, allow("sqs:*"))
    resources = {"Q": QUEUE, "P": {**parameter("x", Name="/x"), "DependsOn": "Q"}}

    assert api.deploy(resources, RoleARN=role) == "ROLLBACK_COMPLETE"
    (why,) = (
        event["ResourceStatusReason"]
        for event in api.client.describe_stack_events(StackName="S")["StackEvents"]
        if event["ResourceStatus"] == "CREATE_FAILED"
    )
    assert "maker/AWSCloudFormation is not authorized to perform: ssm:PutParameter" in why
    other = api.cloud.role("other", "lambda.amazonaws.com", allow("sqs:*"))
    body = json.dumps({"Resources": {"Q": QUEUE}})
    assert "is invalid or cannot be assumed" in code_of(
        api.client.create_stack, StackName="T", TemplateBody=body, RoleARN=other
    )


def test_who_asks_needs_the_right_and_to_pass_the_role(api: Api) -> None:
    maker = api.cloud.role("maker", "cloudformation.amazonaws.com", allow("sqs:*"))
    asker = api.cloud.role("asker", "codebuild.amazonaws.com", allow("cloudformation:CreateStack"))
    theirs = api.cloud.role_client("cloudformation", asker, "codebuild.amazonaws.com")
    body = json.dumps({"Resources": {"Q": QUEUE}})
    with pytest.raises(ClientError, match="not authorized to perform: cloudformation:DescribeStacks"):
        theirs.describe_stacks(StackName="S")
    with pytest.raises(ClientError, match="not authorized to perform: iam:PassRole"):
        theirs.create_stack(StackName="S", TemplateBody=body, RoleARN=maker)


@pytest.mark.parametrize(
    ("action", "arguments", "message"),
    [
        ("create_stack_set", {"StackSetName": "s"}, "does not execute CreateStackSet"),
        ("detect_stack_drift", {"StackName": "S"}, "does not execute DetectStackDrift"),
        ("rollback_stack", {"StackName": "S"}, "does not execute RollbackStack"),
        ("continue_update_rollback", {"StackName": "S"}, "does not execute ContinueUpdateRollback"),
        ("create_change_set", {"ChangeSetType": "IMPORT"}, "ChangeSetType IMPORT is not supported"),
        ("create_stack", {"DisableRollback": True}, "DisableRollback is not supported"),
        ("create_stack", {"TimeoutInMinutes": 5}, "TimeoutInMinutes is not supported"),
        ("create_stack", {"OnFailure": "DO_NOTHING"}, "DO_NOTHING on failure is not supported"),
        ("create_stack", {"StackName": "1st"}, "failed to satisfy constraint"),
        ("create_stack", {"TemplateBody": "[1]"}, "Template format error"),
        ("create_stack", {"TemplateBody": '{"Resources": {}}'}, "has no resources"),
        (
            "create_stack",
            {"Parameters": [{"ParameterKey": "X", "ParameterValue": "1"}]},
            "do not exist in the template",
        ),
        ("update_stack", {}, "does not exist"),
        ("get_template", {"StackName": "S"}, "Stack with id S does not exist"),
        ("describe_stack_events", {"StackName": "S"}, "Stack [S] does not exist"),
        ("describe_change_set", {"StackName": "S", "ChangeSetName": "c"}, "Stack [S] does not exist"),
        ("create_change_set", {"ChangeSetType": "UPDATE"}, "does not exist"),
        ("delete_stack", {"StackName": "S", "DeletionMode": "FORCE_DELETE_STACK"}, "DeletionMode is supported"),
    ],
)
def test_what_is_not_answered_is_refused_by_name(
    api: Api, action: str, arguments: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {}
    if action in ("create_stack", "update_stack", "create_change_set"):
        given = {"StackName": "S", "TemplateBody": json.dumps({"Resources": {"Q": QUEUE}})}
    if action == "create_change_set":
        given["ChangeSetName"] = "c"

    assert message in code_of(getattr(api.client, action), **{**given, **arguments})
    assert api.client.describe_stacks()["Stacks"] == []


def test_what_takes_a_moment_is_done_when_it_is_answered(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks after it was asked for need not look again."""
    monkeypatch.setattr(beside, "MOMENT_SECONDS", 60.0)
    old, new = (json.dumps({"Resources": {"V": parameter(value)}}) for value in "12")

    stack = api.client.create_stack(StackName="S", TemplateBody=old)["StackId"]
    assert api.stack()["StackStatus"] == "CREATE_COMPLETE"
    api.client.update_stack(StackName="S", TemplateBody=new)
    assert api.stack()["StackStatus"] == "UPDATE_COMPLETE"
    api.foresee({"V": parameter("3")}, kind="UPDATE")
    api.client.execute_change_set(StackName="S", ChangeSetName="c")
    assert api.stack()["StackStatus"] == "UPDATE_COMPLETE"
    assert [found["Value"] for found in api.cloud.client("ssm").get_parameters_by_path(Path="/")["Parameters"]] == ["3"]
    api.client.delete_stack(StackName=stack)
    assert api.stack(stack)["StackStatus"] == "DELETE_COMPLETE"


def test_while_a_stack_is_deployed_it_says_so_and_may_be_protected(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    going_on, carry_out = threading.Event(), StackEngine.carry_out

    def wait_first(self: StackEngine, deployment: Any) -> Any:
        going_on.wait(60)
        return carry_out(self, deployment)

    monkeypatch.setattr(StackEngine, "carry_out", wait_first)
    monkeypatch.setattr(beside, "MOMENT_SECONDS", 0.01)
    body = json.dumps({"Resources": {"Q": QUEUE}})
    api.client.create_stack(StackName="S", TemplateBody=body)
    try:
        assert api.stack()["StackStatus"] == "CREATE_IN_PROGRESS"
        assert "is in CREATE_IN_PROGRESS state and can not be updated" in code_of(
            api.client.update_stack, StackName="S", TemplateBody=body
        )
        api.client.update_termination_protection(StackName="S", EnableTerminationProtection=True)
    finally:
        going_on.set()
    assert api.status() == "CREATE_COMPLETE"
    assert api.stack()["EnableTerminationProtection"]


def test_one_thing_at_a_time_happens_to_a_stack(api: Api) -> None:
    """A second deployment, and a deletion, of a stack that is being deployed are refused as AWS refuses them."""
    api.deploy({"V": parameter("1", Name="/v")})
    states = StateDirectory(api.cloud.context.state_directory / "stacks")
    state = states.load("S")
    assert state is not None
    state.status = "UPDATE_IN_PROGRESS"
    states.save(state)
    hold = states.hold("S")

    body = json.dumps({"Resources": {"V": parameter("2", Name="/v")}})
    assert "is in UPDATE_IN_PROGRESS state and can not be updated" in code_of(
        api.client.update_stack, StackName="S", TemplateBody=body
    )
    assert "cannot be deleted while in status UPDATE_IN_PROGRESS" in code_of(api.client.delete_stack, StackName="S")
    with pytest.raises(StackBusyError, match="stack S is being deployed or deleted"):
        states.hold("S")
    # WHEN who deployed it died THEN it can be deleted
    hold.let_go()
    api.delete()
    assert api.client.describe_stacks()["Stacks"] == []


def test_what_was_relied_on_may_be_gone_when_a_change_set_is_carried_out(api: Api) -> None:
    export = {"Url": {"Value": {"Ref": "Q"}, "Export": {"Name": "Producer:Url"}}}
    api.deploy({"Q": QUEUE}, "Producer", Outputs=export)
    foreseen = api.foresee({"P": parameter({"Fn::ImportValue": "Producer:Url"})}, "Consumer")
    api.delete("Producer")

    api.client.execute_change_set(ChangeSetName=foreseen["ChangeSetId"])

    assert api.status("Consumer") == "ROLLBACK_COMPLETE"
    again = api.client.describe_change_set(ChangeSetName=foreseen["ChangeSetId"])
    assert again["ExecutionStatus"] == "EXECUTE_FAILED"
