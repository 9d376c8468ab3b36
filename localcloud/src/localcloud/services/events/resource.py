"""EventBridge buses, their policies, and rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from localcloud.cloudformation.exceptions import ResourceError
from localcloud.cloudformation.intrinsics import Made, is_known
from localcloud.cloudformation.properties import DESCRIPTION, ENCRYPTION, TAGS, Problem, table_of
from localcloud.cloudformation.resource import (
    Handler,
    Place,
    Properties,
    changed,
    ignoring,
    known,
    names,
    tag_map,
    without,
)
from localcloud.cloudformation.shapes import call_arguments, document_text, member_arguments
from localcloud.services.events.support import pattern_problem, schedule_problem, target_problem

_GONE = "ResourceNotFoundException"


class EventBus(Handler):
    """An event bus."""

    type = "AWS::Events::EventBus"
    table = table_of(
        "Name",
        kept={
            "Description": DESCRIPTION,
            "Tags": TAGS,
            "KmsKeyIdentifier": ENCRYPTION,
            "DeadLetterConfig": "it gets only events that can't be decrypted, and no event is encrypted here",
        },
        refused={
            "Policy": "write an AWS::Events::EventBusPolicy",
            "EventSourceName": "partner event sources do not exist here",
            "LogConfig": "a rule can send all events to a log group",
        },
    )
    attributes = names("Arn Name")
    required = names("Name")
    create_only = names("Name")
    name_property = "Name"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the bus."""
        events = place.client("events")
        arn = events.create_event_bus(**call_arguments(events, "CreateEventBus", properties, place.where))[
            "EventBusArn"
        ]
        return Made(properties["Name"], {"Arn": arn, "Name": properties["Name"]})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change description, key and dead-letter queue."""
        events = place.client("events")
        if changed(old, new, "Description", "DeadLetterConfig", "KmsKeyIdentifier"):
            arguments = call_arguments(events, "UpdateEventBus", without(new, "Tags"), place.where)
            events.update_event_bus(**arguments)
        _write_tags(events, made.attributes["Arn"], old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the bus."""
        events = place.client("events")
        ignoring(lambda: events.delete_event_bus(Name=made.physical_id), _GONE)


class EventBusPolicy(Handler):
    """One statement of a bus's policy."""

    type = "AWS::Events::EventBusPolicy"
    table = table_of(
        "EventBusName StatementId",
        kept={
            "Statement Action Principal Condition": (
                "there is only one account here, and the policies of its roles decide"
            ),
        },
    )
    required = names("StatementId")
    create_only = names("EventBusName StatementId")

    def create(self, place: Place, properties: Properties) -> Made:
        """Add the statement, or replace the one of its id."""
        events = place.client("events")
        bus = properties.get("EventBusName", "default")
        if "Statement" not in properties:
            given = {"EventBusName": bus, **properties}
            events.put_permission(**call_arguments(events, "PutPermission", given, place.where))
        else:
            statements = [
                statement
                for statement in self._statements(events, bus)
                if statement.get("Sid") != properties["StatementId"]
            ]
            arn = events.describe_event_bus(Name=bus)["Arn"]
            added = {"Sid": properties["StatementId"], "Resource": arn, **properties["Statement"]}
            policy = {"Version": "2012-10-17", "Statement": [*statements, added]}
            events.put_permission(EventBusName=bus, Policy=json.dumps(policy))
        return Made(f"{bus}|{properties['StatementId']}")

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Replace the statement."""
        return self.create(place, new)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Take the statement out of the policy."""
        events = place.client("events")
        bus = properties.get("EventBusName", "default")
        where = {"EventBusName": bus, "StatementId": properties["StatementId"]}
        ignoring(lambda: events.remove_permission(**where), _GONE)

    def _statements(self, events: Any, bus: str) -> list[dict[str, Any]]:
        policy = events.describe_event_bus(Name=bus).get("Policy")
        return json.loads(policy)["Statement"] if policy else []


class Rule(Handler):
    """A rule with its targets."""

    type = "AWS::Events::Rule"
    table = table_of(
        """
        Name EventBusName EventPattern(*) ScheduleExpression State
        Targets(
            Id Arn RoleArn Input InputPath InputTransformer(InputPathsMap(*) InputTemplate) DeadLetterConfig(Arn)
            SqsParameters(MessageGroupId)
        )
        """,
        kept={
            "Description": DESCRIPTION,
            "Tags": TAGS,
            "RoleArn": "give each target a role instead",
            "Targets.RetryPolicy": "deliveries are not retried here",
        },
    )
    attributes = names("Arn RuleName")
    create_only = names("Name EventBusName")
    name_property = "Name"

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Expressions and patterns that can't be read, and targets that events are not brought to."""
        for name, check in (("ScheduleExpression", schedule_problem), ("EventPattern", pattern_problem)):
            value = known(properties, name)
            problem = check(value) if value is not None else None
            if problem:
                yield Problem(name, f"is not supported: {problem}")
        for index, target in enumerate(properties.get("Targets") or ()):
            problem = target_problem(target) if is_known(target.get("Arn", "")) else None
            if problem:
                yield Problem(f"Targets[{index}]", f"is not supported: {problem}")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the rule, then add its targets."""
        events = place.client("events")
        name = properties.get("Name") or place.new_name(64)
        bus = properties.get("EventBusName", "default")
        if _rule_exists(events, name, bus):
            raise place.exists_already(f"rule {name} of bus {bus}")
        arn = self._put(place, name, properties)
        bus_name = bus.rsplit("/", 1)[-1]
        physical_id = name if bus_name == "default" else f"{bus_name}|{name}"
        made = Made(physical_id, {"Arn": arn, "RuleName": name})
        place.begun.append(made)
        self._write_targets(place, made, {}, properties)
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change the rule, then its targets."""
        if changed(old, new, "Description", "EventPattern", "ScheduleExpression", "State", "RoleArn"):
            self._put(place, made.attributes["RuleName"], without(new, "Tags"))
        self._write_targets(place, made, old, new)
        _write_tags(place.client("events"), made.attributes["Arn"], old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Take the targets away, then delete the rule."""
        events = place.client("events")
        where = {
            "Name": made.attributes["RuleName"],
            "EventBusName": properties.get("EventBusName", "default"),
        }
        ignoring(lambda: self._write_targets(place, made, properties, {}), _GONE)
        ignoring(lambda: events.delete_rule(**where), _GONE)

    def _put(self, place: Place, name: str, properties: Properties) -> str:
        events = place.client("events")
        given = {"State": "ENABLED", **without(properties, "Targets"), "Name": name}
        if "EventPattern" in given:
            given["EventPattern"] = document_text(given["EventPattern"])
        return str(events.put_rule(**call_arguments(events, "PutRule", given, place.where))["RuleArn"])

    def _write_targets(self, place: Place, made: Made, old: Properties, new: Properties) -> None:
        events = place.client("events")
        bus = (new or old).get("EventBusName", "default")
        before = {target["Id"]: target for target in old.get("Targets", [])}
        after = {target["Id"]: target for target in new.get("Targets", [])}
        where = {"Rule": made.attributes["RuleName"], "EventBusName": bus}
        gone = sorted(before.keys() - after.keys())
        if gone:
            _check_entries(place, events.remove_targets(**where, Ids=gone))
        put = [target for name, target in after.items() if target != before.get(name)]
        if put:
            targets = member_arguments(events, "PutTargets", "Targets", put, f"{place.where}: Targets")
            _check_entries(place, events.put_targets(**where, Targets=targets))


def _rule_exists(events: Any, name: str, bus: str) -> bool:
    try:
        events.describe_rule(Name=name, EventBusName=bus)
    except ClientError as error:
        if error.response["Error"]["Code"] == _GONE:
            return False
        raise
    return True


def _check_entries(place: Place, answer: dict[str, Any]) -> None:
    if answer.get("FailedEntryCount"):
        raise ResourceError(f"{place.where}: targets failed: {answer['FailedEntries']}")


def _write_tags(events: Any, arn: str, old: Properties, new: Properties) -> None:
    if not changed(old, new, "Tags"):
        return
    gone = sorted(set(tag_map(old.get("Tags"))) - set(tag_map(new.get("Tags"))))
    if gone:
        events.untag_resource(ResourceARN=arn, TagKeys=gone)
    tags = [{"Key": key, "Value": value} for key, value in tag_map(new.get("Tags")).items()]
    if tags:
        events.tag_resource(ResourceARN=arn, Tags=tags)


HANDLERS = (EventBus(), EventBusPolicy(), Rule())
