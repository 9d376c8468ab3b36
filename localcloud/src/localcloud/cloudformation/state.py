"""What is known of stacks: one JSON file for each that is there, and what became of those that are gone."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.cloudformation.events import EventLog, unique_part
from localcloud.cloudformation.exceptions import DeployError, StackBusyError
from localcloud.cloudformation.intrinsics import Made
from localcloud.core.containment import EscapingPathError, inside


@dataclass(frozen=True)
class DeployedResource:
    """One resource as it was last deployed; ``properties`` are the resolved ones."""

    type: str
    properties: dict[str, Any]
    physical_id: str
    attributes: dict[str, str]
    deletion_policy: str
    addresses: dict[str, str] = field(default_factory=dict)

    @property
    def made(self) -> Made:
        """The resource as templates see it."""
        return Made(self.physical_id, self.attributes, self.addresses)


@dataclass(frozen=True)
class StackRequest:
    """What somebody asked a stack to be.

    Attributes
    ----------
    template : str
        The template as it was given.
    parameters : dict[str, str]
        Values given to its parameters; those that it has by default are not in here.
    role : str or None
        The ARN of the role under which resources are made; who asks makes them without one.
    """

    template: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    role: str | None = None
    capabilities: list[str] = field(default_factory=list)
    notification_arns: list[str] = field(default_factory=list)


REVIEW = "REVIEW_IN_PROGRESS"


@dataclass
class StackState:
    """One stack.

    Attributes
    ----------
    resources : dict[str, DeployedResource]
        By logical id, in the order in which they were deployed.
    outputs, exports : dict[str, Any]
        Output values by name; exported values by export name.
    output_exports : dict[str, str]
        The export name of each output that is exported.
    imports : list[str]
        Names of other stacks' exports that this stack uses.
    status, reason : str
        As CloudFormation names it, and why.
    request : StackRequest
        What it was last brought to; what a failed update asked for is not in here.
    created, updated, deleted : str or None
        Instants, in ISO 8601.
    protected : bool
        Whether it can't be deleted.
    change_set : str or None
        The id of the change set that was executed last.
    """

    name: str
    stack_id: str
    resources: dict[str, DeployedResource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)
    output_exports: dict[str, str] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)
    status: str = REVIEW
    reason: str = ""
    request: StackRequest = field(default_factory=StackRequest)
    created: str | None = None
    updated: str | None = None
    deleted: str | None = None
    protected: bool = False
    change_set: str | None = None

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever deployed for it."""
        return self.status == REVIEW


class Hold:
    """A stack that nobody else may deploy or delete."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def let_go(self) -> None:
        """Let the next one have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def until_the_end(self) -> Iterator[None]:
        """Let go when the block ends."""
        try:
            yield
        finally:
            self.let_go()


class StateDirectory:
    """The stacks of one endpoint.

    Parameters
    ----------
    path : Path
        Directory of the files; made when first written to.

    Attributes
    ----------
    events : EventLog
        What happened to them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = EventLog(path / "events")
        self._written: dict[str, _Written] = {}

    def load(self, stack: str) -> StackState | None:
        """The state of a stack, or None when it is not deployed."""
        file = self._file(stack)
        return _read(file) if file.exists() else None

    def load_all(self) -> list[StackState]:
        """Every deployed stack, by name."""
        return [_read(file) for file in sorted(self.path.glob("*.json"))]

    def save(self, state: StackState) -> None:
        """Write a stack's state; a reader sees the old file or the new one.

        What is the same object as at the last time is not looked through again: a part that changed is another object.
        """
        _write(self._file(state.name), state, self._written.setdefault(state.name, {}))

    def remove(self, state: StackState) -> None:
        """Move a stack that is deleted to those that are gone: its name is free."""
        _write(self._gone / f"{unique_part(state.stack_id)}.json", state, self._written.pop(state.name, {}))
        self._file(state.name).unlink(missing_ok=True)

    def load_gone(self, stack_id: str) -> StackState | None:
        """The last state of a deleted stack, by its id."""
        file = self._gone / f"{unique_part(stack_id)}.json"
        return _read(file) if file.exists() else None

    def load_all_gone(self) -> list[StackState]:
        """Every deleted stack."""
        return [_read(file) for file in sorted(self._gone.glob("*.json"))]

    def hold(self, stack: str, patience_seconds: float = 0.0) -> Hold:
        """Keep everybody else from deploying or deleting a stack; who dies lets it go.

        Parameters
        ----------
        patience_seconds : float
            How long to wait for somebody else: a stack's last status is there a moment before it is let go.

        Raises
        ------
        StackBusyError
            When somebody else holds it.
        """
        file = self._file(stack)
        (self.path / "held").mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / "held" / file.stem, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + patience_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return Hold(descriptor)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    raise StackBusyError(
                        f"stack {stack} is being deployed or deleted: wait until that has ended"
                    ) from None
            time.sleep(0.01)

    def is_held(self, stack: str) -> bool:
        """Whether somebody is deploying or deleting a stack."""
        try:
            self.hold(stack).let_go()
        except StackBusyError:
            return True
        return False

    @property
    def _gone(self) -> Path:
        return self.path / "deleted"

    def _file(self, stack: str) -> Path:
        try:
            return inside(self.path, f"{stack}.json")
        except EscapingPathError as error:
            raise DeployError(f"the stack's name can't be a file name: {error}") from error


_Written = dict[str | None, tuple[object, str]]
"""The resources of a stack, and under None its request: each as it was written last, with its text."""


def _write(file: Path, state: StackState, written: _Written) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".part")
    temporary.write_text(_text(state, written))
    os.replace(temporary, file)


def _text(state: StackState, written: _Written) -> str:
    """A state as JSON. After each resource of a stack it is written, and all others are what they were."""

    def text_of(name: str | None, part: object) -> str:
        known = written.get(name)
        if known is None or known[0] is not part:
            # By the encoder that is not written in Python.
            known = written[name] = (part, json.dumps(vars(part), default=vars))
        return known[1]

    resources = ", ".join(f"{json.dumps(name)}: {text_of(name, one)}" for name, one in state.resources.items())
    apart = ("resources", "request")
    rest = json.dumps({name: value for name, value in vars(state).items() if name not in apart}, default=vars)
    return f'{{"resources": {{{resources}}}, "request": {text_of(None, state.request)}, {rest[1:]}'


def _read(file: Path) -> StackState:
    try:
        document = json.loads(file.read_text())
        resources = {name: DeployedResource(**body) for name, body in document.pop("resources").items()}
        return StackState(resources=resources, request=StackRequest(**document.pop("request")), **document)
    except (ValueError, TypeError, KeyError) as error:
        raise DeployError(
            f"{file} does not hold the state of a stack ({error}); delete the file, and start the local cloud again"
        ) from error
