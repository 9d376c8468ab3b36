"""Step Functions state machines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from localcloud.cloudformation.exceptions import ResourceError
from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import TAGS, Problem, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, changed, known, names, tag_map
from localcloud.cloudformation.shapes import member_arguments
from localcloud.services.stepfunctions.support import unsupported_features

_SUBSTITUTION = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


class StateMachine(Handler):
    """A state machine."""

    type = "AWS::StepFunctions::StateMachine"
    table = table_of(
        """
        StateMachineName StateMachineType RoleArn Definition(*) DefinitionString DefinitionSubstitutions(*)
        DefinitionS3Location(Bucket Key Version)
        """,
        kept={
            "LoggingConfiguration": "GetExecutionHistory has the whole history",
            "TracingConfiguration": "traces are not written here",
            "Tags": TAGS,
        },
        refused={"EncryptionConfiguration": "nothing is encrypted here: leave it out"},
    )
    attributes = names("Arn Name")
    required = names("RoleArn")
    create_only = names("StateMachineName StateMachineType")
    name_property = "StateMachineName"

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """What of its definition is not executed."""
        given = next((name for name in ("DefinitionString", "Definition") if name in properties), None)
        if given is None:
            if known(properties, "StateMachineType") == "EXPRESS":
                yield Problem("StateMachineType", "must be STANDARD: express workflows are not executed")
            return
        definition = properties[given]
        text = definition if isinstance(definition, str) else json.dumps(definition)
        text = _filled(text, properties.get("DefinitionSubstitutions") or {})
        for problem in unsupported_features(text, properties.get("StateMachineType")):
            yield Problem(given, f"is not supported: {problem}")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the state machine."""
        client = place.client("stepfunctions")
        name = properties.get("StateMachineName") or place.new_name(80)
        arn = client.create_state_machine(
            name=name,
            type=properties.get("StateMachineType", "STANDARD"),
            tags=[{"key": key, "value": value} for key, value in tag_map(properties.get("Tags")).items()],
            **self._arguments(place, properties),
        )["stateMachineArn"]
        return Made(arn, {"Arn": arn, "Name": name})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Update definition, role and configurations together, as the API takes them."""
        client = place.client("stepfunctions")
        arguments = self._arguments(place, new)
        if "LoggingConfiguration" in old:
            arguments.setdefault("loggingConfiguration", {"level": "OFF"})
        if "TracingConfiguration" in old:
            arguments.setdefault("tracingConfiguration", {"enabled": False})
        client.update_state_machine(stateMachineArn=made.physical_id, **arguments)
        if changed(old, new, "Tags"):
            gone = sorted(set(tag_map(old.get("Tags"))) - set(tag_map(new.get("Tags"))))
            if gone:
                client.untag_resource(resourceArn=made.physical_id, tagKeys=gone)
            tags = [{"key": key, "value": value} for key, value in tag_map(new.get("Tags")).items()]
            if tags:
                client.tag_resource(resourceArn=made.physical_id, tags=tags)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the state machine, and wait until it is gone: while an execution runs, it is not."""
        client, arn = place.client("stepfunctions"), made.physical_id
        client.delete_state_machine(stateMachineArn=arn)
        if not place.wait(lambda: not _exists(client, arn)):
            raise ResourceError(
                f"{place.where}: {arn} stays DELETING while executions run; stop them (`aws stepfunctions "
                f"list-executions --status-filter RUNNING --state-machine-arn {arn}`, `aws stepfunctions stop-execution"
                " --execution-arn ARN`), then delete the stack again"
            )

    def _arguments(self, place: Place, properties: Properties) -> dict[str, Any]:
        client = place.client("stepfunctions")
        arguments = {"definition": _definition(place, properties), "roleArn": properties["RoleArn"]}
        for name in ("LoggingConfiguration", "TracingConfiguration"):
            if name in properties:
                member = name[0].lower() + name[1:]
                arguments[member] = member_arguments(
                    client, "CreateStateMachine", member, properties[name], f"{place.where}: {name}"
                )
        return arguments


def _exists(client: Any, arn: str) -> bool:
    try:
        client.describe_state_machine(stateMachineArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "StateMachineDoesNotExist":
            raise
        return False
    return True


def _definition(place: Place, properties: Properties) -> str:
    given = [name for name in ("Definition", "DefinitionString", "DefinitionS3Location") if name in properties]
    if len(given) != 1:
        raise place.unsupported("DefinitionString", f"or one of its alternatives must be given once, not {given}")
    if given == ["DefinitionS3Location"]:
        location = properties["DefinitionS3Location"]
        version = {"VersionId": location["Version"]} if "Version" in location else {}
        found = place.client("s3").get_object(Bucket=location["Bucket"], Key=location["Key"], **version)
        text = found["Body"].read().decode()
    else:
        definition = properties[given[0]]
        text = definition if isinstance(definition, str) else json.dumps(definition)
    return _filled(text, properties.get("DefinitionSubstitutions", {}))


def _filled(text: str, substitutions: Properties) -> str:
    def replace(match: re.Match[str]) -> str:
        return str(substitutions.get(match.group(1), match.group(0)))

    return _SUBSTITUTION.sub(replace, text)


HANDLERS = (StateMachine(),)
