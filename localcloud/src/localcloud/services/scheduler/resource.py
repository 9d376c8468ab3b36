"""EventBridge Scheduler's schedules and groups."""

from __future__ import annotations

from collections.abc import Iterator

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import DESCRIPTION, ENCRYPTION, TAGS, Problem, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, ignoring, known, names, tag_map
from localcloud.cloudformation.shapes import call_arguments
from localcloud.core.schedule_expression import ScheduleExpressionError, parse
from localcloud.services.scheduler.support import target_problem

_GONE = "ResourceNotFoundException"


class Schedule(Handler):
    """A schedule."""

    type = "AWS::Scheduler::Schedule"
    table = table_of(
        """
        Name GroupName ScheduleExpression ScheduleExpressionTimezone StartDate EndDate State
        FlexibleTimeWindow(Mode MaximumWindowInMinutes)
        Target(
            Arn RoleArn Input DeadLetterConfig(Arn) EventBridgeParameters(DetailType Source)
            SqsParameters(MessageGroupId)
        )
        """,
        kept={
            "Description": DESCRIPTION,
            "KmsKeyArn": ENCRYPTION,
            "Target.RetryPolicy": "deliveries are not retried here",
        },
    )
    attributes = names("Arn")
    required = names("FlexibleTimeWindow ScheduleExpression Target")
    # The API can not move a schedule between groups.
    create_only = names("Name GroupName")
    name_property = "Name"

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Expressions that can't be read, and targets that nothing is sent to."""
        expression = known(properties, "ScheduleExpression")
        zone = known(properties, "ScheduleExpressionTimezone") or "UTC"
        if expression is not None:
            try:
                parse(str(expression), str(zone), is_strict=False)
            except ScheduleExpressionError as error:
                yield Problem("ScheduleExpression", f"is not supported: {error}")
        target = known(properties, "Target", "Arn")
        problem = target_problem(properties["Target"]) if target is not None else None
        if problem:
            yield Problem("Target", f"is not supported: {problem}")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the schedule."""
        scheduler = place.client("scheduler")
        name = properties.get("Name") or place.new_name(64)
        given = {**properties, "Name": name}
        arn = scheduler.create_schedule(**call_arguments(scheduler, "CreateSchedule", given, place.where))[
            "ScheduleArn"
        ]
        return Made(name, {"Arn": arn})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Replace all of the schedule's settings, as the API does."""
        scheduler = place.client("scheduler")
        given = {**new, "Name": made.physical_id}
        scheduler.update_schedule(**call_arguments(scheduler, "UpdateSchedule", given, place.where))
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the schedule."""
        scheduler = place.client("scheduler")
        where = {"Name": made.physical_id, "GroupName": properties.get("GroupName", "default")}
        ignoring(lambda: scheduler.delete_schedule(**where), _GONE)


class ScheduleGroup(Handler):
    """A group of schedules."""

    type = "AWS::Scheduler::ScheduleGroup"
    table = table_of("Name", kept={"Tags": TAGS})
    attributes = names("Arn")
    create_only = names("Name")
    name_property = "Name"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the group."""
        scheduler = place.client("scheduler")
        name = properties.get("Name") or place.new_name(64)
        tags = [{"Key": key, "Value": value} for key, value in tag_map(properties.get("Tags")).items()]
        arn = scheduler.create_schedule_group(Name=name, Tags=tags)["ScheduleGroupArn"]
        return Made(name, {"Arn": arn})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change the tags."""
        scheduler = place.client("scheduler")
        gone = sorted(set(tag_map(old.get("Tags"))) - set(tag_map(new.get("Tags"))))
        if gone:
            scheduler.untag_resource(ResourceArn=made.attributes["Arn"], TagKeys=gone)
        tags = [{"Key": key, "Value": value} for key, value in tag_map(new.get("Tags")).items()]
        if tags:
            scheduler.tag_resource(ResourceArn=made.attributes["Arn"], Tags=tags)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the group with its schedules."""
        scheduler = place.client("scheduler")
        ignoring(lambda: scheduler.delete_schedule_group(Name=made.physical_id), _GONE)


HANDLERS = (Schedule(), ScheduleGroup())
