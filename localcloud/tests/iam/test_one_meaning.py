"""A request means one thing: what a role's right is decided on is what is carried out, wherever a name could stand.

Each request is written as no client would, signed as the role's own, and tries to reach what is "yours" by a right on
what is "mine".
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from localcloud.iam.roles import role_credentials
from support.in_process import Client, Cloud

State = Callable[[], list[Any]]
"""Tells what a role without the right must not change."""

LAMBDA, SCHEDULER = "lambda.amazonaws.com", "scheduler.amazonaws.com"
HERE = "us-east-1:123456789012"


@dataclass(frozen=True)
class Attempt:
    """A request, and the right that it is made with."""

    right: str
    resource: Any
    method: str = "POST"
    target: str = "/"
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    more_rights: tuple[dict[str, Any], ...] = ()

    @property
    def service(self) -> str:
        return self.right.split(":")[0]


def sent(cloud: Cloud, attempt: Attempt) -> tuple[int, str]:
    """Status and body of the answer to the attempt, made by a role with its right alone."""
    rights = {"Effect": "Allow", "Action": attempt.right, "Resource": attempt.resource}
    role = cloud.role("caller", LAMBDA, rights, *attempt.more_rights)
    found = role_credentials(cloud.context, role, "test", LAMBDA)
    credentials = Credentials(found["aws_access_key_id"], found["aws_secret_access_key"], found["aws_session_token"])
    url = f"{cloud.context.endpoint}{attempt.target}"
    request = AWSRequest(attempt.method, url, data=attempt.body.encode(), headers=attempt.headers)
    kind = S3SigV4Auth if attempt.service == "s3" else SigV4Auth
    kind(credentials, attempt.service, "us-east-1").add_auth(request)
    made = urllib.request.Request(
        url, data=attempt.body.encode(), headers=dict(request.headers.items()), method=attempt.method
    )
    try:
        with urllib.request.urlopen(made, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def json_call(right: str, resource: Any, target: str, body: dict[str, Any], **more: Any) -> Attempt:
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    return Attempt(right, resource, body=json.dumps(body), headers=headers, **more)


def unchanged(cloud: Cloud, attempt: Attempt, state: State) -> str:
    """Assert that the attempt is refused and changes nothing; the answer."""
    before = state()
    status, said = sent(cloud, attempt)
    assert 400 <= status < 500, (status, said)
    assert state() == before
    return said


class TestSchedules:
    """GIVEN schedules mine and yours in two groups, and a role with a right on those that are mine."""

    @pytest.fixture
    def state(self, cloud: Cloud) -> State:
        runner = cloud.role("runner", SCHEDULER)
        scheduler = cloud.client("scheduler")
        scheduler.create_schedule_group(Name="mine")
        target = {"Arn": f"arn:aws:sqs:{HERE}:q", "RoleArn": runner}
        given = {"ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target}
        for name, group in (("mine", "mine"), ("yours", "default"), ("yours", "mine")):
            scheduler.create_schedule(Name=name, GroupName=group, **given)
        self.body = json.dumps(given)

        def state() -> list[Any]:
            found = scheduler.list_schedules()["Schedules"]
            return sorted((s["GroupName"], s["Name"], str(s["LastModificationDate"])) for s in found)

        return state

    @pytest.mark.parametrize(
        ("right", "resource", "method", "target", "headers"),
        [
            ("CreateSchedule", "mine/*", "POST", "/schedules/new?groupName=mine", {}),
            ("UpdateSchedule", "mine/*", "PUT", "/schedules/yours?groupName=mine", {}),
            ("DeleteSchedule", "*/mine", "DELETE", "/schedules/yours?Name=mine", {}),
            ("DeleteSchedule", "*/mine", "DELETE", "/schedules/yours?groupName=mine&Name=mine", {}),
            ("DeleteSchedule", "mine/*", "DELETE", "/schedules/yours?GroupName=mine", {}),
            ("GetSchedule", "*", "GET", "/schedules/yours?Action=DeleteSchedule", {}),
            ("DeleteSchedule", "*/mine", "DELETE", "/schedules/yours?Action=DeleteSchedule&Name=mine", {}),
            ("GetSchedule", "*", "GET", "/schedules/yours", {"X-Amz-Target": "Scheduler.DeleteSchedule"}),
        ],
    )
    def test_are_those_that_the_right_is_on(
        self, cloud: Cloud, state: State, right: str, resource: str, method: str, target: str, headers: dict[str, str]
    ) -> None:
        more = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}
        body = self.body if method in ("POST", "PUT") else ""
        attempt = Attempt(
            f"scheduler:{right}",
            f"arn:aws:scheduler:{HERE}:schedule/{resource}",
            method,
            target,
            body,
            {"Content-Type": "application/json", **headers},
            (more,),
        )
        unchanged(cloud, attempt, state)


class TestHttpApis:
    @pytest.mark.parametrize(
        ("target", "headers"), [("?Action=DeleteApi", {}), ("", {"X-Amz-Target": "ApiGatewayV2.DeleteApi"})]
    )
    def test_the_operation_is_that_of_the_method_and_path(
        self, cloud: Cloud, target: str, headers: dict[str, str]
    ) -> None:
        gateway = cloud.client("apigatewayv2")
        api = gateway.create_api(Name="yours", ProtocolType="HTTP")["ApiId"]
        attempt = Attempt(
            "apigateway:GET", "arn:aws:apigateway:us-east-1::/*", "GET", f"/v2/apis/{api}{target}", headers=headers
        )
        unchanged(cloud, attempt, lambda: [found["ApiId"] for found in gateway.get_apis()["Items"]])


class TestJsonServices:
    """A parameter that the operation does not have is refused: the right was decided on it, and it was not used."""

    def test_a_parameter(self, cloud: Cloud) -> None:
        ssm = cloud.client("ssm")
        for name in ("mine", "yours"):
            ssm.put_parameter(Name=f"/{name}/a", Value=f"of {name}", Type="String")
        mine = f"arn:aws:ssm:{HERE}:parameter/mine/*"
        body = {"Name": "/yours/a", "Names": ["/mine/a"]}
        status, said = sent(cloud, json_call("ssm:GetParameter", mine, "AmazonSSM.GetParameter", body))
        assert status == 400
        assert "of yours" not in said
        assert "GetParameter takes no 'Names' from the body; it takes Name, WithDecryption" in said

    def test_a_rule(self, cloud: Cloud) -> None:
        events = cloud.client("events")
        events.put_rule(Name="yours", ScheduleExpression="rate(1 day)")
        body = {"Name": "yours", "Rule": "mine"}
        mine = f"arn:aws:events:{HERE}:rule/mine"
        attempt = json_call("events:DeleteRule", mine, "AWSEvents.DeleteRule", body)
        unchanged(cloud, attempt, lambda: [rule["Name"] for rule in events.list_rules()["Rules"]])

    def test_a_query_of_athena(self, cloud: Cloud) -> None:
        body = {"QueryExecutionId": "yours", "WorkGroup": "mine"}
        mine = f"arn:aws:athena:{HERE}:workgroup/mine"
        attempt = json_call("athena:StopQueryExecution", mine, "AmazonAthena.StopQueryExecution", body)
        status, said = sent(cloud, attempt)
        assert status == 400
        assert "takes no 'WorkGroup'" in said

    @pytest.mark.parametrize(
        ("operation", "target", "body", "headers"),
        [
            ("CreateTable", "/", {"DatabaseName": "lake", "Name": "mine", "TableInput": {"Name": "yours"}}, {}),
            ("UpdateTable", "/", {"DatabaseName": "lake", "Name": "mine", "TableInput": {"Name": "there"}}, {}),
            ("DeleteTable", "/", {"DatabaseName": "lake", "TableName": "mine", "Name": "there"}, {}),
            ("DeleteTable", "/?Action=DeleteTable&Name=mine", {"DatabaseName": "lake", "Name": "there"}, None),
        ],
    )
    def test_a_table_of_glue(
        self, cloud: Cloud, operation: str, target: str, body: dict[str, Any], headers: dict[str, str] | None
    ) -> None:
        glue = cloud.client("glue")
        glue.create_database(DatabaseInput={"Name": "lake"})
        glue.create_table(DatabaseName="lake", TableInput={"Name": "there"})
        of_table = [f"arn:aws:glue:{HERE}:{name}" for name in ("catalog", "database/lake", "table/lake/mine")]
        kind = {"X-Amz-Target": f"AWSGlue.{operation}"} if headers is not None else {}
        attempt = Attempt(f"glue:{operation}", of_table, "POST", target, json.dumps(body), kind)

        def state() -> list[Any]:
            tables = glue.get_tables(DatabaseName="lake")["TableList"]
            return [(table["Name"], table["VersionId"]) for table in tables]

        unchanged(cloud, attempt, state)

    def test_a_log_group(self, cloud: Cloud) -> None:
        logs = cloud.client("logs")
        for name in ("mine", "yours"):
            logs.create_log_group(logGroupName=name)
        mine = [f"arn:aws:logs:{HERE}:log-group:mine", f"arn:aws:logs:{HERE}:log-group:mine:*"]
        body = {"logGroupName": "mine", "logGroupIdentifier": "yours"}
        status, said = sent(cloud, json_call("logs:FilterLogEvents", mine, "Logs_20140328.FilterLogEvents", body))
        assert status == 400
        assert "accepts only one of logGroupName and logGroupIdentifier" in said

    def test_a_parameter_of_another_region(self, cloud: Cloud) -> None:
        """Moto would take the region from what a client says of itself."""
        here = f"arn:aws:ssm:{HERE}:parameter/a"
        cloud.client("ssm").put_parameter(Name="/a", Value="of here", Type="String")
        attempt = json_call("ssm:GetParameter", here, "AmazonSSM.GetParameter", {"Name": "/a"})
        attempt.headers["User-Agent"] = "md/x region/eu-west-1"
        status, said = sent(cloud, attempt)
        assert status == 200
        assert json.loads(said)["Parameter"]["ARN"] == here


class TestTopics:
    @pytest.mark.parametrize("other", ["TargetArn", "PhoneNumber"])
    def test_one_of_two_places_is_not_chosen(self, cloud: Cloud, other: str) -> None:
        sns = cloud.client("sns")
        mine, yours = (sns.create_topic(Name=name)["TopicArn"] for name in ("mine", "yours"))
        queue = cloud.client("sqs").create_queue(QueueName="q")["QueueUrl"]
        sns.subscribe(TopicArn=yours, Protocol="sqs", Endpoint=f"arn:aws:sqs:{HERE}:q")
        value = yours if other == "TargetArn" else "+15550100"
        body = f"Action=Publish&Version=2010-03-31&TopicArn={mine}&{other}={value.replace('+', '%2B')}&Message=m"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        status, said = sent(cloud, Attempt("sns:Publish", mine, body=body, headers=form))
        assert 400 <= status < 500
        assert "accepts only one of" in said
        assert "Messages" not in cloud.client("sqs").receive_message(QueueUrl=queue)


class TestObjects:
    """GIVEN a bucket of mine and one of yours, versions kept."""

    @pytest.fixture
    def s3(self, cloud: Cloud) -> Client:
        s3 = cloud.client("s3")
        for name in ("mine", "yours"):
            s3.create_bucket(Bucket=name)
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
            s3.put_object(Bucket=name, Key="yours/a", Body=b"of " + name.encode())
        return s3

    def test_a_form_in_the_body_is_no_query(self, cloud: Cloud, s3: Client) -> None:
        version = s3.list_object_versions(Bucket="mine")["Versions"][0]["VersionId"]
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        sent(
            cloud,
            Attempt("s3:DeleteObject", "arn:aws:s3:::mine/*", "DELETE", "/mine/yours/a", f"versionId={version}", form),
        )
        assert [v["VersionId"] for v in s3.list_object_versions(Bucket="mine")["Versions"]] == [version]

    @pytest.mark.parametrize("source", ["//mine/yours/a", "http://mine/yours/a", "//mine/yours/yours/a"])
    def test_a_copy_is_of_what_was_decided_on(self, cloud: Cloud, s3: Client, source: str) -> None:
        attempt = Attempt("s3:*Object", "arn:aws:s3:::mine/*", "PUT", "/mine/b", "", {"x-amz-copy-source": source})
        unchanged(cloud, attempt, lambda: [found["Key"] for found in s3.list_objects_v2(Bucket="mine")["Contents"]])


class TestFunctions:
    @pytest.mark.parametrize(
        "name", ["x:function:yours:function:mine", "arn:aws:lambda:eu-west-1:123456789012:function:yours"]
    )
    def test_the_name_is_read_as_it_is_looked_up(self, name: str) -> None:
        from localcloud.iam.calls import Call, UnclearRequestError
        from localcloud.services.lambda_.accesses import accesses

        call = Call("Invoke", {"FunctionName": name}, "us-east-1", "123456789012", "/", "POST")
        try:
            ((found,),) = [access.resources for access in accesses(call) or ()]
        except UnclearRequestError:
            return
        assert found.startswith(f"arn:aws:lambda:{HERE}:function:yours")
