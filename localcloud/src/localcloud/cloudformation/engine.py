"""Deploys one stack: creates, updates, replaces and deletes resources, and undoes what fails."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.cloudformation.examination import examine
from localcloud.cloudformation.exceptions import DeletionFailedError, DeployError, TemplateError
from localcloud.cloudformation.resource import Handler, Place
from localcloud.cloudformation.run import StackRun
from localcloud.cloudformation.state import DeployedResource, StackState, StateDirectory
from localcloud.cloudformation.template import Template


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
    """

    def __init__(
        self,
        client_factory: Callable[[str], Any],
        states: StateDirectory,
        progress: Progress,
        handlers: Mapping[str, Handler],
    ) -> None:
        self.handlers = handlers
        self._client_factory = client_factory
        self._clients: dict[str, Any] = {}
        self.states = states
        self._progress = progress
        sts = self.client("sts")
        self.account_id: str = sts.get_caller_identity()["Account"]
        self.region: str = sts.meta.region_name

    def client(self, service: str) -> Any:
        """The client of a service."""
        if service not in self._clients:
            self._clients[service] = self._client_factory(service)
        return self._clients[service]

    def deploy(self, template: Template, parameters: Mapping[str, str]) -> StackResult:
        """Bring a stack to what its template says.

        Resources whose resolved properties are those of the last deployment are not touched at all.

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
        before = self.states.load(template.stack)
        state = copy.deepcopy(before) or StackState(template.stack, self._new_stack_id(template.stack))
        imports: set[str] = set()
        scope = template.scope(
            self._pseudo_parameters(state), parameters, self._importer(state.name, imports), self.read_parameter
        )
        examine([(template, parameters)], self)
        declarations = template.order(scope)
        run = StackRun(self, state, scope)
        try:
            for declaration in declarations:
                run.apply(declaration)
            outputs, exports = template.outputs(scope)
            self._check_exports(state.name, exports)
        except Exception as error:
            # Whatever went wrong, half a stack is not left behind.
            raise run.undo(error, existed=before is not None) from error
        state.outputs, state.exports, state.imports = outputs, exports, sorted(imports)
        run.remove_leftovers({declaration.logical_id for declaration in declarations})
        state.resources = {d.logical_id: state.resources[d.logical_id] for d in declarations}
        self.states.save(state)
        self.report(state, "", "", "done" if run.actions else "unchanged")
        return StackResult(state, run.actions)

    def destroy(self, stack: str) -> None:
        """Delete a stack, but for resources whose deletion policy retains them.

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
        self._check_exports(stack, {})
        failures = []
        for logical_id, resource in reversed(list(state.resources.items())):
            failure = self.dispose(state, logical_id, resource, resource.deletion_policy)
            if failure:
                failures.append(failure)
            else:
                del state.resources[logical_id]
                self.states.save(state)
        if failures:
            raise DeletionFailedError(f"stack {stack}: {len(failures)} resources are left: " + "; ".join(failures))
        self.states.remove(stack)
        self.report(state, "", "", "done")

    def dispose(self, state: StackState, logical_id: str, resource: DeployedResource, policy: str) -> str | None:
        """Delete a resource unless its policy retains it; returns what went wrong, if anything did."""
        if policy in ("Retain", "RetainExceptOnCreate"):
            self.report(state, logical_id, resource.type, "retain")
            return None
        place = self.place(state, logical_id, resource.type)
        self.report(state, logical_id, resource.type, "delete")
        try:
            self.handlers[resource.type].delete(place, resource.made, resource.properties)
        except DeployError as error:
            return str(error)
        except (ClientError, BotoCoreError) as error:
            return f"{place.where}: {error}"
        return None

    def report(self, state: StackState, logical_id: str, kind: str, action: str) -> None:
        """Tell of something that happens."""
        self._progress(DeployEvent(state.name, logical_id, kind, action))

    def place(self, state: StackState, logical_id: str, kind: str) -> Place:
        """Where a resource of a stack is deployed."""
        return Place(state.name, state.stack_id, logical_id, kind, self.account_id, self.region, self.client)

    def _new_stack_id(self, stack: str) -> str:
        return f"arn:aws:cloudformation:{self.region}:{self.account_id}:stack/{stack}/{uuid.uuid4()}"

    def pseudo_parameters(self, stack: str) -> dict[str, str]:
        """Values of the names that begin with ``AWS::``, for a stack that may not exist yet."""
        return self._pseudo_parameters(StackState(stack, self._new_stack_id(stack)))

    def exported(self, stack: str) -> dict[str, Any]:
        """What the other deployed stacks export, by name."""
        return {
            name: value
            for other in self.states.load_all()
            if other.name != stack
            for name, value in other.exports.items()
        }

    def _pseudo_parameters(self, state: StackState) -> dict[str, str]:
        return {
            "AWS::AccountId": self.account_id,
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

    def _check_exports(self, stack: str, exports: Mapping[str, Any]) -> None:
        old = self.states.load(stack)
        for other in self.states.load_all():
            if other.name == stack:
                continue
            clash = sorted(set(exports) & set(other.exports))
            if clash:
                raise DeployError(f"stack {stack}: export {clash[0]!r} is already exported by {other.name}")
            for name in other.imports:
                if old is not None and name in old.exports and exports.get(name) != old.exports[name]:
                    raise DeployError(
                        f"stack {stack}: export {name!r} is in use by stack {other.name} and can not change or go"
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
            raise TemplateError(f"SSM parameter {name} can not be read: {error}") from error
