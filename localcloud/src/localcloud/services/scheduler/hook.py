"""EventBridge Scheduler: schedules fire on the local clock, at their exact instants, under their roles.

Templated targets that invoke a function, start a state machine, send to a queue, publish to a topic or put an event are
executed; others, universal ones included, are refused. Deliveries are not tried again; a flexible time window is used
at its start.

Replaces: schedules that are recorded and never fire.
Why: what they send is what they are for.
Obsolete: once moto fires them, under their roles and at a time that can be set.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from moto.core.exceptions import ServiceException
from moto.scheduler.models import EventBridgeSchedulerBackend, Schedule, scheduler_backends

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap
from localcloud.core.schedule_expression import Expression, Rate, ScheduleExpressionError, parse
from localcloud.iam.identities import UnknownRoleError
from localcloud.iam.roles import RoleNotAssumableError, check_trust
from localcloud.services.events.seam import Courier, Planner, Sender, Sends
from localcloud.services.scheduler.support import target_problem

_PRINCIPAL = "scheduler.amazonaws.com"


MAX_NAME = 64
MAX_INPUT_BYTES = 262_144


class SchedulerError(ServiceException):
    """An error answer of EventBridge Scheduler."""


def install(context: CloudContext) -> None:
    """Fire schedules."""
    runner = ScheduleRunner(context)

    def create(original: Any) -> Any:
        def create_schedule(self: EventBridgeSchedulerBackend, **parameters: Any) -> Schedule:
            runner.check(parameters)
            schedule: Schedule = original(self, **parameters)
            runner.plan(schedule, is_new=True)
            return schedule

        return create_schedule

    def update(original: Any) -> Any:
        def update_schedule(self: EventBridgeSchedulerBackend, **parameters: Any) -> Schedule:
            runner.check(parameters)
            parameters["state"] = parameters.get("state") or "ENABLED"
            schedule: Schedule = original(self, **parameters)
            runner.plan(schedule, is_new=False)
            return schedule

        return update_schedule

    def delete(original: Any) -> Any:
        def delete_schedule(self: EventBridgeSchedulerBackend, group_name: str | None, name: str) -> None:
            schedule = self.get_schedule(group_name, name)
            original(self, group_name, name)
            runner.cancel(schedule)

        return delete_schedule

    def delete_group(original: Any) -> Any:
        def delete_schedule_group(self: EventBridgeSchedulerBackend, name: str | None) -> None:
            for schedule in list(self.get_schedule_group(name).schedules.values()):
                runner.cancel(schedule)
            original(self, name)

        return delete_schedule_group

    wrap(EventBridgeSchedulerBackend, "create_schedule", create)
    wrap(EventBridgeSchedulerBackend, "update_schedule", update)
    wrap(EventBridgeSchedulerBackend, "delete_schedule", delete)
    wrap(EventBridgeSchedulerBackend, "delete_schedule_group", delete_group)


class ScheduleRunner:
    """Plans schedules and delivers what they send."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context
        self._planner = Planner(context)
        self._courier = Courier(context)

    def check(self, parameters: dict[str, Any]) -> None:
        """Refuse a schedule that could not run.

        Raises
        ------
        SchedulerError
            ValidationException, with what is wrong.
        """
        target = parameters["target"]
        size = len((target.get("Input") or "").encode())
        if size > MAX_INPUT_BYTES:
            raise SchedulerError(
                "ValidationException", f"Target.Input has {size} bytes: it may have {MAX_INPUT_BYTES} in UTF-8"
            )
        if len(parameters["name"]) > MAX_NAME:
            raise SchedulerError(
                "ValidationException", f"Name has {len(parameters['name'])} characters, at most {MAX_NAME}"
            )
        try:
            _expression(parameters["schedule_expression"], parameters.get("schedule_expression_timezone"))
            group = _group_arn(self._context, parameters.get("group_name") or "default")
            check_trust(self._context, target["RoleArn"], _PRINCIPAL, group)
        except ScheduleExpressionError as error:
            raise SchedulerError(
                "ValidationException", f"Invalid Schedule Expression {parameters['schedule_expression']}. {error}"
            ) from error
        except (UnknownRoleError, RoleNotAssumableError) as error:
            raise SchedulerError(
                "ValidationException",
                f"The execution role you provide must allow AWS EventBridge Scheduler to assume the role. ({error})",
            ) from error
        problem = target_problem(target)
        if problem:
            raise SchedulerError("ValidationException", problem)

    def plan(self, schedule: Schedule, *, is_new: bool) -> None:
        """Plan a schedule from now on; a rate without a start date begins at once when it is new."""
        self._planner.cancel(schedule.arn)
        if schedule.state == "DISABLED":
            return
        expression = _expression(schedule.schedule_expression, schedule.schedule_expression_timezone)
        start, end = _moment(schedule.start_date), _moment(schedule.end_date)
        anchor = start or _moment(schedule.creation_date)
        assert anchor is not None

        def next_after(now: datetime) -> datetime | None:
            after = now if start is None or now >= start else start - timedelta(microseconds=1)
            due = expression.next_after(after, anchor)
            return due if due is not None and (end is None or due <= end) else None

        self._planner.plan(
            schedule.arn,
            next_after,
            partial(self._fire, schedule, next_after),
            label=f"schedule {schedule.name}",
            inclusive=is_new and isinstance(expression, Rate),
        )

    def cancel(self, schedule: Schedule) -> None:
        """Forget a schedule."""
        self._planner.cancel(schedule.arn)

    def _fire(self, schedule: Schedule, next_after: Any, due: datetime) -> bool:
        region = schedule.arn.split(":")[3]
        backend = scheduler_backends[self._context.account_id][region]
        group = backend.schedule_groups.get(schedule.group_name)
        if group is None or group.schedules.get(schedule.name) is not schedule:
            return False
        self._send(schedule, due)
        if next_after(due) is None and schedule.action_after_completion == "DELETE":
            group.delete_schedule(schedule.name)
            return False
        return True

    def _send(self, schedule: Schedule, due: datetime) -> None:
        target = schedule.target
        execution = str(uuid.uuid4())
        body = _input(schedule, due, execution)
        sender = Sender(
            principal=_PRINCIPAL,
            source_arn=schedule.arn,
            role_source_arn=_group_arn(self._context, schedule.group_name),
            role_arn=target["RoleArn"],
            dead_letter_arn=(target.get("DeadLetterConfig") or {}).get("Arn"),
            buries_by_role=True,
            dead_letter_attributes={"SCHEDULE_ARN": schedule.arn, "EXECUTION_ID": execution},
        )
        self._courier.deliver(sender, target["Arn"], partial(_deliver, target, body), body)


def _expression(text: str, zone: str | None) -> Expression:
    return parse(text, zone or "UTC", is_strict=False)


def _group_arn(context: CloudContext, name: str) -> str:
    """What roles that schedules assume see as ``aws:SourceArn``: the group, not the schedule."""
    return f"arn:aws:scheduler:{context.region}:{context.account_id}:schedule-group/{name}"


def _deliver(target: dict[str, Any], body: str, sends: Sends) -> None:
    arn = target["Arn"]
    service = arn.split(":")[2]
    if service == "lambda":
        sends.lambda_function(arn, body)
    elif service == "states":
        sends.state_machine(arn, body)
    elif service == "sqs":
        group = (target.get("SqsParameters") or {}).get("MessageGroupId")
        sends.sqs(arn, body, **({"MessageGroupId": group} if group else {}))
    elif service == "sns":
        sends.sns(arn, body)
    else:
        parameters = target["EventBridgeParameters"]
        sends.event_bus(arn, parameters["Source"], parameters["DetailType"], body)


def _moment(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
        parsed = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(value), UTC)


def _input(schedule: Schedule, due: datetime, execution: str) -> str:
    """The target's Input with the context attributes filled in, or the event sent without one."""
    time = due.strftime("%Y-%m-%dT%H:%M:%SZ")
    text: str | None = schedule.target.get("Input")
    if text is None:
        return json.dumps(
            {
                "version": "0",
                "id": execution,
                "detail-type": "Scheduled Event",
                "source": "aws.scheduler",
                "account": schedule.arn.split(":")[4],
                "time": time,
                "region": schedule.arn.split(":")[3],
                "resources": [schedule.arn],
                "detail": "{}",
            }
        )
    attributes = {
        "schedule-arn": schedule.arn,
        "scheduled-time": time,
        "execution-id": execution,
        "attempt-number": "1",
    }
    for name, value in attributes.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text
