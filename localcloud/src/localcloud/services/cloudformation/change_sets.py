"""Change sets: what a template would change, kept until it is carried out or thrown away."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from localcloud.cloudformation.events import unique_part
from localcloud.cloudformation.state import StackRequest


@dataclass
class ChangeSet:
    """One change set.

    Attributes
    ----------
    kind : str
        ``CREATE`` or ``UPDATE``.
    status, reason, execution_status : str
        As CloudFormation names them.
    request : StackRequest
        What the stack is to be.
    changes : list
        As DescribeChangeSet lists them.
    problems : list of dict
        What keeps it from being carried out, one by one: ``message``, and ``logical_id`` and ``type`` of a resource.
    on_failure : str
        ``ROLLBACK`` or ``DELETE``: what becomes of a new stack that does not come up.
    """

    name: str
    change_set_id: str
    stack: str
    stack_id: str
    kind: str
    created: str
    request: StackRequest
    description: str | None = None
    status: str = "CREATE_COMPLETE"
    reason: str | None = None
    execution_status: str = "AVAILABLE"
    changes: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    on_failure: str = "ROLLBACK"
    include_nested: bool = False

    def fail(self, reason: str, problems: list[dict[str, str]] | None = None) -> None:
        """Say that it can't be carried out."""
        self.status, self.execution_status, self.reason = "FAILED", "UNAVAILABLE", reason
        self.problems = problems or []


class ChangeSets:
    """The change sets of one cloud, a file each.

    Parameters
    ----------
    path : Path
        Directory of the files; made when first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, change_set: ChangeSet) -> None:
        """Keep a change set as it is now."""
        self.path.mkdir(parents=True, exist_ok=True)
        file = self._file(change_set.change_set_id)
        temporary = file.with_suffix(".part")
        temporary.write_text(json.dumps(asdict(change_set)))
        os.replace(temporary, file)

    def of_stack(self, stack_id: str) -> list[ChangeSet]:
        """The change sets of a stack, oldest first."""
        found = [change_set for file in self.path.glob("*.json") if (change_set := _read(file)).stack_id == stack_id]
        return sorted(found, key=lambda change_set: change_set.created)

    def by_id(self, change_set_id: str) -> ChangeSet | None:
        """The change set with this ARN."""
        try:
            file = self._file(change_set_id)
        except ValueError:
            return None
        return _read(file) if file.exists() else None

    def remove(self, change_set: ChangeSet) -> None:
        """Forget one."""
        self._file(change_set.change_set_id).unlink(missing_ok=True)

    def _file(self, change_set_id: str) -> Path:
        return self.path / f"{unique_part(change_set_id)}.json"


def _read(file: Path) -> ChangeSet:
    document = json.loads(file.read_text())
    return ChangeSet(request=StackRequest(**document.pop("request")), **document)
