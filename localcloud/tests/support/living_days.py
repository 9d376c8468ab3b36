"""Days in the life of a local cloud, for the test of its memory: ``python -m support.living_days DIRECTORY``.

A process of its own, since it installs every hook and counts every object. Tells as JSON which types and which stores
grew by one object a day or more, and how many blocks of memory a day left behind.
"""

from __future__ import annotations

import gc
import io
import json
import os
import socket
import sys
import urllib.parse
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from localcloud.core.context import CloudContext
from localcloud.services.logs.events import LogEvents
from support.census import stores
from support.in_process import allow
from support.state_machines import State

START = datetime(2013, 1, 1, tzinfo=UTC)
WARM_DAYS = 10
DAYS = 30
KEPT_DAYS = 3
SERVICES = ["events", "lambda", "states", "firehose", "scheduler"]


class Account:
    """A cloud in this process with something of every service in it, and a day of its life."""

    def __init__(self, context: CloudContext) -> None:
        self.context = context
        clients = ("athena", "cloudwatch", "dynamodb", "events", "firehose", "glue", "iam", "lambda", "logs", "s3")
        more = ("scheduler", "sns", "sqs", "stepfunctions")
        self.to = {service: context.client(service) for service in (*clients, *more)}
        self.day = 0
        role = self._role()
        self._store()
        self._messages()
        self._function(role)
        self._machine(role)
        self._stream(role)
        self.to["cloudwatch"].put_metric_alarm(
            AlarmName="high",
            Namespace="N",
            MetricName="m",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=5.0,
            ComparisonOperator="GreaterThanThreshold",
            AlarmActions=[self.topic],
        )

    def live(self) -> None:
        """One day, with what a monitor, a schedule, requests and people do in it; returns once all is quiet."""
        self.day += 1
        day = str(self.day)
        to = self.to
        for value in (9.0, 1.0):  # the alarm goes on and off
            to["cloudwatch"].put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": value}])
            self.context.clock.advance(self.context.clock.now() + timedelta(hours=1), quiet_timeout_seconds=60)
        to["lambda"].invoke(FunctionName="f", Payload=json.dumps({"day": day}))
        to["lambda"].invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")
        to["stepfunctions"].start_execution(stateMachineArn=self.machine, name=f"day-{day}", input='{"n": 1}')
        item = {"k": {"S": "champion"}, "day": {"S": day}}
        to["dynamodb"].transact_write_items(TransactItems=[{"Put": {"TableName": "t", "Item": item}}])
        to["s3"].put_object(Bucket="lake", Key="latest", Body=day.encode() * 1000)
        to["s3"].put_object(Bucket="lake", Key=f"passing/{day}", Body=b"x" * 1000)
        to["s3"].delete_object(Bucket="lake", Key=f"passing/{day}")
        to["events"].put_events(Entries=[{"Source": "test", "DetailType": "day", "Detail": json.dumps({"day": day})}])
        to["sns"].publish(TopicArn=self.topic, Message=day)
        to["firehose"].put_record(DeliveryStreamName="s", Record={"Data": b"x\n" * 500})
        to["logs"].create_log_stream(logGroupName="/jobs", logStreamName=day)
        now = int(self.context.clock.now().timestamp() * 1000)
        events = [{"timestamp": now, "message": f"{day}: {line}"} for line in range(50)]
        to["logs"].put_log_events(logGroupName="/jobs", logStreamName=day, logEvents=events)
        to["athena"].start_query_execution(
            QueryString="SELECT key, number FROM numbers ORDER BY key", QueryExecutionContext={"Database": "d"}
        )
        tomorrow = START + timedelta(days=self.day)
        self.context.clock.advance(tomorrow, quiet_timeout_seconds=60)
        while messages := to["sqs"].receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                to["sqs"].delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    def settle(self) -> None:
        """Let go of what is held for a while only, so that two counts differ by what stays.

        That is what urllib remembers of the last hundred addresses, and the newest events of each log stream: up to
        ``IN_MEMORY`` of them wait for their file, and how many do at one moment is chance.
        """
        urllib.parse.clear_cache()  # type: ignore[attr-defined]  # undocumented, and what empties it
        gc.collect()
        for found in gc.get_objects():
            if type(found) is LogEvents:
                found.spill()

    def objects(self) -> Counter[str]:
        """How many objects of each type there are."""
        gc.collect()
        return Counter(f"{type(found).__module__}.{type(found).__qualname__}" for found in gc.get_objects())

    def _role(self) -> str:
        principal = {"Service": [f"{service}.amazonaws.com" for service in SERVICES]}
        trust = {"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}
        made = self.to["iam"].create_role(RoleName="all", AssumeRolePolicyDocument=json.dumps(trust))
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow("*")]})
        self.to["iam"].put_role_policy(RoleName="all", PolicyName="p", PolicyDocument=policy)
        return str(made["Role"]["Arn"])

    def _store(self) -> None:
        self.to["dynamodb"].create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.to["s3"].create_bucket(Bucket="lake")
        rules = [
            {"ID": prefix, "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": KEPT_DAYS}}
            for prefix in ("results/", "arrived/")
        ]
        self.to["s3"].put_bucket_lifecycle_configuration(Bucket="lake", LifecycleConfiguration={"Rules": rules})
        buffer = io.BytesIO()
        pq.write_table(
            pa.table({"key": [str(n) for n in range(200)], "number": [float(n) for n in range(200)]}), buffer
        )
        self.to["s3"].put_object(Bucket="lake", Key="numbers/a.parquet", Body=buffer.getvalue())
        self.to["glue"].create_database(DatabaseInput={"Name": "d"})
        serde = {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"}
        columns = [{"Name": "key", "Type": "string"}, {"Name": "number", "Type": "double"}]
        storage = {"Columns": columns, "Location": "s3://lake/numbers/", "SerdeInfo": serde}
        table = {"Name": "numbers", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage}
        self.to["glue"].create_table(DatabaseName="d", TableInput=table)
        self.to["athena"].update_work_group(
            WorkGroup="primary",
            ConfigurationUpdates={"ResultConfigurationUpdates": {"OutputLocation": "s3://lake/results/"}},
        )

    def _messages(self) -> None:
        self.queue = self.to["sqs"].create_queue(QueueName="q")["QueueUrl"]
        arn = self.to["sqs"].get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        self.queue_arn = arn["Attributes"]["QueueArn"]
        self.topic = self.to["sns"].create_topic(Name="topic")["TopicArn"]
        senders = {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}
        statement = {"Effect": "Allow", "Principal": senders, "Action": "sqs:SendMessage", "Resource": self.queue_arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.to["sqs"].set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": policy})
        self.to["sns"].subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self.queue_arn)
        self.to["events"].put_rule(Name="r", EventPattern='{"source": ["test"]}')
        self.to["events"].put_targets(Rule="r", Targets=[{"Id": "q", "Arn": self.queue_arn}])
        self.to["logs"].create_log_group(logGroupName="/jobs")
        self.to["logs"].put_retention_policy(logGroupName="/jobs", retentionInDays=KEPT_DAYS)

    def _function(self, role: str) -> None:
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("h.py", "def handle(event, context):\n    print(event)\n    return event\n")
        self.function = self.to["lambda"].create_function(
            FunctionName="f", Runtime="python3.13", Handler="h.handle", Role=role, Code={"ZipFile": package.getvalue()}
        )["FunctionArn"]
        self.to["scheduler"].create_schedule(
            Name="daily",
            ScheduleExpression="rate(12 hours)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": self.function, "RoleArn": role},
        )

    def _machine(self, role: str) -> None:
        call: State = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Choose"}
        call |= {"Parameters": {"FunctionName": self.function, "Payload.$": "$"}, "OutputPath": "$.Payload"}
        rule = {"Variable": "$.n", "NumericEquals": 1, "Next": "Both"}
        branch = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
        states = {
            "Call": call,
            "Choose": {"Type": "Choice", "Choices": [rule]},
            "Both": {"Type": "Parallel", "Branches": [branch, branch], "Next": "Wait"},
            "Wait": {"Type": "Wait", "Seconds": 60, "End": True},
        }
        definition = json.dumps({"StartAt": "Call", "States": states})
        made = self.to["stepfunctions"].create_state_machine(name="m", definition=definition, roleArn=role)
        self.machine = made["stateMachineArn"]

    def _stream(self, role: str) -> None:
        self.to["firehose"].create_delivery_stream(
            DeliveryStreamName="s",
            ExtendedS3DestinationConfiguration={
                "RoleARN": role,
                "BucketARN": "arn:aws:s3:::lake",
                "Prefix": "arrived/",
                "BufferingHints": {"IntervalInSeconds": 60, "SizeInMBs": 1},
            },
        )


def start(directory: Path) -> Account:
    """A cloud whose services keep things for a few days where they would for weeks."""
    from localcloud import hooks, server
    from localcloud.core.activity import Activity
    from localcloud.core.clock import Clock
    from localcloud.core.context import CloudContext
    from localcloud.core.credentials import ACCOUNT_ID, REGION
    from localcloud.core.http_server import HttpResponse, HttpServer, listen
    from localcloud.services.cloudwatch import alarms, metrics
    from localcloud.services.logs import events as log_events
    from localcloud.services.registry import services
    from localcloud.services.sns import hook as sns
    from localcloud.services.sqs import hook as sqs

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server._set_environment(port, ACCOUNT_ID, REGION)
    activity = Activity()
    context = CloudContext(
        clock=Clock(activity, START),
        activity=activity,
        port=port,
        state_directory=directory / "state",
        cache_directory=directory / "cache",
    )
    hooks.install(context)
    from localcloud.aws_api import AwsApi
    from localcloud.services.athena import hook as athena
    from localcloud.services.stepfunctions import ended as stepfunctions_ended

    stepfunctions_ended.KEPT = athena._HISTORY = sqs.KEPT = timedelta(days=KEPT_DAYS)
    alarms.HISTORY_KEPT = sns.CERTIFICATES_KEPT = 8
    metrics.MINUTES_KEPT = KEPT_DAYS * metrics.DAY
    log_events.IN_MEMORY = 16
    HttpServer(listen(port), AwsApi(lambda _: HttpResponse(404), context, services()), name="aws-api").start()
    return Account(context)


def _grown(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """What grew by one a day or more, and by how much."""
    return {name: after[name] - before[name] for name in after if after[name] - before[name] >= DAYS}


def main(directory: Path) -> None:
    """Live, and tell what stayed."""
    from localcloud import server

    account = start(directory)
    for _ in range(WARM_DAYS):
        account.live()
    account.settle()
    before, stores_before, blocks = account.objects(), stores(), sys.getallocatedblocks()
    for _ in range(DAYS):
        account.live()
    account.settle()
    after, stores_after, more = account.objects(), stores(), sys.getallocatedblocks() - blocks
    told = {
        "grown": _grown(before, after),
        "grown_stores": _grown(stores_before, stores_after),
        "blocks_a_day": more / DAYS,
        "objects": sum(after.values()),
        "stores": stores_after,
        "instance_types": len(sys.modules["moto.ec2.models.instance_types"].INSTANCE_TYPES),
    }
    print(json.dumps(told))
    server.shut_down(account.context)
    sys.stdout.flush()
    os._exit(0)  # threads that wait for the clock have nothing left to do


if __name__ == "__main__":
    main(Path(sys.argv[1]))
