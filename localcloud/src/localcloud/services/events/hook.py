"""EventBridge: events reach their targets, and scheduled rules fire on the local clock.

Targets are functions, state machines, queues, topics, log groups and buses; others are refused by PutTargets.
Deliveries are not tried again, see :mod:`localcloud.services.events.delivery`.

Replaces: deliveries within the call that put the event, as nobody, to some kinds of targets; schedules that never fire.
Why: an event's sender does not wait for its targets, and a target's role or policy decides who may reach it.
Obsolete: once moto delivers later, under the target's role or by its policy, to dead-letter queues too, at a time
    that can be set.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, cast

from moto.core.exceptions import JsonRESTError
from moto.events.exceptions import InvalidEventPatternException
from moto.events.models import EventsBackend, Rule, events_backends
from moto.events.responses import EventsHandler
from moto.events.utils import EventMessageType

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap
from localcloud.core.schedule_expression import parse
from localcloud.services.events.delivery import Courier, Sender, Sends
from localcloud.services.events.limits import check_events
from localcloud.services.events.planner import Planner
from localcloud.services.events.support import kind_of, schedule_problem, target_problem, unknown_filters
from localcloud.services.events.target_input import target_input

_PRINCIPAL = "events.amazonaws.com"


class _Dated(Protocol):
    """A scheduled rule with what moto's do not have: when its schedule began."""

    created_at: datetime


def install(context: CloudContext) -> None:
    """Deliver events and fire scheduled rules."""
    deliveries = RuleDeliveries(context)
    _install_rules(context, deliveries)

    def put_events(original: Callable[[EventsHandler], str]) -> Any:
        def put_events_of_callers(self: EventsHandler) -> str:
            entries = self._get_param("Entries")
            if any(str(entry.get("Source", "")).startswith("aws.") for entry in entries):
                raise JsonRESTError("NotAuthorizedForSourceException", "Not authorized for the source.")
            check_events(entries)
            return original(self)

        return put_events_of_callers

    def put_targets(original: Any) -> Any:
        def put_known_targets(self: EventsHandler) -> Any:
            for target in self._get_param("Targets") or []:
                problem = target_problem(target)
                if problem:
                    raise JsonRESTError("ValidationException", f"Target {target.get('Id')}: {problem}")
            return original(self)

        return put_known_targets

    def send(self: Rule, event: EventMessageType, transform_input: bool = True) -> None:
        if self.state == "DISABLED" or (self.scheduled_expression and not self.event_pattern.get_pattern()):
            return
        if self.event_pattern.matches_event(event):
            deliveries.send(self, _public(event))

    wrap(EventsHandler, "put_events", put_events)
    wrap(EventsHandler, "put_targets", put_targets)
    replace(Rule, "send_to_targets", send)


def _public(event: EventMessageType) -> dict[str, Any]:
    """An event as targets see it."""
    moment = event["time"]
    if not isinstance(moment, str):
        moment = datetime.fromtimestamp(float(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = ("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")
    return {name: {**event, "time": moment}[name] for name in fields}


def _install_rules(context: CloudContext, deliveries: RuleDeliveries) -> None:
    """Keep the timers of scheduled rules in step with the rules."""
    planner = Planner(context)

    def plan(rule: Rule) -> None:
        planner.cancel(rule.arn)
        if not rule.scheduled_expression or rule.state == "DISABLED":
            return
        dated = cast(_Dated, rule)
        if not hasattr(dated, "created_at"):
            dated.created_at = context.clock.now()
        expression = parse(rule.scheduled_expression)
        planner.plan(
            rule.arn,
            lambda now: expression.next_after(now, dated.created_at),
            partial(fire, rule),
            label=f"rule {rule.name}",
        )

    def fire(rule: Rule, due: datetime) -> bool:
        bus = events_backends[rule.account_id][rule.region_name].event_buses[rule.event_bus_name]
        if bus.rules.get(rule.name) is not rule:
            return False
        deliveries.send(
            rule,
            {
                "version": "0",
                "id": str(uuid.uuid4()),
                "detail-type": "Scheduled Event",
                "source": "aws.events",
                "account": rule.account_id,
                "time": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "region": rule.region_name,
                "resources": [rule.arn],
                "detail": {},
            },
        )
        return True

    def put_rule(original: Callable[..., Rule]) -> Any:
        def put_and_plan(self: EventsBackend, name: str, *arguments: Any, **keywords: Any) -> Rule:
            _check_rule(keywords.get("scheduled_expression"), keywords.get("event_pattern"))
            bus = self.event_buses.get(self._normalize_event_bus_arn(keywords.get("event_bus_arn")))
            earlier = bus.rules.get(name) if bus else None
            rule = original(self, name, *arguments, **keywords)
            if earlier is not None and earlier.scheduled_expression == rule.scheduled_expression:
                cast(_Dated, rule).created_at = getattr(earlier, "created_at", context.clock.now())
            plan(rule)
            return rule

        return put_and_plan

    def switch(original: Callable[[EventsBackend, str, str | None], bool]) -> Any:
        def switch_and_plan(self: EventsBackend, name: str, event_bus_arn: str | None) -> bool:
            done = original(self, name, event_bus_arn)
            if done:
                plan(self.describe_rule(name, event_bus_arn))
            return done

        return switch_and_plan

    def delete_rule(original: Any) -> Any:
        def delete_and_forget(self: EventsBackend, name: str, event_bus_arn: str | None) -> None:
            bus = self.event_buses.get(self._normalize_event_bus_arn(event_bus_arn))
            rule = bus.rules.get(name) if bus else None
            original(self, name, event_bus_arn)
            if rule is not None:
                planner.cancel(rule.arn)

        return delete_and_forget

    wrap(EventsBackend, "put_rule", put_rule)
    wrap(EventsBackend, "delete_rule", delete_rule)
    wrap(EventsBackend, "enable_rule", switch)
    wrap(EventsBackend, "disable_rule", switch)


def _check_rule(expression: str | None, pattern: str | None) -> None:
    problem = schedule_problem(expression) if expression else None
    if problem:
        raise JsonRESTError("ValidationException", f"Parameter ScheduleExpression is not valid. {problem}")
    unknown = unknown_filters(json.loads(pattern)) if pattern else []
    if unknown:
        raise InvalidEventPatternException(reason=f"Unrecognized match type {', '.join(unknown)}")


class RuleDeliveries:
    """Sends events to the targets of rules."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context
        self._courier = Courier(context)

    def send(self, rule: Rule, event: dict[str, Any]) -> None:
        """Start a delivery to each target of a rule."""
        for target in list(rule.targets):
            if kind_of(target["Arn"]) == "archive":
                self._archive(rule, target, event)
                continue
            sender = Sender(
                principal=_PRINCIPAL,
                source_arn=rule.arn,
                role_arn=target.get("RoleArn"),
                dead_letter_arn=(target.get("DeadLetterConfig") or {}).get("Arn"),
                buries_by_role=False,
                dead_letter_attributes={"RULE_ARN": rule.arn},
            )
            self._courier.deliver(sender, target["Arn"], partial(self._send, rule, target, event), json.dumps(event))

    def _send(self, rule: Rule, target: dict[str, Any], event: dict[str, Any], sends: Sends) -> None:
        reserved = {
            "aws.events.rule-arn": rule.arn,
            "aws.events.rule-name": rule.name,
            "aws.events.event.ingestion-time": event["time"],
        }
        text, arn = target_input(target, event, reserved), target["Arn"]
        kind = kind_of(arn)
        if kind == "lambda":
            sends.lambda_function(arn, text)
        elif kind == "states":
            sends.state_machine(arn, text)
        elif kind == "sqs":
            group = (target.get("SqsParameters") or {}).get("MessageGroupId")
            sends.sqs(arn, _unquoted(text), **({"MessageGroupId": group} if group else {}))
        elif kind == "sns":
            sends.sns(arn, _unquoted(text))
        elif kind == "logs":
            sends.log_group(arn, text, event["id"])
        else:
            sends.event_bus(arn, event["source"], event["detail-type"], json.dumps(event["detail"]))

    @staticmethod
    def _archive(rule: Rule, target: dict[str, Any], event: dict[str, Any]) -> None:
        match = re.search(r'"archive-arn": "[^"]*:archive/([^"]*)"', target["InputTransformer"]["InputTemplate"])
        assert match is not None
        rule._send_to_events_archive(match[1], cast(EventMessageType, event))


def _unquoted(text: str) -> str:
    """Queues and topics get a JSON string as its text."""
    if not text.startswith('"'):
        return text
    value = json.loads(text)
    return value if isinstance(value, str) else text
