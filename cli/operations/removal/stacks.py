"""CloudFormation stacks as a removal sees them: what they hold, what of it stays, and how they go."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError

MODEL_TAG = "everloop:model"
STATE_MACHINE = "AWS::StepFunctions::StateMachine"
QUEUE = "AWS::SQS::Queue"

_RETAINED = ("Retain", "RetainExceptOnCreate")
_FIRST_LOOK_SECONDS = 0.25
_LAST_LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Resource:
    """A resource of a stack; ``kept`` says that it outlives the stack."""

    logical_id: str
    physical_id: str
    type: str
    kept: bool


@dataclass(frozen=True)
class Stack:
    """A stack that is there.

    Attributes
    ----------
    stack_id : str
        Another one under the same name has another.
    status, reason : str
        CloudFormation's.
    protected : bool
        It may not be deleted.
    model : str or None
        The model that it is tagged with.
    """

    name: str
    stack_id: str
    status: str
    reason: str
    protected: bool
    model: str | None
    resources: tuple[Resource, ...] = ()

    def of_type(self, kind: str) -> list[str]:
        """The physical ids of its resources of a type."""
        return [resource.physical_id for resource in self.resources if resource.type == kind and resource.physical_id]


def find_stack(account: Account, name: str) -> Stack | None:
    """The stack of that name, with its resources; None when there is none."""
    client = account.client("cloudformation")
    try:
        (found,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if _is_gone(error):
            return None
        raise
    return _stack(found, tuple(_resources(client, found["StackId"])))


def model_stacks(account: Account) -> dict[str, Stack]:
    """The stacks that are tagged with a model, by its name; without their resources."""
    pages = account.client("cloudformation").get_paginator("describe_stacks").paginate()
    stacks = [_stack(found) for page in pages for found in page["Stacks"]]
    return {stack.model: stack for stack in sorted(stacks, key=lambda s: s.name) if stack.model}


def delete(account: Account, stack: Stack, meanwhile: Callable[[], object]) -> None:
    """Delete a stack and wait until it is gone.

    CloudFormation deletes it under the role with which it was deployed.

    Parameters
    ----------
    meanwhile : callable
        Called at each look: it ends what began since, and would hold the deletion.

    Raises
    ------
    CommandError
        Something of it is left, or another stack imports something of it.
    """
    client, pause = account.client("cloudformation"), _FIRST_LOOK_SECONDS
    client.delete_stack(StackName=stack.stack_id)
    while True:
        try:
            (found,) = client.describe_stacks(StackName=stack.stack_id)["Stacks"]
        except ClientError as error:
            if _is_gone(error):
                return
            raise
        status, reason = found["StackStatus"], found.get("StackStatusReason") or ""
        if status == "DELETE_COMPLETE":
            return
        if status != "DELETE_IN_PROGRESS":
            raise CommandError(
                f"the stack {stack.name} was not deleted: {status}: {reason or 'no reason given'}"
                + "".join(f"; {sentence}" for sentence in _failures(client, stack.stack_id)),
                "mend what it names, then type this again: what is gone stays gone",
            )
        meanwhile()
        time.sleep(pause)
        pause = min(2 * pause, _LAST_LOOK_SECONDS)


def _failures(client: Any, stack_id: str) -> list[str]:
    """What is left of a stack, each with its reason, newest first."""
    events = client.describe_stack_events(StackName=stack_id)["StackEvents"]
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason') or 'no reason given'}"
        for event in events
        if event["ResourceStatus"] == "DELETE_FAILED" and event["PhysicalResourceId"] != stack_id
    ][:3]


def _stack(found: dict[str, Any], resources: tuple[Resource, ...] = ()) -> Stack:
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
    return Stack(
        found["StackName"],
        found["StackId"],
        found["StackStatus"],
        found.get("StackStatusReason") or "",
        bool(found.get("EnableTerminationProtection")),
        tags.get(MODEL_TAG),
        resources,
    )


def _resources(client: Any, stack_id: str) -> Iterator[Resource]:
    kept = _kept_by_template(client, stack_id)
    for page in client.get_paginator("list_stack_resources").paginate(StackName=stack_id):
        for found in page["StackResourceSummaries"]:
            if not found["ResourceStatus"].startswith(("DELETE_COMPLETE", "DELETE_SKIPPED")):
                name = found["LogicalResourceId"]
                yield Resource(name, found.get("PhysicalResourceId") or "", found["ResourceType"], name in kept)


def _kept_by_template(client: Any, stack_id: str) -> Collection[str]:
    body = client.get_template(StackName=stack_id)["TemplateBody"]
    template = json.loads(body) if isinstance(body, str) else body
    declared = template.get("Resources") or {}
    return {name for name, resource in declared.items() if resource.get("DeletionPolicy") in _RETAINED}


def _is_gone(error: ClientError) -> bool:
    # CloudFormation has no code of its own for it.
    return "does not exist" in error.response["Error"]["Message"]
