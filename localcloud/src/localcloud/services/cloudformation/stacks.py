"""Stacks of this cloud: what is asked of them, one thing at a time for each, carried out beside who asked."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from localcloud.cloudformation.changes import changes
from localcloud.cloudformation.engine import DeployEvent, StackEngine
from localcloud.cloudformation.examination import examine
from localcloud.cloudformation.exceptions import DeployError, StackBusyError, TemplateError
from localcloud.cloudformation.state import REVIEW, StackRequest, StackState, StateDirectory
from localcloud.cloudformation.template import Template
from localcloud.core.answers import Refusal
from localcloud.core.context import CloudContext
from localcloud.iam.access import signing_key
from localcloud.iam.identities import UnknownRoleError, find_session
from localcloud.iam.roles import RoleNotAssumableError, role_credentials
from localcloud.services.cloudformation.answers import change_of
from localcloud.services.cloudformation.beside import Beside
from localcloud.services.cloudformation.change_sets import ChangeSet, ChangeSets
from localcloud.services.cloudformation.requests import invalid, parsed
from localcloud.services.registry import handlers

log = logging.getLogger(__name__)

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
_CAN_BE_UPDATED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
_NEVER_CAME_UP = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
_PRINCIPAL = "cloudformation.amazonaws.com"

_STABILIZES_WITHIN = timedelta(hours=2)
"""What a resource type's handlers get where its schema says nothing else (``timeoutInMinutes``)."""

_LOOK_AGAIN_SECONDS = 0.25


class Stacks:
    """The stacks of one cloud.

    Their files are those that ``localcloud up`` keeps: who deploys there and who deploys through the API see one cloud.
    """

    def __init__(self, context: CloudContext) -> None:
        self._context = context
        path = context.state_directory / "stacks"
        self.states = StateDirectory(path)
        self.change_sets = ChangeSets(path / "change-sets")
        self._lock = threading.RLock()
        self._under_way: dict[str, StackState] = {}
        self._beside = Beside(context.activity)

    # --- finding -----------------------------------------------------------------------------------------------------

    def living(self, name_or_id: str) -> StackState | None:
        """A stack that is there."""
        try:
            found = self.states.load(_name_of(name_or_id))
        except DeployError:
            return None
        return found if found is None or name_or_id in (found.name, found.stack_id) else None

    def find(self, name_or_id: str, message: str = "Stack with id {} does not exist") -> StackState:
        """A stack that is there, or by its id one that is gone.

        Raises
        ------
        Refusal
            With ``message`` when there is none.
        """
        found = self.living(name_or_id)
        if found is None and name_or_id.startswith("arn:"):
            try:
                found = self.states.load_gone(name_or_id)
            except ValueError:
                found = None
        if found is None:
            raise invalid(message.format(name_or_id))
        return found

    def change_set(self, name: str, stack: str | None) -> ChangeSet:
        """A change set by its name and its stack's, or by its ARN.

        Raises
        ------
        Refusal
            ChangeSetNotFound, or that there is no such stack.
        """
        found = None
        if name.startswith("arn:"):
            found = self.change_sets.by_id(name)
        elif not stack:
            raise invalid("StackName must be specified if ChangeSetName is not specified as an ARN.")
        else:
            stack_id = self.find(stack, "Stack [{}] does not exist").stack_id
            found = next((each for each in self.change_sets.of_stack(stack_id) if each.name == name), None)
        if found is None:
            raise Refusal("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")
        return found

    # --- change sets -------------------------------------------------------------------------------------------------

    def create_change_set(
        self, name: str, stack: str, kind: str, template: Template, request: StackRequest, **more: Any
    ) -> ChangeSet:
        """Keep what a template would change of a stack, or why it can't be deployed."""
        with self._lock:
            state = self._for_deployment(stack, kind, name)
            if any(each.name == name for each in self.change_sets.of_stack(state.stack_id)):
                raise Refusal("AlreadyExistsException", f"ChangeSet {name} already exists")
            made = ChangeSet(
                name=name,
                change_set_id=self._arn(f"changeSet/{name}/{uuid.uuid4()}"),
                stack=state.name,
                stack_id=state.stack_id,
                kind=kind,
                created=self._context.clock.now().isoformat(),
                request=request,
                **more,
            )
            engine = self._engine(request.role)
            if not state.created:
                state.created = made.created
                engine.set_status(state, REVIEW, "User Initiated")
            self._foresee(made, template, state, engine)
            self.change_sets.save(made)
            return made

    def _foresee(self, made: ChangeSet, template: Template, state: StackState, engine: StackEngine) -> None:
        parameters = made.request.parameters
        try:
            examine([(template, parameters)], engine)
            found = changes(template, engine.scope(template, parameters, state, set()), state, engine.handlers)
        except TemplateError as error:
            made.fail(str(error), [_problem(each) for each in error.problems or (error,)])
            return
        made.changes = [change_of(change) for change in found]
        if not found and not state.is_new and not _differs(template, made.request, state):
            made.fail(NO_CHANGES)

    def delete_change_set(self, found: ChangeSet) -> None:
        """Throw a change set away."""
        with self._lock:
            state = self.living(found.stack_id)
            goes_on = state is not None and state.status.endswith("_IN_PROGRESS")
            if found.execution_status == "EXECUTE_IN_PROGRESS" and goes_on:
                raise Refusal(
                    "InvalidChangeSetStatus",
                    f"ChangeSet [{found.change_set_id}] is being executed and can not be deleted",
                )
            self.change_sets.remove(found)

    def execute(self, found: ChangeSet) -> None:
        """Carry a change set out."""
        with self._lock:
            if found.execution_status != "AVAILABLE":
                raise Refusal(
                    "InvalidChangeSetStatus",
                    f"ChangeSet [{found.change_set_id}] cannot be executed in its current status of [{found.status}]",
                )
            state = self._for_deployment(found.stack, found.kind, None)
            if state.stack_id != found.stack_id:
                raise Refusal("ChangeSetNotFound", f"ChangeSet [{found.change_set_id}] does not exist")
            found.execution_status = "EXECUTE_IN_PROGRESS"
            self.change_sets.save(found)

            for other in self.change_sets.of_stack(found.stack_id):
                if other.change_set_id != found.change_set_id:
                    self.change_sets.remove(other)

            def ended(*, well: bool) -> None:
                found.execution_status = "EXECUTE_COMPLETE" if well else "EXECUTE_FAILED"
                with self._lock:
                    if self.change_sets.by_id(found.change_set_id) is not None:  # nobody has thrown it away meanwhile
                        self.change_sets.save(found)

            self._deploy(
                state,
                parsed(found.request.template, found.stack),
                found.request,
                found.on_failure,
                ended,
                found.change_set_id,
            )

    # --- deployments -------------------------------------------------------------------------------------------------

    def create(
        self, stack: str, template: Template, request: StackRequest, on_failure: str, *, protected: bool
    ) -> StackState:
        """Make a stack without a change set."""
        with self._lock:
            if self.living(stack) is not None:
                raise Refusal("AlreadyExistsException", f"Stack [{stack}] already exists")
            state = self._for_deployment(stack, "CREATE", None)
            self._require_deployable(template, request)
            state.protected = protected
            self.states.save(state)
            self._deploy(state, template, request, on_failure)
            return state

    def update(self, stack: str, template: Template, request: StackRequest) -> StackState:
        """Change a stack without a change set."""
        with self._lock:
            state = self._for_deployment(stack, "UPDATE", None)
            foreseen = ChangeSet("", "", state.name, state.stack_id, "UPDATE", "", request)
            self._foresee(foreseen, template, state, self._engine(request.role))
            if foreseen.reason:
                nothing = foreseen.reason == NO_CHANGES
                raise invalid("No updates are to be performed." if nothing else foreseen.reason)
            self._deploy(state, template, request, "ROLLBACK")
            return state

    def _require_deployable(self, template: Template, request: StackRequest) -> None:
        try:
            examine([(template, request.parameters)], self._engine(request.role))
        except TemplateError as error:
            raise invalid(str(error)) from error

    def _deploy(
        self,
        state: StackState,
        template: Template,
        request: StackRequest,
        on_failure: str,
        ended: Callable[..., None] = lambda *, well: None,
        change_set: str | None = None,
    ) -> None:
        engine = self._engine(request.role)
        try:
            deployment = engine.begin(template, request.parameters, request)
        except StackBusyError as error:
            ended(well=False)
            raise invalid(str(error)) from error
        except TemplateError as error:
            # What it relied on went away since it was looked at: it fails as AWS's does.
            begun = "ROLLBACK" if state.is_new else "UPDATE_ROLLBACK"
            engine.set_status(state, "CREATE_IN_PROGRESS" if state.is_new else "UPDATE_IN_PROGRESS", "User Initiated")
            engine.set_status(state, f"{begun}_IN_PROGRESS", str(error))
            engine.set_status(state, f"{begun}_COMPLETE")
            ended(well=False)
            return

        deployment.run.state.change_set = change_set
        self._under_way[state.name] = deployment.run.state

        def carry_out() -> None:
            well = False
            try:
                engine.carry_out(deployment)
                well = True
            except DeployError as error:
                log.info("%s", error)
                # Deployed, though something old is left.
                well = deployment.run.state.status == "UPDATE_COMPLETE"
            finally:
                del self._under_way[deployment.run.state.name]
                ended(well=well)
            if not well and deployment.is_new and on_failure == "DELETE":
                engine.carry_out_deletion(engine.begin_deletion(deployment.run.state))

        self._beside.begin(state.name, f"deployment of {state.name}", carry_out)

    def delete(self, stack: str, role: str | None, retained: Collection[str]) -> None:
        """Take a stack down; one that is not there is fine."""
        with self._lock:
            state = self.living(stack)
            if state is None:
                return
            if state.protected:
                raise invalid(f"Stack [{state.name}] cannot be deleted while TerminationProtection is enabled")
            if state.status.endswith("_IN_PROGRESS") and self.states.is_held(state.name):
                if state.status == "DELETE_IN_PROGRESS":
                    return
                raise invalid(f"Stack [{state.stack_id}] cannot be deleted while in status {state.status}")
            if retained and state.status != "DELETE_FAILED":
                raise invalid(
                    f"Invalid operation on stack [{state.stack_id}]. When you delete a stack, specify which resources "
                    "to retain only when the stack is in the DELETE_FAILED state."
                )
            engine = self._engine(role or state.request.role)
            try:
                engine.check_exports(state.name, {})
            except DeployError as error:
                # It stays what it was, and says why: nothing else tells who asked.
                engine.set_status(state, state.status, str(error))
                return
            deletion = engine.begin_deletion(state)
            for change_set in self.change_sets.of_stack(state.stack_id):
                self.change_sets.remove(change_set)
            if not state.resources:
                engine.carry_out_deletion(deletion)
                return

        def carry_out() -> None:
            try:
                engine.carry_out_deletion(deletion, retained)
            except DeployError as error:
                log.info("%s", error)

        self._beside.begin(state.name, f"deletion of {state.name}", carry_out)

    def protect(self, stack: str, *, on: bool) -> StackState:
        """Say whether a stack may be deleted."""
        with self._lock:
            state = self.living(stack)
            if state is None:
                raise invalid(f"Stack [{stack}] does not exist")
            under_way = self._under_way.get(state.name)
            if under_way is not None:
                under_way.protected = on  # who deploys it writes it with what it writes next
            else:
                state.protected = on
                self.states.save(state)
            return state

    def wait_a_moment(self, name_or_id: str) -> None:
        """Give what was asked of a stack a moment to end."""
        self._beside.wait_a_moment(_name_of(name_or_id))

    # --- how ---------------------------------------------------------------------------------------------------------

    def _for_deployment(self, stack: str, kind: str, change_set: str | None) -> StackState:
        """The stack that is to be made or changed, or why it can't be."""
        state = self.living(stack)
        if kind == "CREATE":
            if state is not None and not state.is_new:
                raise invalid(
                    f"Stack [{state.name}] already exists and cannot be created again with the changeSet "
                    f"[{change_set}]."
                )
            return state or StackState(stack, self._arn(f"stack/{stack}/{uuid.uuid4()}"))
        if state is None or state.is_new:
            raise invalid(f"Stack [{stack}] does not exist")
        if state.status not in _CAN_BE_UPDATED:
            raise invalid(f"Stack:{state.stack_id} is in {state.status} state and can not be updated.")
        return state

    def _wait(self, holds: Callable[[], bool]) -> bool:
        """Wait as long as CloudFormation does for a resource, on the local clock, which may move meanwhile."""
        clock, activity, label = self._context.clock, self._context.activity, threading.current_thread().name
        deadline = clock.now() + _STABILIZES_WITHIN
        while not holds():
            if clock.now() >= deadline:
                return False
            activity.leave(label)
            try:
                time.sleep(_LOOK_AGAIN_SECONDS)
            finally:
                activity.enter(label)
        return True

    def _engine(self, role: str | None) -> StackEngine:
        """An engine that makes resources under a role, or with the rights of who asks."""
        credentials = self._credentials(role)

        def client(service: str) -> Any:
            return self._context.client(service, **credentials)

        return StackEngine(client, self.states, _tell_nobody, handlers(), self._context.clock.now, self._wait)

    def _credentials(self, role: str | None) -> dict[str, str]:
        if role:
            try:
                return role_credentials(self._context, role, "AWSCloudFormation", _PRINCIPAL)
            except (UnknownRoleError, RoleNotAssumableError) as error:
                raise invalid(f"Role {role} is invalid or cannot be assumed: {error}") from error
        key = signing_key()
        session = find_session(self._context.account_id, key) if key else None
        if session is None:
            return {}
        return {
            "aws_access_key_id": session.access_key_id,
            "aws_secret_access_key": session.secret_access_key,
            "aws_session_token": session.session_token,
        }

    def _arn(self, resource: str) -> str:
        return f"arn:aws:cloudformation:{self._context.region}:{self._context.account_id}:{resource}"


def _name_of(name_or_id: str) -> str:
    return name_or_id.split("/")[1] if name_or_id.startswith("arn:") and "/" in name_or_id else name_or_id


def _problem(error: TemplateError) -> dict[str, str]:
    about = {"logical_id": error.logical_id, "type": error.type}
    return {"message": str(error), **{name: value for name, value in about.items() if value}}


def _differs(template: Template, request: StackRequest, state: StackState) -> bool:
    """Whether what is asked for differs from what is there in what is not a resource's property: outputs and tags."""
    old = parsed(state.request.template, state.name)
    outputs = (template.document.get("Outputs") or {}, old.document.get("Outputs") or {})
    return outputs[0] != outputs[1] or request.tags != state.request.tags


def _tell_nobody(event: DeployEvent) -> None:
    """What happens is kept in the events of stacks."""
