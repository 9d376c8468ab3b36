"""Events through the API: matched, transformed, delivered under the right identity, buried when refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.in_process import START, Cloud, allow

EVENTS = "events.amazonaws.com"
HERE = "us-east-1:123456789012"


class Bus:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.events = cloud.client("events")
        self.sqs = cloud.client("sqs")
        self.events.create_event_bus(Name="app")

    def queue(self, name: str = "inbox", principal: str | None = EVENTS) -> str:
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        if principal:
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": principal},
                "Action": "sqs:SendMessage",
                "Resource": f"arn:aws:sqs:{HERE}:{name}",
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        return f"arn:aws:sqs:{HERE}:{name}"

    def rule(
        self, *targets: dict[str, Any], name: str = "rule", pattern: dict[str, Any] | None = None, **more: Any
    ) -> None:
        if "ScheduleExpression" not in more:
            more |= {"EventBusName": "app", "EventPattern": json.dumps(pattern or {"source": ["app"]})}
        self.events.put_rule(Name=name, **more)
        where = {"EventBusName": "app"} if "EventBusName" in more else {}
        self.events.put_targets(Rule=name, Targets=[{"Id": "1", **t} for t in targets], **where)

    def put(self, detail: dict[str, Any] | None = None, source: str = "app") -> str:
        entry = {"Source": source, "DetailType": "Went", "Detail": json.dumps(detail or {}), "EventBusName": "app"}
        answer = self.events.put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0
        self.cloud.wait_until_quiet()
        return str(answer["Entries"][0]["EventId"])

    def received(self, name: str = "inbox") -> list[dict[str, Any]]:
        url = self.sqs.get_queue_url(QueueName=name)["QueueUrl"]
        answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        return list(answer.get("Messages", []))

    def bodies(self, name: str = "inbox") -> list[dict[str, Any]]:
        return [json.loads(message["Body"]) for message in self.received(name)]


@pytest.fixture
def bus(cloud: Cloud) -> Bus:
    return Bus(cloud)


class TestDelivery:
    def test_a_queue_gets_the_event(self, bus: Bus) -> None:
        bus.rule({"Arn": bus.queue()})
        event_id = bus.put({"n": 1})
        assert bus.bodies() == [
            {
                "version": "0",
                "id": event_id,
                "detail-type": "Went",
                "source": "app",
                "account": "123456789012",
                "time": "2026-01-05T00:00:00Z",
                "region": "us-east-1",
                "resources": [],
                "detail": {"n": 1},
            }
        ]

    def test_only_what_matches_is_delivered(self, bus: Bus) -> None:
        bus.rule({"Arn": bus.queue()}, pattern={"source": ["app"], "detail": {"n": [{"numeric": [">", 3]}]}})
        bus.put({"n": 1})
        bus.put({"n": 5})
        bus.put({"n": 5}, source="other")
        assert [body["detail"] for body in bus.bodies()] == [{"n": 5}]

    def test_a_disabled_rule_delivers_nothing(self, bus: Bus) -> None:
        bus.rule({"Arn": bus.queue()}, State="DISABLED")
        bus.put()
        assert bus.bodies() == []

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ({"Input": '{"fixed": true}'}, {"fixed": True}),
            ({"InputPath": "$.detail"}, {"who": 'Ann "A"', "n": 2}),
            (
                {
                    "InputTransformer": {
                        "InputPathsMap": {"who": "$.detail.who", "n": "$.detail.n", "all": "$.detail", "no": "$.x"},
                        "InputTemplate": '{"text": "<who> did it <n> times", "who": <who>, "n": <n>, "d": <all>, '
                        '"rule": "<aws.events.rule-name>", "missing": "<no>"}',
                    }
                },
                {
                    "text": 'Ann "A" did it 2 times',
                    "who": 'Ann "A"',
                    "n": 2,
                    "d": {"who": 'Ann "A"', "n": 2},
                    "rule": "rule",
                    "missing": "",
                },
            ),
        ],
    )
    def test_input_is_shaped(self, bus: Bus, shape: dict[str, Any], expected: dict[str, Any]) -> None:
        bus.rule({"Arn": bus.queue(), **shape})
        bus.put({"who": 'Ann "A"', "n": 2})
        assert bus.bodies() == [expected]

    def test_a_state_machine_is_started_under_the_targets_role(self, bus: Bus) -> None:
        cloud = bus.cloud
        states = cloud.client("stepfunctions")
        machine = states.create_state_machine(
            name="m",
            definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}),
            roleArn=cloud.role("machine", "states.amazonaws.com"),
        )["stateMachineArn"]
        good = cloud.role("good", EVENTS, allow("states:StartExecution", machine))
        bad = cloud.role("bad", EVENTS, allow("states:StartExecution", f"{machine}x"))
        dead = {"DeadLetterConfig": {"Arn": bus.queue("dead")}}
        bus.rule({"Arn": machine, "RoleArn": good, "InputPath": "$.detail", **dead})
        bus.rule({"Arn": machine, "RoleArn": bad, **dead}, name="second")
        bus.put({"a": 1})
        executions = states.list_executions(stateMachineArn=machine)["executions"]
        assert len(executions) == 1
        output = states.describe_execution(executionArn=executions[0]["executionArn"])["output"]
        assert json.loads(output) == {"a": 1}
        (buried,) = bus.received("dead")
        assert json.loads(buried["Body"])["detail"] == {"a": 1}
        attributes = {name: value["StringValue"] for name, value in buried["MessageAttributes"].items()}
        assert attributes["ERROR_CODE"] == "AccessDeniedException"
        assert attributes["RULE_ARN"].endswith("rule/app/second")

    def test_a_queue_whose_policy_does_not_let_events_in_gets_nothing(self, bus: Bus) -> None:
        bus.rule({"Arn": bus.queue(principal=None), "DeadLetterConfig": {"Arn": bus.queue("dead")}})
        bus.put({"n": 1})
        assert bus.bodies() == []
        (buried,) = bus.received("dead")
        assert buried["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"

    def test_a_bus_hands_on_to_another(self, bus: Bus) -> None:
        bus.events.create_event_bus(Name="second")
        target = f"arn:aws:events:{HERE}:event-bus/second"
        role = bus.cloud.role("forward", EVENTS, allow("events:PutEvents", target))
        bus.rule({"Arn": target, "RoleArn": role})
        bus.events.put_rule(Name="there", EventBusName="second", EventPattern='{"source": ["app"]}')
        bus.events.put_targets(Rule="there", EventBusName="second", Targets=[{"Id": "1", "Arn": bus.queue()}])
        bus.put({"n": 1})
        assert [body["detail"] for body in bus.bodies()] == [{"n": 1}]

    def test_topics_and_log_groups_are_targets(self, bus: Bus) -> None:
        cloud = bus.cloud
        topic = cloud.client("sns").create_topic(Name="news")["TopicArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": EVENTS},
            "Action": "sns:Publish",
            "Resource": topic,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        cloud.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
        cloud.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=bus.queue("news", principal="sns.amazonaws.com")
        )
        logs = cloud.client("logs")
        logs.create_log_group(logGroupName="/app/events")
        allow_logs = {
            "Effect": "Allow",
            "Principal": {"Service": EVENTS},
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"arn:aws:logs:{HERE}:log-group:/app/events:*",
        }
        logs.put_resource_policy(
            policyName="p", policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow_logs]})
        )
        bus.rule({"Arn": topic, "InputPath": "$.detail"})
        bus.rule({"Arn": f"arn:aws:logs:{HERE}:log-group:/app/events"}, name="logging")
        bus.put({"n": 1})
        (notice,) = bus.bodies("news")
        assert json.loads(notice["Message"]) == {"n": 1}
        (event,) = logs.filter_log_events(logGroupName="/app/events")["events"]
        assert json.loads(event["message"])["detail"] == {"n": 1}
        assert event["timestamp"] == START.timestamp() * 1000


class TestRefusals:
    def test_targets_that_nothing_is_delivered_to(self, bus: Bus) -> None:
        with pytest.raises(ClientError, match="not a target the local cloud delivers to"):
            bus.rule({"Arn": f"arn:aws:kinesis:{HERE}:stream/x"})

    def test_a_state_machine_without_a_role(self, bus: Bus) -> None:
        with pytest.raises(ClientError, match="RoleArn is required"):
            bus.rule({"Arn": f"arn:aws:states:{HERE}:stateMachine:x"})

    def test_patterns_that_would_match_anything(self, bus: Bus) -> None:
        with pytest.raises(ClientError, match="Unrecognized match type"):
            bus.rule(pattern={"detail": {"n": [{"regex": "x"}]}})

    def test_sources_that_belong_to_aws(self, bus: Bus) -> None:
        with pytest.raises(ClientError, match="Not authorized for the source"):
            bus.put(source="aws.s3")


class TestScheduledRules:
    def test_fire_on_the_local_clock(self, bus: Bus) -> None:
        bus.rule({"Arn": bus.queue()}, ScheduleExpression="rate(6 hours)")
        bus.cloud.advance(hours=13)
        assert [body["time"] for body in bus.bodies()] == ["2026-01-05T06:00:00Z", "2026-01-05T12:00:00Z"]

    def test_are_switched_and_deleted(self, bus: Bus) -> None:
        bus.rule({"Arn": bus.queue()}, ScheduleExpression="cron(0 * * * ? *)")
        bus.events.disable_rule(Name="rule")
        assert bus.cloud.advance(hours=3) == []
        bus.events.enable_rule(Name="rule")
        assert bus.cloud.advance(hours=2).count("rule rule") == 2
        bus.events.remove_targets(Rule="rule", Ids=["1"])
        bus.events.delete_rule(Name="rule")
        assert "rule rule" not in bus.cloud.advance(hours=3)

    def test_a_rule_put_again_unchanged_keeps_its_beat(self, bus: Bus) -> None:
        bus.rule({"Arn": bus.queue()}, ScheduleExpression="rate(6 hours)")
        bus.cloud.advance(hours=4)
        bus.rule({"Arn": bus.queue()}, ScheduleExpression="rate(6 hours)")
        bus.cloud.advance(hours=4)
        assert [body["time"] for body in bus.bodies()] == ["2026-01-05T06:00:00Z"]
        assert bus.cloud.context.clock.now() == START + timedelta(hours=8)
