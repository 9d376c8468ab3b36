"""What is known of deployed stacks, one JSON file for each."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from localcloud.cloudformation.exceptions import DeployError
from localcloud.cloudformation.intrinsics import Made
from localcloud.core.containment import EscapingPathError, inside


@dataclass
class DeployedResource:
    """One resource as it was last deployed; ``properties`` are the resolved ones."""

    type: str
    properties: dict[str, Any]
    physical_id: str
    attributes: dict[str, str]
    deletion_policy: str

    @property
    def made(self) -> Made:
        """The resource as templates see it."""
        return Made(self.physical_id, self.attributes)


@dataclass
class StackState:
    """One deployed stack.

    Attributes
    ----------
    resources : dict[str, DeployedResource]
        By logical id, in the order in which they were deployed.
    outputs, exports : dict[str, Any]
        Output values by name; exported values by export name.
    imports : list[str]
        Names of other stacks' exports that this stack uses.
    """

    name: str
    stack_id: str
    resources: dict[str, DeployedResource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)


class StateDirectory:
    """The stacks deployed into one endpoint.

    Parameters
    ----------
    path : Path
        Directory of the files; made when first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, stack: str) -> StackState | None:
        """The state of a stack, or None when it is not deployed."""
        file = self._file(stack)
        return _read(file) if file.exists() else None

    def load_all(self) -> list[StackState]:
        """Every deployed stack, by name."""
        return [_read(file) for file in sorted(self.path.glob("*.json"))]

    def save(self, state: StackState) -> None:
        """Write a stack's state; a reader sees the old file or the new one."""
        self.path.mkdir(parents=True, exist_ok=True)
        temporary = self._file(state.name).with_suffix(".part")
        temporary.write_text(json.dumps(asdict(state), indent=1))
        os.replace(temporary, self._file(state.name))

    def remove(self, stack: str) -> None:
        """Forget a stack that is deleted."""
        self._file(stack).unlink(missing_ok=True)

    def _file(self, stack: str) -> Path:
        try:
            return inside(self.path, f"{stack}.json")
        except EscapingPathError as error:
            raise DeployError(f"the stack's name can not be that of a file: {error}") from error


def _read(file: Path) -> StackState:
    try:
        document = json.loads(file.read_text())
        resources = {name: DeployedResource(**body) for name, body in document.pop("resources").items()}
        return StackState(resources=resources, **document)
    except (ValueError, TypeError, KeyError) as error:
        raise DeployError(
            f"{file} does not hold the state of a stack ({error}); delete it together with the cloud it describes"
        ) from error
