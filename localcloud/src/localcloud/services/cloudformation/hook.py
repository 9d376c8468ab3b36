"""CloudFormation's API, over the engine that deploys assemblies: stacks are really made, changed and taken down.

What the engine can't do is refused by name: every action that is not below, and every parameter that would be without
effect.

Replaces: all of moto's CloudFormation, whose stacks make moto's models directly.
Why: it skips resource types it does not know and says that they are there, undoes nothing that fails, and its change
    sets do not know what a change replaces.
Obsolete: once moto makes resources through its own APIs, refuses what it does not know and rolls back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult

from localcloud.core.actions import methods_of
from localcloud.core.answers import Refusal
from localcloud.core.context import CloudContext
from localcloud.core.patching import add, replace
from localcloud.iam.access import Access, signing_key
from localcloud.iam.guard import DeniedError
from localcloud.services.cloudformation import answers, requests
from localcloud.services.cloudformation.requests import invalid
from localcloud.services.cloudformation.stacks import Stacks
from localcloud.services.s3.seam import NoSuchBucketError, ObjectStore

_PAGE = 100


def install(context: CloudContext) -> None:
    """Answer for the stacks of this cloud."""
    api = _Api(context, Stacks(context))
    answered = dict(api.actions())
    replace(CloudFormationResponse, "RESPONSE_KEY_PATH_TO_TRANSFORMER", {})  # of what moto's models are
    for name, method in methods_of("cloudformation").items():
        answer = answered.get(name) or _refusal(name, sorted(answered))
        if hasattr(CloudFormationResponse, method):
            replace(CloudFormationResponse, method, _answering(answer))
        else:
            add(CloudFormationResponse, method, _answering(answer))


Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


def _answering(answer: Answer) -> Callable[[CloudFormationResponse], ActionResult]:
    def method(self: CloudFormationResponse) -> ActionResult:
        told = answer(self.params)
        return EmptyResult() if told is None else ActionResult(told)

    return method


def _refusal(name: str, answered: list[str]) -> Answer:
    def refuse(_params: dict[str, Any]) -> None:
        raise invalid(f"the local cloud does not execute {name} of CloudFormation; it executes {', '.join(answered)}")

    return refuse


class _Api:
    """What is answered, action by action."""

    def __init__(self, context: CloudContext, stacks: Stacks) -> None:
        self._context = context
        self._stacks = stacks

    def actions(self) -> Iterator[tuple[str, Answer]]:
        """Every action with who answers it."""
        for name, method in methods_of("cloudformation").items():
            answer = getattr(self, method, None)
            if answer is not None:
                yield name, answer

    # --- change sets -------------------------------------------------------------------------------------------------

    def create_change_set(self, params: dict[str, Any]) -> dict[str, Any]:
        """Foresee what a template would change."""
        requests.refuse_what_does_not_act("CreateChangeSet", params)
        kind = params.get("ChangeSetType") or "UPDATE"
        stack, template, request = self._asked(params, create=kind == "CREATE")
        made = self._stacks.create_change_set(
            params["ChangeSetName"],
            stack,
            kind,
            template,
            request,
            description=params.get("Description"),
            on_failure=params.get("OnStackFailure") or "ROLLBACK",
            include_nested=bool(params.get("IncludeNestedStacks")),
        )
        return {"Id": made.change_set_id, "StackId": made.stack_id}

    def describe_change_set(self, params: dict[str, Any]) -> dict[str, Any]:
        """What a change set would change."""
        found = self._stacks.change_set(params["ChangeSetName"], params.get("StackName"))
        return answers.change_set_of(found, values=bool(params.get("IncludePropertyValues")))

    def list_change_sets(self, params: dict[str, Any]) -> dict[str, Any]:
        """The change sets of a stack."""
        state = self._stacks.find(params["StackName"], "Stack [{}] does not exist")
        found = self._stacks.change_sets.of_stack(state.stack_id)
        return {"Summaries": [answers.change_set_summary_of(each) for each in found]}

    def delete_change_set(self, params: dict[str, Any]) -> dict[str, Any]:
        """Throw a change set away; one that is not there is fine."""
        try:
            self._stacks.delete_change_set(self._stacks.change_set(params["ChangeSetName"], params.get("StackName")))
        except Refusal as refused:
            if refused.code != "ChangeSetNotFound":
                raise
        return {}

    def execute_change_set(self, params: dict[str, Any]) -> dict[str, Any]:
        """Carry a change set out."""
        requests.refuse_what_does_not_act("ExecuteChangeSet", params)
        found = self._stacks.change_set(params["ChangeSetName"], params.get("StackName"))
        self._stacks.execute(found)
        self._stacks.wait_a_moment(found.stack)
        return {}

    def describe_events(self, params: dict[str, Any]) -> dict[str, Any]:
        """What kept a change set from being made, or what happened to a stack."""
        if params.get("ChangeSetName"):
            found = self._stacks.change_set(params["ChangeSetName"], params.get("StackName"))
            return {"OperationEvents": answers.problems_of(found)}
        if not params.get("StackName"):
            raise invalid("DescribeEvents is answered by the local cloud for a StackName or a ChangeSetName")
        state = self._stacks.find(params["StackName"], "Stack [{}] does not exist")
        only_failed = (params.get("Filters") or {}).get("FailedEvents")
        events = [
            answers.operation_event_of(event)
            for event in reversed(self._stacks.states.events.of(state.stack_id))
            if not only_failed or event.status.endswith("_FAILED")
        ]
        return _page("OperationEvents", events, params)

    # --- stacks ------------------------------------------------------------------------------------------------------

    def create_stack(self, params: dict[str, Any]) -> dict[str, Any]:
        """Make a stack without a change set."""
        requests.refuse_what_does_not_act("CreateStack", params)
        stack, template, request = self._asked(params, create=True)
        made = self._stacks.create(
            stack,
            template,
            request,
            params.get("OnFailure") or "ROLLBACK",
            protected=bool(params.get("EnableTerminationProtection")),
        )
        self._stacks.wait_a_moment(stack)
        return {"StackId": made.stack_id}

    def update_stack(self, params: dict[str, Any]) -> dict[str, Any]:
        """Change a stack without a change set."""
        requests.refuse_what_does_not_act("UpdateStack", params)
        stack, template, request = self._asked(params, create=False)
        updated = self._stacks.update(stack, template, request)
        self._stacks.wait_a_moment(stack)
        return {"StackId": updated.stack_id}

    def delete_stack(self, params: dict[str, Any]) -> dict[str, Any]:
        """Take a stack down."""
        requests.refuse_what_does_not_act("DeleteStack", params)
        if params.get("DeletionMode", "STANDARD") != "STANDARD":
            raise invalid("DeleteStack: DeletionMode is supported by the local cloud only as STANDARD")
        self._stacks.delete(params["StackName"], params.get("RoleARN"), params.get("RetainResources") or [])
        self._stacks.wait_a_moment(params["StackName"])
        return {}

    def update_termination_protection(self, params: dict[str, Any]) -> dict[str, Any]:
        """Say whether a stack may be deleted."""
        state = self._stacks.protect(params["StackName"], on=bool(params["EnableTerminationProtection"]))
        return {"StackId": state.stack_id}

    def describe_stacks(self, params: dict[str, Any]) -> dict[str, Any]:
        """A stack, or all that are there."""
        name = params.get("StackName")
        found = [self._stacks.find(name)] if name else self._stacks.states.load_all()
        return {"Stacks": [answers.stack_of(state) for state in found]}

    def list_stacks(self, params: dict[str, Any]) -> dict[str, Any]:
        """All stacks, those that are gone included."""
        wanted = params.get("StackStatusFilter")
        states = [*self._stacks.states.load_all(), *self._stacks.states.load_all_gone()]
        found = [answers.summary_of(state) for state in states if not wanted or state.status in wanted]
        return {"StackSummaries": found}

    def describe_stack_events(self, params: dict[str, Any]) -> dict[str, Any]:
        """What happened to a stack, the newest first."""
        state = self._stacks.find(params["StackName"], "Stack [{}] does not exist")
        events = [answers.event_of(event) for event in reversed(self._stacks.states.events.of(state.stack_id))]
        return _page("StackEvents", events, params)

    def describe_stack_resources(self, params: dict[str, Any]) -> dict[str, Any]:
        """The resources of a stack."""
        name = params.get("StackName") or self._owner(params.get("PhysicalResourceId"))
        wanted = params.get("LogicalResourceId")
        found = [each for each in self._resources(name) if wanted in (None, each["LogicalResourceId"])]
        return {"StackResources": found}

    def describe_stack_resource(self, params: dict[str, Any]) -> dict[str, Any]:
        """One resource of a stack."""
        name, logical_id = params["StackName"], params["LogicalResourceId"]
        for found in self._resources(name):
            if found["LogicalResourceId"] == logical_id:
                timestamp = {"LastUpdatedTimestamp": found.pop("Timestamp")}
                return {"StackResourceDetail": {**found, **timestamp}}
        raise invalid(f"Resource {logical_id} does not exist for stack {name}")

    def list_stack_resources(self, params: dict[str, Any]) -> dict[str, Any]:
        """The resources of a stack, in pages."""
        found = [{**each, "LastUpdatedTimestamp": each["Timestamp"]} for each in self._resources(params["StackName"])]
        return _page("StackResourceSummaries", found, params)

    def list_exports(self, _params: dict[str, Any]) -> dict[str, Any]:
        """What stacks export."""
        found = [
            {"ExportingStackId": state.stack_id, "Name": name, "Value": value}
            for state in self._stacks.states.load_all()
            for name, value in state.exports.items()
        ]
        return {"Exports": found}

    def list_imports(self, params: dict[str, Any]) -> dict[str, Any]:
        """The stacks that import an export."""
        name = params["ExportName"]
        found = [state.name for state in self._stacks.states.load_all() if name in state.imports]
        if not found:
            raise invalid(f"Export '{name}' is not imported by any stack.")
        return {"Imports": found}

    # --- templates ---------------------------------------------------------------------------------------------------

    def get_template(self, params: dict[str, Any]) -> dict[str, Any]:
        """The template of a stack, or of a change set."""
        if params.get("ChangeSetName"):
            request = self._stacks.change_set(params["ChangeSetName"], params.get("StackName")).request
        elif params.get("StackName"):
            request = self._stacks.find(params["StackName"]).request
        else:
            raise invalid("Either StackName or ChangeSetName must be specified.")
        return {"TemplateBody": request.template, "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, params: dict[str, Any]) -> dict[str, Any]:
        """What a template declares."""
        if params.get("StackName"):
            text = self._stacks.find(params["StackName"]).request.template
        else:
            text = requests.template_text(params, self._read_object, None)
        return answers.template_summary_of(requests.parsed(text, params.get("StackName") or "template"))

    def validate_template(self, params: dict[str, Any]) -> dict[str, Any]:
        """Whether a text has the form of a template."""
        text = requests.template_text(params, self._read_object, None)
        return answers.template_validation_of(requests.parsed(text, "template"))

    # --- how ---------------------------------------------------------------------------------------------------------

    def _asked(self, params: dict[str, Any], *, create: bool) -> tuple[str, Any, Any]:
        """The name of the stack, its template, and what it is asked to be."""
        name = params["StackName"]
        before = self._stacks.living(name)
        stack = before.name if before is not None else name
        requests.require_name(stack)
        if not create and before is None:
            raise invalid(f"Stack [{name}] does not exist")
        previous = None if create or before is None else before.request
        text = requests.template_text(params, self._read_object, previous.template if previous else None)
        template = requests.parsed(text, stack)
        request = requests.request_of(params, text, template, previous)
        requests.require_capabilities(template, request.capabilities)
        return stack, template, request

    def _resources(self, name: str) -> list[dict[str, Any]]:
        state = self._stacks.find(name)
        return answers.resources_of(state, self._stacks.states.events.of(state.stack_id))

    def _owner(self, physical_id: str | None) -> str:
        for state in self._stacks.states.load_all():
            if any(resource.physical_id == physical_id for resource in state.resources.values()):
                return state.stack_id
        raise invalid(f"Stack for {physical_id} does not exist")

    def _read_object(self, bucket: str, key: str) -> bytes:
        try:
            found = ObjectStore(self._context, Access(self._context, signing_key())).get(bucket, key)
        except NoSuchBucketError as error:
            raise invalid(f"S3 error: The specified bucket does not exist: {error}") from error
        except DeniedError as denied:
            raise invalid(f"S3 error: Access Denied: {denied}") from denied
        if found is None:
            raise invalid(f"S3 error: The specified key does not exist: s3://{bucket}/{key}")
        return found.read()


def _page(name: str, found: list[Any], params: dict[str, Any]) -> dict[str, Any]:
    """A page of an answer; the token is where the next one begins."""
    token = params.get("NextToken") or "0"
    if not token.isdigit():
        raise invalid(f"NextToken {token} does not come from an earlier answer")
    start = int(token)
    more = {"NextToken": str(start + _PAGE)} if len(found) > start + _PAGE else {}
    return {name: found[start : start + _PAGE], **more}
