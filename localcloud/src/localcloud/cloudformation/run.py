"""One deployment of one stack, resource by resource, and how it is taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.cloudformation.exceptions import (
    DeletionFailedError,
    DeployError,
    ResourceError,
    RollbackFailedError,
    StackRolledBackError,
)
from localcloud.cloudformation.intrinsics import Made, Scope, resolve
from localcloud.cloudformation.resource import Handler, Place
from localcloud.cloudformation.state import DeployedResource, StackState, StateDirectory
from localcloud.cloudformation.template import Declaration

_REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."


class Deployer(Protocol):
    """What a run asks of the engine that it belongs to."""

    states: StateDirectory
    handlers: Mapping[str, Handler]

    def place(self, state: StackState, logical_id: str, kind: str) -> Place:
        """Where a resource of a stack is deployed."""

    def report(self, state: StackState, logical_id: str, kind: str, action: str) -> None:
        """Tell of something that happens."""

    def record(
        self,
        place: Place,
        status: str,
        physical_id: str = "",
        reason: str = "",
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep what became of a resource among the events of its stack."""

    def dispose(self, state: StackState, logical_id: str, resource: DeployedResource, policy: str) -> str | None:
        """Delete a resource unless its policy retains it; returns what went wrong, if anything did."""


@contextmanager
def _names_what_is_taken(handler: Handler, place: Place, properties: Mapping[str, Any]) -> Iterator[None]:
    """A service's "already exists" often leaves out what does."""
    try:
        yield
    except ClientError as error:
        name = properties.get(handler.name_property) if handler.name_property else None
        if name is None or "already exist" not in error.response["Error"].get("Message", ""):
            raise
        raise place.exists_already(str(name)) from error


@dataclass(frozen=True)
class _Update:
    """An update to take back, by the properties that were tried."""

    logical_id: str
    before: DeployedResource
    attempted: dict[str, Any]


@dataclass(frozen=True)
class _Creation:
    """A creation to take back; ``before`` is what it replaced."""

    logical_id: str
    before: DeployedResource | None


class StackRun:
    """One deployment of one stack, and how to take it back.

    Attributes
    ----------
    failed : str
        The logical id of the resource at which it ended; empty while none has failed.
    """

    def __init__(self, engine: Deployer, state: StackState, scope: Scope) -> None:
        self.engine = engine
        self.state = state
        self.scope = scope
        self.actions: dict[str, str] = {}
        self.failed = ""
        self._undo: list[_Update | _Creation] = []
        self._replaced: list[tuple[str, DeployedResource, str]] = []

    def apply(self, declaration: Declaration) -> None:
        """Bring one resource to what is declared."""
        logical_id = declaration.logical_id
        handler = self.engine.handlers[declaration.type]
        place = self.engine.place(self.state, logical_id, declaration.type)
        current = self.state.resources.get(logical_id)
        verb = "CREATE" if current is None else "UPDATE"
        try:
            properties = resolve(dict(declaration.properties), self.scope, f"Resources.{logical_id}.Properties")
            handler.validate(place.where, properties)
            with _names_what_is_taken(handler, place, properties):
                deployed = self._act(handler, place, declaration, current, properties)
        except Exception as error:
            self.failed = logical_id
            self.engine.record(place, f"{verb}_FAILED", current.physical_id if current else "", str(error))
            if isinstance(error, (ClientError, BotoCoreError)):
                raise ResourceError(f"{place.where}: {error}") from error
            raise
        if logical_id in self.actions:
            self.engine.record(place, f"{verb}_COMPLETE", deployed.physical_id, properties=properties)
        self.scope.made[logical_id] = deployed.made
        self.state.resources[logical_id] = deployed
        self.engine.states.save(self.state)

    def _act(
        self,
        handler: Handler,
        place: Place,
        declaration: Declaration,
        current: DeployedResource | None,
        properties: dict[str, Any],
    ) -> DeployedResource:
        policy = declaration.deletion_policy
        if current is not None and (current.type, current.properties) == (declaration.type, properties):
            return replace(current, deletion_policy=policy)
        if current is None:
            self._note(place, "create")
            self.engine.record(place, "CREATE_IN_PROGRESS", properties=properties)
            made = self._create(handler, place, properties)
        elif current.type != declaration.type or handler.must_replace(current.properties, properties):
            _check_new_name(handler, place, current, properties)
            self._note(place, "replace")
            self.engine.record(place, "UPDATE_IN_PROGRESS", current.physical_id, _REPLACING, properties)
            made = self._create(handler, place, properties)
            self._replaced.append((place.logical_id, current, declaration.update_replace_policy))
        else:
            self._note(place, "update")
            self.engine.record(place, "UPDATE_IN_PROGRESS", current.physical_id, properties=properties)
            # Noted before it happens: an update that fails half way is taken back like one that succeeded.
            self._undo.append(_Update(place.logical_id, current, properties))
            made = handler.update(place, current.made, current.properties, properties)
            return _deployed(declaration, properties, made)
        self._undo.append(_Creation(place.logical_id, current))
        return _deployed(declaration, properties, made)

    def _create(self, handler: Handler, place: Place, properties: dict[str, Any]) -> Made:
        try:
            return handler.create(place, properties)
        except (ClientError, BotoCoreError, DeployError) as error:
            for made in place.begun:
                try:
                    handler.delete(place, made, properties)
                except (ClientError, BotoCoreError, DeployError) as second:
                    raise ResourceError(f"{place.where}: {error}; deleting it again: {second}") from error
            raise

    def _note(self, place: Place, action: str) -> None:
        self.actions[place.logical_id] = action
        self.engine.report(self.state, place.logical_id, place.type, action)

    def undo(self, cause: Exception, *, existed: bool) -> DeployError:
        """Take back everything this run did; returns the error to raise."""
        failures: list[str] = []
        for step in reversed(self._undo):
            taken_back = self._undo_update(step) if isinstance(step, _Update) else self._undo_create(step, existed)
            if taken_back:
                failures.append(taken_back)
        if failures:
            return RollbackFailedError(f"{cause}. Undoing it failed too: {'; '.join(failures)}")
        return StackRolledBackError(f"{cause}. The stack was rolled back")

    def _undo_update(self, step: _Update) -> str | None:
        before = step.before
        place = self.engine.place(self.state, step.logical_id, before.type)
        self.engine.report(self.state, step.logical_id, before.type, "undo")
        self.engine.record(place, "UPDATE_IN_PROGRESS", before.physical_id)
        try:
            made = self.engine.handlers[before.type].update(place, before.made, step.attempted, before.properties)
        except (ClientError, BotoCoreError, DeployError) as error:
            self.engine.record(place, "UPDATE_FAILED", before.physical_id, str(error))
            return f"{place.where}: {error}"
        self.engine.record(place, "UPDATE_COMPLETE", made.physical_id)
        self.state.resources[step.logical_id] = replace(
            before, physical_id=made.physical_id, attributes=dict(made.attributes)
        )
        return None

    def _undo_create(self, step: _Creation, existed: bool) -> str | None:
        now = self.state.resources[step.logical_id]
        self.engine.report(self.state, step.logical_id, now.type, "undo")
        # CloudFormation keeps what "Retain" names even when the stack never came up.
        policy = "Retain" if now.deletion_policy == "Retain" and not existed else "Delete"
        failure = self.engine.dispose(self.state, step.logical_id, now, policy)
        if failure:
            return failure
        if step.before is None:
            del self.state.resources[step.logical_id]
        else:
            self.state.resources[step.logical_id] = step.before
            place = self.engine.place(self.state, step.logical_id, step.before.type)
            self.engine.record(place, "UPDATE_COMPLETE", step.before.physical_id)
        return None

    def remove_leftovers(self, declared: set[str]) -> None:
        """Delete what was replaced, and what the template no longer declares."""
        failures = []
        for logical_id, resource, policy in reversed(self._replaced):
            failure = self.engine.dispose(self.state, logical_id, resource, policy)
            if failure:
                failures.append(failure)
        for logical_id, resource in reversed(list(self.state.resources.items())):
            if logical_id in declared:
                continue
            self.actions[logical_id] = "delete"
            failure = self.engine.dispose(self.state, logical_id, resource, resource.deletion_policy)
            if failure:
                failures.append(failure)
            else:
                del self.state.resources[logical_id]
        if failures:
            self.engine.states.save(self.state)
            raise DeletionFailedError(f"stack {self.state.name} is deployed, but: " + "; ".join(failures))


def _deployed(declaration: Declaration, properties: dict[str, Any], made: Made) -> DeployedResource:
    attributes, addresses = dict(made.attributes), dict(made.addresses)
    return DeployedResource(
        declaration.type, properties, made.physical_id, attributes, declaration.deletion_policy, addresses
    )


def _check_new_name(handler: Handler, place: Place, current: DeployedResource, new: dict[str, Any]) -> None:
    name = handler.name_property
    if name and current.type == place.type and name in new and current.properties.get(name) == new[name]:
        raise ResourceError(
            f"{place.where}: this change needs a new resource, but its name {new[name]!r} is taken by the old one; "
            f"change {name}, or leave it out"
        )
