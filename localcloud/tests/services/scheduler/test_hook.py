"""Schedules through the API: when they fire, what they send, and under whose rights."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.in_process import START, Cloud, allow

SCHEDULER = "scheduler.amazonaws.com"
HERE = "us-east-1:123456789012"
INPUT = '{"at": "<aws.scheduler.scheduled-time>", "n": <aws.scheduler.attempt-number>}'


class Schedules:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.client = cloud.client("scheduler")
        self.sqs = cloud.client("sqs")
        for name in ("inbox", "dead"):
            self.sqs.create_queue(QueueName=name)
        self.role = cloud.role("scheduler", SCHEDULER, allow("sqs:SendMessage"))

    def put(
        self,
        expression: str,
        call: str = "create_schedule",
        name: str = "s",
        target: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        target = {"Arn": f"arn:aws:sqs:{HERE}:inbox", "RoleArn": self.role, "Input": INPUT, **(target or {})}
        getattr(self.client, call)(
            Name=name,
            ScheduleExpression=expression,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=target,
            **more,
        )

    def bodies(self, queue: str = "inbox") -> list[dict[str, Any]]:
        url = self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        found: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(message["Body"]) for message in messages]
        return found

    def times(self) -> list[str]:
        return [body["at"] for body in self.bodies()]


@pytest.fixture
def schedules(cloud: Cloud) -> Schedules:
    return Schedules(cloud)


class TestTimes:
    def test_cron_fires_at_its_exact_instants_in_its_zone(self, schedules: Schedules) -> None:
        schedules.put("cron(30 9 ? * MON-FRI *)", ScheduleExpressionTimezone="Europe/Berlin")
        schedules.cloud.advance(days=2)
        assert schedules.bodies() == [
            {"at": "2026-01-05T08:30:00Z", "n": 1},
            {"at": "2026-01-06T08:30:00Z", "n": 1},
        ]

    def test_a_rate_without_a_start_begins_at_once(self, schedules: Schedules) -> None:
        schedules.put("rate(12 hours)")
        schedules.cloud.advance(days=1)
        assert schedules.times() == ["2026-01-05T00:00:00Z", "2026-01-05T12:00:00Z", "2026-01-06T00:00:00Z"]

    def test_start_and_end_bound_a_schedule(self, schedules: Schedules) -> None:
        schedules.put("rate(1 day)", StartDate=START + timedelta(hours=5), EndDate=START + timedelta(days=2))
        schedules.cloud.advance(days=4)
        assert schedules.times() == ["2026-01-05T05:00:00Z", "2026-01-06T05:00:00Z"]

    def test_one_time_schedules_fire_once_and_can_go_away(self, schedules: Schedules) -> None:
        schedules.put("at(2026-01-05T10:00:00)", ActionAfterCompletion="DELETE")
        schedules.cloud.advance(days=2)
        assert schedules.times() == ["2026-01-05T10:00:00Z"]
        with pytest.raises(schedules.client.exceptions.ResourceNotFoundException):
            schedules.client.get_schedule(Name="s")

    def test_disabled_schedules_do_not_fire(self, schedules: Schedules) -> None:
        schedules.put("rate(1 hour)", State="DISABLED")
        assert schedules.cloud.advance(hours=5) == []

    def test_updates_and_deletes_plan_anew(self, schedules: Schedules) -> None:
        schedules.put("cron(0 1 * * ? *)")
        schedules.put("cron(0 2 * * ? *)", call="update_schedule")
        schedules.cloud.advance(hours=3)
        schedules.client.delete_schedule(Name="s")
        schedules.cloud.advance(days=2)
        assert schedules.times() == ["2026-01-05T02:00:00Z"]


class TestTargets:
    def test_all_context_attributes_are_filled_in(self, schedules: Schedules) -> None:
        names = ("schedule-arn", "scheduled-time", "execution-id", "attempt-number")
        template = json.dumps({name: f"<aws.scheduler.{name}>" for name in names})
        schedules.put("cron(0 1 * * ? *)", target={"Input": template})
        schedules.cloud.advance(hours=1)
        (body,) = schedules.bodies()
        assert body["schedule-arn"] == f"arn:aws:scheduler:{HERE}:schedule/default/s"
        assert body["scheduled-time"] == "2026-01-05T01:00:00Z"
        assert len(body["execution-id"]) == 36
        assert body["attempt-number"] == "1"

    def test_the_role_is_enforced_and_failures_are_buried(self, schedules: Schedules) -> None:
        queue = f"arn:aws:sqs:{HERE}:dead"
        role = schedules.cloud.role("narrow", SCHEDULER, allow("sqs:SendMessage", queue))
        schedules.put("cron(0 1 * * ? *)", target={"RoleArn": role, "DeadLetterConfig": {"Arn": queue}})
        schedules.cloud.advance(hours=1)
        assert schedules.bodies() == []
        assert schedules.bodies("dead") == [{"at": "2026-01-05T01:00:00Z", "n": 1}]

    def test_events_are_put_on_a_bus(self, schedules: Schedules) -> None:
        events = schedules.cloud.client("events")
        events.create_event_bus(Name="app")
        events.put_rule(Name="r", EventBusName="app", EventPattern='{"source": ["timer"]}')
        queue = f"arn:aws:sqs:{HERE}:inbox"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
        }
        url = schedules.sqs.get_queue_url(QueueName="inbox")["QueueUrl"]
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        schedules.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        events.put_targets(Rule="r", EventBusName="app", Targets=[{"Id": "1", "Arn": queue, "InputPath": "$.detail"}])
        bus = f"arn:aws:events:{HERE}:event-bus/app"
        role = schedules.cloud.role("putter", SCHEDULER, allow("events:PutEvents", bus))
        target = {"Arn": bus, "RoleArn": role, "EventBridgeParameters": {"Source": "timer", "DetailType": "Tick"}}
        schedules.put("cron(0 1 * * ? *)", target=target)
        schedules.cloud.advance(hours=1)
        assert schedules.times() == ["2026-01-05T01:00:00Z"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("expression", "target", "named"),
        [
            ("cron(0 0 * * * *)", {}, "Invalid Schedule Expression"),
            ("rate(1 day)", {"Arn": "arn:aws:scheduler:::aws-sdk:s3:listBuckets"}, "not a target"),
            ("rate(1 day)", {"RoleArn": "arn:aws:iam::123456789012:role/none"}, "must allow AWS EventBridge Scheduler"),
        ],
    )
    def test_what_could_not_run(
        self, schedules: Schedules, expression: str, target: dict[str, Any], named: str
    ) -> None:
        with pytest.raises(ClientError, match=named) as caught:
            schedules.put(expression, target=target)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
