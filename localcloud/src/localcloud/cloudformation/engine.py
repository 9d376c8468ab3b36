"""Deploys one stack: creates, updates, replaces and deletes resources, and undoes what fails."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.cloudformation.events import STACK_TYPE, StackEvent
from localcloud.cloudformation.examination import examine
from localcloud.cloudformation.exceptions import (
    DeletionFailedError,
    DeployError,
    RollbackFailedError,
    TemplateError,
)
from localcloud.cloudformation.intrinsics import Scope
from localcloud.cloudformation.resource import Handler, Place, Wait, wait_a_moment
from localcloud.cloudformation.run import StackRun
from localcloud.cloudformation.state import DeployedResource, Hold, StackRequest, StackState, StateDirectory
from localcloud.cloudformation.template import Declaration, Template
from localcloud.core.numbers_of import number_of

_PATIENCE_SECONDS = 2.0
RETAINING = ("Retain", "RetainExceptOnCreate")
_NEVER_CAME_UP = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED")


@dataclass(frozen=True)
class DeployEvent:
    """Something that happened to a resource, or to a stack when ``logical_id`` is empty.

    ``action`` is one of ``create``, ``update``, ``replace``, ``delete``, ``retain``, ``undo``, ``unchanged``
    and ``done``.
    """

    stack: str
    logical_id: str
    type: str
    action: str


Progress = Callable[[DeployEvent], None]


@dataclass
class StackResult:
    """What a deployment of one stack did: resources touched, by logical id, and the action taken."""

    state: StackState
    actions: dict[str, str]


@dataclass
class Deployment:
    """A deployment that has begun: the stack's status says so, nothing of it is done."""

    template: Template
    request: StackRequest
    run: StackRun
    declarations: list[Declaration]
    imports: set[str]
    is_new: bool
    hold: Hold


@dataclass
class Deletion:
    """A deletion that has begun: the stack's status says so, nothing of it is done."""

    state: StackState
    hold: Hold


def _computers_clock() -> datetime:
    return datetime.now(UTC)


class StackEngine:
    """Deploys stacks into one account and region.

    Parameters
    ----------
    client_factory : Callable[[str], Any]
        Gives a boto3 client for a service; each is asked for once.
    states : StateDirectory
        Where stacks are remembered.
    progress : Callable[[DeployEvent], None]
        Told of everything that happens.
    handlers : Mapping[str, Handler]
        How resources are made, by type; a template with any other type is refused.
    now : Callable[[], datetime]
        The time of events.
    wait : Wait
        How it waits for resources.
    """

    def __init__(
        self,
        client_factory: Callable[[str], Any],
        states: StateDirectory,
        progress: Progress,
        handlers: Mapping[str, Handler],
        now: Callable[[], datetime] = _computers_clock,
        wait: Wait = wait_a_moment,
    ) -> None:
        self.handlers = handlers
        self._client_factory = client_factory
        self._clients: dict[str, Any] = {}
        self.states = states
        self._progress = progress
        self._now = now
        self._wait = wait
        sts = self.client("sts")
        self.account_id: str = sts.get_caller_identity()["Account"]
        self.region: str = sts.meta.region_name

    def client(self, service: str) -> Any:
        """The client of a service."""
        if service not in self._clients:
            self._clients[service] = self._client_factory(service)
        return self._clients[service]

    def deploy(
        self, template: Template, parameters: Mapping[str, str], request: StackRequest | None = None
    ) -> StackResult:
        """Bring a stack to what its template says.

        Resources whose resolved properties are those of the last deployment are not touched at all. A stack that never
        came up is begun again.

        Raises
        ------
        TemplateError
            Before anything is touched, when the template can not be understood.
        StackRolledBackError
            When a resource failed; the stack is as it was.
        RollbackFailedError
            When a resource failed and so did undoing.
        DeletionFailedError
            When the stack is deployed but something it no longer has could not be deleted.
        """
        return self.carry_out(self.begin(template, parameters, request))

    def begin(
        self, template: Template, parameters: Mapping[str, str], request: StackRequest | None = None
    ) -> Deployment:
        """Look at a template once more and say that its stack is being deployed; :meth:`carry_out` does it.

        Raises
        ------
        TemplateError
            As :meth:`deploy`.
        """
        request = request or StackRequest(json.dumps(template.document), dict(parameters))
        hold = self.states.hold(template.stack, _PATIENCE_SECONDS)
        try:
            return self._begin(template, parameters, request, hold)
        except BaseException:
            hold.let_go()
            raise

    def _begin(
        self, template: Template, parameters: Mapping[str, str], request: StackRequest, hold: Hold
    ) -> Deployment:
        state = self._state_to_deploy(template.stack)
        imports: set[str] = set()
        scope = self.scope(template, parameters, state, imports)
        examine([(template, parameters)], self)
        declarations = template.order(scope)
        # Whoever began to make it and died is gone: it has never come up.
        is_new = state.is_new or state.status == "CREATE_IN_PROGRESS"
        if is_new:
            state.request = request
        self.set_status(state, "CREATE_IN_PROGRESS" if is_new else "UPDATE_IN_PROGRESS", "User Initiated")
        return Deployment(template, request, StackRun(self, state, scope), declarations, imports, is_new, hold)

    def carry_out(self, deployment: Deployment) -> StackResult:
        """Do what was begun; raises as :meth:`deploy` does."""
        with deployment.hold.until_the_end():
            return self._carry_out(deployment)

    def _carry_out(self, deployment: Deployment) -> StackResult:
        run, state = deployment.run, deployment.run.state
        try:
            for declaration in deployment.declarations:
                run.apply(declaration)
            outputs, exports, output_exports = deployment.template.outputs(run.scope)
            self.check_exports(state.name, exports)
        except Exception as error:
            # Whatever went wrong, half a stack is not left behind.
            raise self._roll_back(run, error, is_new=deployment.is_new) from error
        state.outputs, state.exports, state.imports = outputs, exports, sorted(deployment.imports)
        state.output_exports, state.request = output_exports, deployment.request
        return self._finish(deployment)

    def scope(self, template: Template, parameters: Mapping[str, str], state: StackState, imports: set[str]) -> Scope:
        """What a template's values can refer to; the names of what it imports are added to ``imports``."""
        importer = self._importer(template.stack, imports)
        scope = template.scope(self._pseudo_parameters(state), parameters, importer, self.read_parameter)
        for other in self.states.load_all():
            for resource in other.resources.values():
                scope.addresses.update(resource.addresses)
        return scope

    def _state_to_deploy(self, stack: str) -> StackState:
        before = self.states.load(stack)
        if before is not None and before.status in _NEVER_CAME_UP:
            self._delete_all(before)
            before = None
        return copy.deepcopy(before) or self.new_state(stack)

    def new_state(self, stack: str) -> StackState:
        """A stack that nothing was deployed for yet."""
        return StackState(stack, self._new_stack_id(stack), created=self._now().isoformat())

    def _finish(self, deployment: Deployment) -> StackResult:
        run, state, declarations = deployment.run, deployment.run.state, deployment.declarations
        if not deployment.is_new:
            self.set_status(state, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        try:
            run.remove_leftovers({declaration.logical_id for declaration in declarations})
        except DeletionFailedError as error:
            self.set_status(state, "UPDATE_COMPLETE", str(error))
            raise
        state.resources = {d.logical_id: state.resources[d.logical_id] for d in declarations}
        self.set_status(state, "CREATE_COMPLETE" if deployment.is_new else "UPDATE_COMPLETE")
        self.report(state, "", "", "done" if run.actions else "unchanged")
        return StackResult(state, run.actions)

    def _roll_back(self, run: StackRun, cause: Exception, *, is_new: bool) -> DeployError:
        """Take everything back that a run did; returns the error to raise."""
        state, begun = run.state, "ROLLBACK" if is_new else "UPDATE_ROLLBACK"
        verb = "update" if run.failed in state.resources else "create"
        failed = f"The following resource(s) failed to {verb}: [{run.failed}]. "
        why = failed if run.failed else f"{cause}. "
        self.set_status(state, f"{begun}_IN_PROGRESS", f"{why}Rollback requested by user.")
        outcome = run.undo(cause, existed=not is_new)
        if isinstance(outcome, RollbackFailedError):
            self.set_status(state, f"{begun}_FAILED", str(outcome))
            return outcome
        if not is_new:
            self.set_status(state, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        self.set_status(state, f"{begun}_COMPLETE")
        return outcome

    def destroy(self, stack: str, retained: Collection[str] = ()) -> None:
        """Delete a stack, but for resources whose deletion policy retains them.

        Parameters
        ----------
        retained : collection of str
            Logical ids of further resources that stay.

        Raises
        ------
        DeployError
            When another stack imports something this one exports.
        DeletionFailedError
            When resources are left; they stay in the stack's state, so that the deletion can be repeated.
        """
        state = self.states.load(stack)
        if state is None:
            return
        self.check_exports(stack, {})
        self.carry_out_deletion(self.begin_deletion(state), retained)
        self.report(state, "", "", "done")

    def begin_deletion(self, state: StackState) -> Deletion:
        """Say that a stack is being deleted; :meth:`carry_out_deletion` does it.

        Raises
        ------
        StackBusyError
            When somebody else is deploying or deleting it.
        """
        hold = self.states.hold(state.name, _PATIENCE_SECONDS)
        self.set_status(state, "DELETE_IN_PROGRESS", "User Initiated")
        return Deletion(state, hold)

    def carry_out_deletion(self, deletion: Deletion, retained: Collection[str] = ()) -> None:
        """Do what was begun; raises as :meth:`destroy` does."""
        with deletion.hold.until_the_end():
            self._delete_all(deletion.state, retained)

    def _delete_all(self, state: StackState, retained: Collection[str] = ()) -> None:
        stack = state.name
        failures, failed = [], []
        for logical_id, resource in reversed(list(state.resources.items())):
            policy = "Retain" if logical_id in retained else resource.deletion_policy
            failure = self.dispose(state, logical_id, resource, policy)
            if failure:
                failures.append(failure)
                failed.append(logical_id)
            else:
                del state.resources[logical_id]
                self.states.save(state)
        if failures:
            names = ", ".join(failed)
            self.set_status(state, "DELETE_FAILED", f"The following resource(s) failed to delete: [{names}]. ")
            left = number_of(len(failures), "resource is", "resources are")
            raise DeletionFailedError(f"stack {stack}: {left} left: " + "; ".join(failures))
        self.set_status(state, "DELETE_COMPLETE")
        self.states.remove(state)

    def dispose(self, state: StackState, logical_id: str, resource: DeployedResource, policy: str) -> str | None:
        """Delete a resource unless its policy retains it; returns what went wrong, if anything did."""
        place = self.place(state, logical_id, resource.type)
        if policy in RETAINING:
            self.report(state, logical_id, resource.type, "retain")
            self.record(place, "DELETE_SKIPPED", resource.physical_id)
            return None
        self.report(state, logical_id, resource.type, "delete")
        self.record(place, "DELETE_IN_PROGRESS", resource.physical_id)
        failure = None
        try:
            self.handlers[resource.type].delete(place, resource.made, resource.properties)
        except DeployError as error:
            failure = str(error)
        except (ClientError, BotoCoreError) as error:
            failure = f"{place.where}: {error}"
        self.record(place, "DELETE_FAILED" if failure else "DELETE_COMPLETE", resource.physical_id, failure or "")
        return failure

    def report(self, state: StackState, logical_id: str, kind: str, action: str) -> None:
        """Tell of something that happens."""
        self._progress(DeployEvent(state.name, logical_id, kind, action))

    def record(
        self,
        place: Place,
        status: str,
        physical_id: str = "",
        reason: str = "",
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep what became of a resource among the events of its stack."""
        self.states.events.append(
            StackEvent(
                stack=place.stack,
                stack_id=place.stack_id,
                logical_id=place.logical_id,
                physical_id=physical_id,
                type=place.type,
                status=status,
                at=self._now().isoformat(),
                reason=reason,
                properties="" if properties is None else json.dumps(properties, default=str),
            )
        )

    def set_status(self, state: StackState, status: str, reason: str = "") -> None:
        """Give a stack another status, and keep it and the event."""
        at = self._now().isoformat()
        state.status, state.reason = status, reason
        if status == "CREATE_IN_PROGRESS":
            state.created = state.created or at
        elif status == "UPDATE_IN_PROGRESS":
            state.updated = at
        elif status == "DELETE_COMPLETE":
            state.deleted = at
        self.states.events.append(
            StackEvent(state.name, state.stack_id, state.name, state.stack_id, STACK_TYPE, status, at, reason)
        )
        self.states.save(state)

    def place(self, state: StackState, logical_id: str, kind: str) -> Place:
        """Where a resource of a stack is deployed."""
        return Place(
            state.name, state.stack_id, logical_id, kind, self.account_id, self.region, self.client, wait=self._wait
        )

    def _new_stack_id(self, stack: str) -> str:
        return f"arn:aws:cloudformation:{self.region}:{self.account_id}:stack/{stack}/{uuid.uuid4()}"

    def pseudo_parameters(self, stack: str) -> dict[str, Any]:
        """Values of the names that begin with ``AWS::``, for a stack that may not exist yet."""
        return self._pseudo_parameters(self.states.load(stack) or self.new_state(stack))

    def exported(self, stack: str) -> dict[str, Any]:
        """What the other deployed stacks export, by name."""
        return {
            name: value
            for other in self.states.load_all()
            if other.name != stack
            for name, value in other.exports.items()
        }

    def _pseudo_parameters(self, state: StackState) -> dict[str, Any]:
        return {
            "AWS::AccountId": self.account_id,
            "AWS::NotificationARNs": state.request.notification_arns,
            "AWS::Partition": "aws",
            "AWS::Region": self.region,
            "AWS::StackId": state.stack_id,
            "AWS::StackName": state.name,
            "AWS::URLSuffix": "amazonaws.com",
        }

    def _importer(self, stack: str, imports: set[str]) -> Callable[[str], Any]:
        exports = self.exported(stack)

        def import_value(name: str) -> Any:
            if name not in exports:
                raise TemplateError(f"stack {stack}: no deployed stack exports {name!r}")
            imports.add(name)
            return exports[name]

        return import_value

    def check_exports(self, stack: str, exports: Mapping[str, Any]) -> None:
        """Refuse exports that another stack has, or the end of one that another stack imports.

        Raises
        ------
        DeployError
            Naming export and stack.
        """
        old = self.states.load(stack)
        for other in self.states.load_all():
            if other.name == stack:
                continue
            clash = sorted(set(exports) & set(other.exports))
            if clash:
                raise DeployError(f"stack {stack}: export {clash[0]!r} is already exported by {other.name}")
            for name in other.imports:
                if old is not None and name in old.exports and exports.get(name) != old.exports[name]:
                    change = "updated" if name in exports else "deleted"
                    raise DeployError(
                        f"stack {stack}: Export {name} cannot be {change} as it is in use by {other.name}"
                    )

    def read_parameter(self, name: str) -> str:
        """The value of an SSM parameter.

        Raises
        ------
        TemplateError
            When there is none of that name.
        """
        try:
            return str(self.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
        except ClientError as error:
            raise TemplateError(f"SSM parameter {name} can't be read: {error}") from error
