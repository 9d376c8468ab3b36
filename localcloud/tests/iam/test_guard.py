"""What roles may and may not do, through boto3 against the running server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from localcloud.iam.roles import RoleNotAssumableError, role_credentials
from support.in_process import Client, Cloud, Statement, allow
from support.refusals import refused

LAMBDA = "lambda.amazonaws.com"
HERE = "us-east-1:123456789012"


def deny(actions: str | list[str], resources: str | list[str] = "*", **more: Any) -> Statement:
    return {"Effect": "Deny", "Action": actions, "Resource": resources, **more}


@pytest.fixture
def table(cloud: Cloud) -> str:
    cloud.client("dynamodb").create_table(
        TableName="records",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return f"arn:aws:dynamodb:{HERE}:table/records"


@pytest.fixture
def bucket(cloud: Cloud) -> str:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="lake")
    s3.create_bucket(Bucket="other")
    s3.put_object(Bucket="lake", Key="in/a", Body=b"x")
    s3.put_object(Bucket="other", Key="in/a", Body=b"x")
    return "arn:aws:s3:::lake"


def written(client: Client, operation: str, *, query: str = "", body: str) -> None:
    """Have the client send another query and body than it would, signed as its own."""

    def rewrite(request: AWSRequest, **_: object) -> None:
        request.url = f"{request.url}{query}"
        request.data = body.encode()
        for name in [name for name in request.headers if name.lower().startswith(("x-amz-checksum", "content-md5"))]:
            del request.headers[name]

    client.meta.events.register_first(f"before-sign.{operation}", rewrite)


def as_role(cloud: Cloud, service: str, *statements: Statement, name: str = "worker") -> Client:
    return cloud.role_client(service, cloud.role(name, LAMBDA, *statements), LAMBDA)


class TestDynamoDb:
    def test_allows_what_the_policy_names_and_nothing_else(self, cloud: Cloud, table: str) -> None:
        dynamodb = as_role(cloud, "dynamodb", allow("dynamodb:PutItem", table))
        dynamodb.put_item(TableName="records", Item={"pk": {"S": "1"}})
        error = refused(dynamodb.get_item, TableName="records", Key={"pk": {"S": "1"}})
        assert error["Code"] == "AccessDeniedException"
        assert error["Message"].startswith(
            "User: arn:aws:sts::123456789012:assumed-role/worker/test is not authorized to perform: "
            f"dynamodb:GetItem on resource: {table}"
        )

    def test_an_explicit_deny_wins_on_its_resource_only(self, cloud: Cloud, table: str) -> None:
        dynamodb = as_role(cloud, "dynamodb", allow("*"), deny("dynamodb:PutItem", table))
        dynamodb.get_item(TableName="records", Key={"pk": {"S": "1"}})
        assert "explicit deny" in refused(dynamodb.put_item, TableName="records", Item={"pk": {"S": "1"}})["Message"]

    def test_decides_each_action_of_a_transaction(self, cloud: Cloud, table: str) -> None:
        dynamodb = as_role(cloud, "dynamodb", allow(["dynamodb:PutItem", "dynamodb:UpdateItem"], table))
        put = {"Put": {"TableName": "records", "Item": {"pk": {"S": "1"}}}}
        check = {
            "ConditionCheck": {
                "TableName": "records",
                "Key": {"pk": {"S": "2"}},
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }
        dynamodb.transact_write_items(TransactItems=[put])
        error = refused(dynamodb.transact_write_items, TransactItems=[put, check])
        assert "dynamodb:ConditionCheckItem" in error["Message"]

    def test_actions_ignore_case_and_resources_take_wildcards(self, cloud: Cloud, table: str) -> None:
        dynamodb = as_role(cloud, "dynamodb", allow("DynamoDB:get*", "arn:aws:dynamodb:*:*:table/rec*"))
        dynamodb.get_item(TableName="records", Key={"pk": {"S": "1"}})

    def test_a_policy_takes_effect_at_once_when_changed(self, cloud: Cloud, table: str) -> None:
        dynamodb = as_role(cloud, "dynamodb", allow("dynamodb:GetItem", table))
        dynamodb.get_item(TableName="records", Key={"pk": {"S": "1"}})
        nothing = {"Version": "2012-10-17", "Statement": [deny("*")]}
        cloud.client("iam").put_role_policy(RoleName="worker", PolicyName="inline", PolicyDocument=json.dumps(nothing))
        refused(dynamodb.get_item, TableName="records", Key={"pk": {"S": "1"}})

    def test_managed_policies_count(self, cloud: Cloud, table: str) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow("dynamodb:GetItem", table)]})
        iam = cloud.client("iam")
        policy = iam.create_policy(PolicyName="reader", PolicyDocument=document)["Policy"]["Arn"]
        role = cloud.role("reader", LAMBDA)
        iam.attach_role_policy(RoleName="reader", PolicyArn=policy)
        dynamodb = cloud.role_client("dynamodb", role, LAMBDA)
        dynamodb.get_item(TableName="records", Key={"pk": {"S": "1"}})
        refused(dynamodb.delete_item, TableName="records", Key={"pk": {"S": "1"}})


@pytest.fixture
def registry(cloud: Cloud) -> str:
    """A table shared by models, a partition for each, with an index across them; items of a and b."""
    dynamodb = cloud.client("dynamodb")
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    dynamodb.create_table(
        TableName="registry",
        KeySchema=keys,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk", "state")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_state",
                "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for model in "ab":
        dynamodb.put_item(TableName="registry", Item=item(model))
    return f"arn:aws:dynamodb:{HERE}:table/registry"


def key(model: str, sort: str = "VERSION#1") -> dict[str, Any]:
    return {"pk": {"S": f"MODEL#{model}"}, "sk": {"S": sort}}


def item(model: str, sort: str = "VERSION#1") -> dict[str, Any]:
    return {**key(model, sort), "state": {"S": "production"}}


def condition(model: str) -> dict[str, Any]:
    check = {"TableName": "registry", "Key": key(model), "ConditionExpression": "attribute_exists(pk)"}
    return {"ConditionCheck": check}


def query(dynamodb: Client, expression: str, values: dict[str, str], **more: Any) -> object:
    typed = {name: {"S": value} for name, value in values.items()}
    arguments = {"KeyConditionExpression": expression, "ExpressionAttributeValues": typed, **more}
    return dynamodb.query(TableName="registry", **arguments)


ONE_MODEL: dict[str, Callable[[Client, str], object]] = {
    "get": lambda d, m: d.get_item(TableName="registry", Key=key(m)),
    "put": lambda d, m: d.put_item(TableName="registry", Item=item(m)),
    "update": lambda d, m: d.update_item(
        TableName="registry",
        Key=key(m),
        UpdateExpression="SET x = :x",
        ExpressionAttributeValues={":x": {"S": "1"}},
    ),
    "delete": lambda d, m: d.delete_item(TableName="registry", Key=key(m)),
    "query": lambda d, m: query(d, "pk = :p", {":p": f"MODEL#{m}"}),
    "query with a sort key": lambda d, m: query(
        d, "pk = :p AND begins_with(sk, :s)", {":p": f"MODEL#{m}", ":s": "VERSION#"}
    ),
    "query the other way round": lambda d, m: query(
        d, "(#s > :s) and (#p = :p)", {":p": f"MODEL#{m}", ":s": "A"}, ExpressionAttributeNames={"#p": "pk", "#s": "sk"}
    ),
    "batch get": lambda d, m: d.batch_get_item(RequestItems={"registry": {"Keys": [key("a", "X"), key(m)]}}),
    "batch write": lambda d, m: d.batch_write_item(
        RequestItems={"registry": [{"PutRequest": {"Item": item("a", "X")}}, {"DeleteRequest": {"Key": key(m)}}]}
    ),
    "transact put": lambda d, m: d.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "registry", "Item": item("a", "X")}},
            {"Put": {"TableName": "registry", "Item": item(m)}},
        ]
    ),
    "transact delete": lambda d, m: d.transact_write_items(
        TransactItems=[{"Delete": {"TableName": "registry", "Key": key(m)}}]
    ),
    "transact check": lambda d, m: d.transact_write_items(TransactItems=[condition(m)]),
    "transact get": lambda d, m: d.transact_get_items(
        TransactItems=[{"Get": {"TableName": "registry", "Key": key(m)}}]
    ),
}
"""Requests that reach the partition of one model, and no other than that of a besides."""


class TestPartiQL:
    """A statement needs the action of its verb, on the table it names; two models stand in it."""

    STATEMENTS = (
        ("Select", "SELECT * FROM \"registry\" WHERE pk='MODEL#a' AND sk='CHAMPION'"),
        ("Insert", "INSERT INTO \"registry\" VALUE {'pk': 'MODEL#new', 'sk': 'x'}"),
        ("Update", "UPDATE \"registry\" SET note=' FROM records' WHERE pk='MODEL#a' AND sk='CHAMPION'"),
        ("Delete", "DELETE FROM \"registry\" WHERE pk='MODEL#gone' AND sk='x'"),
    )

    @pytest.mark.parametrize(("verb", "statement"), STATEMENTS)
    def test_needs_the_action_of_its_verb_on_its_table(
        self, cloud: Cloud, registry: str, table: str, verb: str, statement: Statement
    ) -> None:
        elsewhere = as_role(cloud, "dynamodb", allow("dynamodb:PartiQL*", table), allow("dynamodb:PutItem", registry))
        for answer in (
            refused(elsewhere.execute_statement, Statement=statement),
            refused(elsewhere.batch_execute_statement, Statements=[{"Statement": statement}]),
            refused(elsewhere.execute_transaction, TransactStatements=[{"Statement": statement}]),
        ):
            assert f"dynamodb:PartiQL{verb} on resource: {registry} " in answer["Message"]
        able = as_role(cloud, "dynamodb", allow(f"dynamodb:PartiQL{verb}", registry), name="able")
        able.execute_statement(Statement=statement)

    def test_is_denied_where_a_policy_asks_for_its_partition(self, cloud: Cloud, registry: str) -> None:
        own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["MODEL#a"]}}
        role = as_role(cloud, "dynamodb", allow("dynamodb:*", registry, Condition=own))
        assert "dynamodb:LeadingKeys" in refused(role.execute_statement, Statement=self.STATEMENTS[0][1])["Message"]


class TestLeadingKeys:
    """GIVEN a role that may do everything with the table, in the partition of model a."""

    @pytest.fixture
    def role_of_a(self, cloud: Cloud, registry: str) -> Client:
        own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["MODEL#a"]}}
        return as_role(cloud, "dynamodb", allow("dynamodb:*", [registry, f"{registry}/index/*"], Condition=own))

    @pytest.mark.parametrize("name", ONE_MODEL)
    def test_reaches_its_own_partition_and_no_other(self, cloud: Cloud, role_of_a: Client, name: str) -> None:
        before = cloud.client("dynamodb").get_item(TableName="registry", Key=key("b"))["Item"]
        message = refused(ONE_MODEL[name], role_of_a, "b")["Message"]
        assert "no identity-based policy allows" in message
        assert cloud.client("dynamodb").get_item(TableName="registry", Key=key("b"))["Item"] == before
        ONE_MODEL[name](role_of_a, "a")

    def test_an_index_is_held_to_its_own_partition_key(self, role_of_a: Client) -> None:
        """The index by state leads to the versions of every model: the model's partition is none of it."""
        refused(
            query,
            role_of_a,
            "#s = :s",
            {":s": "production"},
            IndexName="by_state",
            ExpressionAttributeNames={"#s": "state"},
        )

    @pytest.mark.parametrize(
        "call",
        [
            lambda d: d.scan(TableName="registry"),
            lambda d: d.query(
                TableName="registry",
                KeyConditions={"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "MODEL#a"}]}},
            ),
            lambda d: query(d, "pk > :p", {":p": "MODEL#a"}),
            lambda d: query(d, "pk = :p OR sk = :p", {":p": "MODEL#a"}),
            lambda d: query(d, "pk = :p", {":p": "MODEL#a"}, IndexName="by_nothing"),
        ],
    )
    def test_what_can_not_be_told_from_a_request_is_denied(
        self, role_of_a: Client, call: Callable[[Client], object]
    ) -> None:
        assert "dynamodb:LeadingKeys" in refused(call, role_of_a)["Message"]


class TestS3:
    def test_objects_and_buckets_are_different_resources(self, cloud: Cloud, bucket: str) -> None:
        s3 = as_role(cloud, "s3", allow(["s3:GetObject", "s3:PutObject"], f"{bucket}/in/*"))
        s3.get_object(Bucket="lake", Key="in/a")
        s3.head_object(Bucket="lake", Key="in/a")
        s3.put_object(Bucket="lake", Key="in/b", Body=b"y")
        s3.copy_object(Bucket="lake", Key="in/c", CopySource="lake/in/a")
        assert refused(s3.put_object, Bucket="lake", Key="out/b", Body=b"y")["Code"] == "AccessDenied"
        refused(s3.get_object, Bucket="other", Key="in/a")
        refused(s3.list_objects_v2, Bucket="lake")
        refused(s3.delete_object, Bucket="lake", Key="in/a")
        assert refused(s3.head_object, Bucket="other", Key="in/a")["Code"] == "403"

    def test_a_copy_needs_its_source(self, cloud: Cloud, bucket: str) -> None:
        s3 = as_role(cloud, "s3", allow(["s3:GetObject", "s3:PutObject"], f"{bucket}/*"))
        error = refused(s3.copy_object, Bucket="lake", Key="in/c", CopySource="other/in/a")
        assert "s3:GetObject on resource: arn:aws:s3:::other/in/a" in error["Message"]

    def test_a_bucket_can_ask_for_conditional_writes_of_everybody(self, cloud: Cloud, bucket: str) -> None:
        """As the S3 user guide has it, "Enforce conditional writes"; whatever the identity's own policies allow."""
        everybody = {"Principal": "*", "Condition": {"Null": {"s3:if-none-match": "true"}}}
        policy = {"Statement": [deny("s3:PutObject", f"{bucket}/*") | everybody]}
        cloud.client("s3").put_bucket_policy(Bucket="lake", Policy=json.dumps(policy))
        s3 = as_role(cloud, "s3", allow(["s3:PutObject", "s3:GetObject"], f"{bucket}/*"))
        s3.put_object(Bucket="lake", Key="in/new", Body=b"first", IfNoneMatch="*")
        again = refused(s3.put_object, Bucket="lake", Key="in/new", Body=b"second", IfNoneMatch="*")
        assert again["Code"] == "PreconditionFailed"
        assert s3.get_object(Bucket="lake", Key="in/new")["Body"].read() == b"first"
        for call, more in (
            (s3.put_object, {"Body": b"second"}),
            (s3.put_object, {"Body": b"second", "IfMatch": "0"}),
            (s3.copy_object, {"CopySource": "lake/in/a"}),
            (s3.create_multipart_upload, {}),
        ):
            assert "explicit deny" in refused(call, Bucket="lake", Key="in/new", **more)["Message"]

    def test_listing_can_be_held_to_a_prefix(self, cloud: Cloud, bucket: str) -> None:
        condition = {"StringLike": {"s3:prefix": ["in/*"]}}
        s3 = as_role(cloud, "s3", allow("s3:ListBucket", bucket, Condition=condition))
        s3.list_objects_v2(Bucket="lake", Prefix="in/x")
        refused(s3.list_objects_v2, Bucket="lake", Prefix="out/")
        refused(s3.list_objects_v2, Bucket="lake")

    def test_multipart_uploads_need_put_object(self, cloud: Cloud, bucket: str) -> None:
        s3 = as_role(cloud, "s3", allow("s3:PutObject", f"{bucket}/in/*"))
        upload = s3.create_multipart_upload(Bucket="lake", Key="in/big")["UploadId"]
        part = s3.upload_part(Bucket="lake", Key="in/big", UploadId=upload, PartNumber=1, Body=b"z")
        s3.complete_multipart_upload(
            Bucket="lake",
            Key="in/big",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
        refused(s3.create_multipart_upload, Bucket="lake", Key="big")

    def test_bulk_deletes_are_decided_key_by_key(self, cloud: Cloud, bucket: str) -> None:
        s3 = as_role(cloud, "s3", allow("s3:DeleteObject", f"{bucket}/in/*"))
        s3.delete_objects(Bucket="lake", Delete={"Objects": [{"Key": "in/a"}]})
        refused(s3.delete_objects, Bucket="lake", Delete={"Objects": [{"Key": "in/b"}, {"Key": "out/a"}]})

    def test_a_bucket_policy_that_demands_tls_does_not_stand_in_the_way(self, cloud: Cloud, bucket: str) -> None:
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Principal": {"AWS": "*"},
                    "Action": "s3:*",
                    "Resource": [bucket, f"{bucket}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
        cloud.client("s3").put_bucket_policy(Bucket="lake", Policy=json.dumps(policy))
        s3 = as_role(cloud, "s3", allow("s3:GetObject", f"{bucket}/*"))
        s3.get_object(Bucket="lake", Key="in/a")

    def test_a_bucket_policy_can_deny_and_allow_a_role(self, cloud: Cloud, bucket: str) -> None:
        role = cloud.role("worker", LAMBDA, allow("s3:GetObject", f"{bucket}/*"))
        statements = [
            {"Effect": "Deny", "Principal": {"AWS": role}, "Action": "s3:GetObject", "Resource": f"{bucket}/in/a"},
            {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "s3:PutObject", "Resource": f"{bucket}/out/*"},
        ]
        cloud.client("s3").put_bucket_policy(
            Bucket="lake", Policy=json.dumps({"Version": "2012-10-17", "Statement": statements})
        )
        s3 = cloud.role_client("s3", role, LAMBDA)
        s3.put_object(Bucket="lake", Key="out/a", Body=b"x")
        refused(s3.get_object, Bucket="lake", Key="in/a")

    @pytest.mark.parametrize(
        "objects",
        [
            "<Object><Key >out/a</Key ></Object>",
            "<Object><!--<Key>in/a</Key>--><Key>out/a</Key></Object>",
            "<!--<Object><Key>in/a</Key></Object>--><Object><Key>&#111;ut/a</Key></Object>",
            "<Object\n><Key><![CDATA[out/a]]></Key></Object>",
            "<Object><Key>in/a</Key></Object><Object><Key>out/a</Key></Object>",
            "",
        ],
    )
    def test_bulk_deletes_are_decided_on_the_keys_that_are_deleted(
        self, cloud: Cloud, bucket: str, objects: str
    ) -> None:
        cloud.client("s3").put_object(Bucket="lake", Key="out/a", Body=b"x")
        s3 = as_role(cloud, "s3", allow("s3:DeleteObject", f"{bucket}/in/*"))
        written(s3, "s3.DeleteObjects", body=f"<Delete>{objects}</Delete>")
        refused(s3.delete_objects, Bucket="lake", Delete={"Objects": [{"Key": "in/a"}]})
        for kept in ("in/a", "out/a"):
            cloud.client("s3").head_object(Bucket="lake", Key=kept)


class TestOtherServices:
    @pytest.mark.parametrize(
        ("query", "body"),
        [
            ("", '{"x": "&Name=/yours/a&", "Name": "/mine/a"}'),
            ("?Name=/yours/a", '{"Name": "/mine/a"}'),
            ("?Name=/mine/a", '{"Name": "/yours/a"}'),
            ("?Name=/yours/a", "{}"),
            ("?Action=DeleteParameter", '{"Name": "/mine/a"}'),
        ],
    )
    def test_what_is_decided_on_is_what_is_carried_out(self, cloud: Cloud, query: str, body: str) -> None:
        operator = cloud.client("ssm")
        for name in ("mine", "yours"):
            operator.put_parameter(Name=f"/{name}/a", Value=name, Type="String")
        ssm = as_role(cloud, "ssm", allow("ssm:GetParameter", f"arn:aws:ssm:{HERE}:parameter/mine/*"))
        written(ssm, "ssm.GetParameter", query=query, body=body)
        try:
            value = ssm.get_parameter(Name="/mine/a")["Parameter"]["Value"]
        except ClientError:
            value = "refused"
        assert value in ("mine", "refused")
        assert operator.get_parameter(Name="/mine/a")

    @pytest.mark.parametrize(
        ("service", "statement", "good", "bad"),
        [
            (
                "sqs",
                allow("sqs:CreateQueue", f"arn:aws:sqs:{HERE}:mine"),
                lambda c: c.create_queue(QueueName="mine"),
                lambda c: c.create_queue(QueueName="yours"),
            ),
            (
                "sns",
                allow("sns:CreateTopic", f"arn:aws:sns:{HERE}:mine"),
                lambda c: c.create_topic(Name="mine"),
                lambda c: c.create_topic(Name="yours"),
            ),
            (
                "ssm",
                allow(["ssm:PutParameter", "ssm:GetParameter"], f"arn:aws:ssm:{HERE}:parameter/mine/*"),
                lambda c: c.put_parameter(Name="/mine/a", Value="1", Type="String"),
                lambda c: c.get_parameter(Name="/yours/a"),
            ),
            (
                "events",
                allow("events:PutEvents", f"arn:aws:events:{HERE}:event-bus/default"),
                lambda c: c.put_events(Entries=[{"Source": "a", "DetailType": "b", "Detail": "{}"}]),
                lambda c: c.put_events(
                    Entries=[{"Source": "a", "DetailType": "b", "Detail": "{}", "EventBusName": "x"}]
                ),
            ),
            (
                "cloudwatch",
                allow("cloudwatch:PutMetricData", Condition={"StringEquals": {"cloudwatch:namespace": "Mine"}}),
                lambda c: c.put_metric_data(Namespace="Mine", MetricData=[{"MetricName": "m", "Value": 1}]),
                lambda c: c.put_metric_data(Namespace="Yours", MetricData=[{"MetricName": "m", "Value": 1}]),
            ),
            (
                "logs",
                allow("logs:CreateLogGroup", f"arn:aws:logs:{HERE}:log-group:/mine/*"),
                lambda c: c.create_log_group(logGroupName="/mine/a"),
                lambda c: c.create_log_group(logGroupName="/yours/a"),
            ),
            (
                "glue",
                allow("glue:CreateDatabase", [f"arn:aws:glue:{HERE}:catalog", f"arn:aws:glue:{HERE}:database/mine"]),
                lambda c: c.create_database(DatabaseInput={"Name": "mine"}),
                lambda c: c.create_database(DatabaseInput={"Name": "yours"}),
            ),
            (
                "athena",
                allow("athena:*", f"arn:aws:athena:{HERE}:workgroup/mine"),
                lambda c: c.create_work_group(Name="mine"),
                lambda c: c.create_work_group(Name="yours"),
            ),
        ],
    )
    def test_actions_are_held_to_their_resources(
        self,
        cloud: Cloud,
        service: str,
        statement: Statement,
        good: Callable[[Client], object],
        bad: Callable[[Client], object],
    ) -> None:
        client = as_role(cloud, service, statement)
        good(client)
        with pytest.raises(ClientError, match="is not authorized to perform"):
            bad(client)

    def test_passing_a_role_needs_the_right_to(self, cloud: Cloud) -> None:
        cloud.role("machine", "states.amazonaws.com")
        definition = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
        machine = {"name": "m", "definition": definition, "roleArn": "arn:aws:iam::123456789012:role/machine"}
        states = as_role(cloud, "stepfunctions", allow("states:CreateStateMachine"))
        assert (
            "iam:PassRole on resource: arn:aws:iam::123456789012:role/machine"
            in refused(states.create_state_machine, **machine)["Message"]
        )
        condition = {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}}
        states = as_role(
            cloud,
            "stepfunctions",
            allow("states:CreateStateMachine"),
            allow("iam:PassRole", Condition=condition),
            name="passer",
        )
        states.create_state_machine(**machine)


class TestIdentity:
    def test_anyone_may_ask_who_they_are(self, cloud: Cloud) -> None:
        sts = as_role(cloud, "sts")
        assert sts.get_caller_identity()["Arn"].endswith("assumed-role/worker/test")

    def test_unknown_credentials_are_refused(self, cloud: Cloud) -> None:
        s3 = cloud.client("s3", aws_access_key_id="AKIAX", aws_secret_access_key="x")
        assert refused(s3.list_buckets)["Code"] == "InvalidAccessKeyId"
        lam = cloud.client("lambda", aws_access_key_id="AKIAX", aws_secret_access_key="x")
        assert refused(lam.list_functions)["Code"] == "UnrecognizedClientException"

    def test_a_role_is_assumed_only_by_whom_it_trusts(self, cloud: Cloud) -> None:
        role = cloud.role("worker", LAMBDA)
        with pytest.raises(RoleNotAssumableError, match="trust policy"):
            role_credentials(cloud.context, role, "s", "states.amazonaws.com")

    def test_a_session_can_assume_only_roles_that_trust_it(self, cloud: Cloud) -> None:
        target = cloud.role("target", LAMBDA)
        sts = as_role(cloud, "sts", allow("sts:AssumeRole"))
        refused(sts.assume_role, RoleArn=target, RoleSessionName="test")
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        cloud.client("iam").update_assume_role_policy(RoleName="target", PolicyDocument=json.dumps(trust))
        sts.assume_role(RoleArn=target, RoleSessionName="test")

    def test_credentials_are_kept_per_role_and_session_name(self, cloud: Cloud) -> None:
        role = cloud.role("worker", LAMBDA)
        one = role_credentials(cloud.context, role, "a", LAMBDA)
        assert one == role_credentials(cloud.context, role, "a", LAMBDA)
        assert one != role_credentials(cloud.context, role, "b", LAMBDA)
