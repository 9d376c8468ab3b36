"""What happened to stacks and their resources, one file of lines for each stack."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

STACK_TYPE = "AWS::CloudFormation::Stack"
_UNIQUE = re.compile(r"[0-9a-f-]{36}")


@dataclass(frozen=True)
class StackEvent:
    """Something that happened to a resource, or to its stack.

    Attributes
    ----------
    status, reason : str
        As CloudFormation names it, and why.
    properties : str
        The resource's properties at that moment, as JSON; empty where they say nothing.
    at : str
        When, in ISO 8601.
    """

    stack: str
    stack_id: str
    logical_id: str
    physical_id: str
    type: str
    status: str
    at: str
    reason: str = ""
    properties: str = ""
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def is_of_stack(self) -> bool:
        """Whether it happened to the stack itself."""
        return self.type == STACK_TYPE and self.physical_id == self.stack_id


class EventLog:
    """The events of stacks, kept for as long as their endpoint lives.

    Parameters
    ----------
    path : Path
        Directory of the files; made when first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: StackEvent) -> None:
        """Keep an event."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self._file(event.stack_id).open("a") as file:
            file.write(json.dumps(asdict(event)) + "\n")

    def of(self, stack_id: str) -> list[StackEvent]:
        """The events of a stack, oldest first."""
        file = self._file(stack_id)
        if not file.exists():
            return []
        return [StackEvent(**json.loads(line)) for line in file.read_text().splitlines() if line.endswith("}")]

    def _file(self, stack_id: str) -> Path:
        return self.path / f"{unique_part(stack_id)}.jsonl"


def unique_part(stack_id: str) -> str:
    """The part of a stack's id that no other stack has.

    Raises
    ------
    ValueError
        When it is no such id.
    """
    part = stack_id.rpartition("/")[2]
    if _UNIQUE.fullmatch(part) is None:
        raise ValueError(f"{stack_id!r} is not a stack id")
    return part
