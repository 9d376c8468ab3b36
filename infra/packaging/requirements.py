"""Reads requirement files and the constraints, for the Python that Lambda runs rather than the one running here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from everloop.infra.exceptions import PackagingError

MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class Target:
    """The platform a layer is built for: Python ``3.13`` on ``x86_64`` or ``arm64`` Linux."""

    python: str
    architecture: str

    @property
    def machine(self) -> str:
        """The processor as wheels call it."""
        return MACHINES[self.architecture]

    @property
    def markers(self) -> dict[str, str]:
        """The values of environment markers there."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }


@dataclass(frozen=True)
class Line:
    """One requirement with the text it was written as."""

    requirement: Requirement
    text: str

    @property
    def name(self) -> str:
        """The canonical name: lower case, dashes."""
        return canonicalize_name(self.requirement.name)

    def holds_on(self, target: Target) -> bool:
        """Whether the line's marker holds on ``target``."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate(target.markers)


@cache
def _requirement(text: str) -> Requirement:
    """What a line says: the constraints are read for each function."""
    return Requirement(text)


def read_lines(path: Path) -> list[Line]:
    """The requirements of a file, in its order.

    Raises
    ------
    PackagingError
        When the file is not there, or for a line that is not a requirement; options and references to other
        files are refused, so that a file says all there is.
    """
    if not path.is_file():
        raise PackagingError(f"{path}: no such file; write it, empty when nothing is needed")
    lines: list[Line] = []
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = raw.split(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        try:
            lines.append(Line(_requirement(text), text))
        except InvalidRequirement as error:
            raise PackagingError(f"{path}:{number}: {text!r} is not a requirement: {error}") from error
    return lines


def plain_pins(lines: Iterable[Line], target: Target) -> list[str]:
    """The lines that hold on ``target``, without their markers.

    pip judges markers for the Python it runs on, even when it downloads for another one.
    """
    return [f"{line.name}{line.requirement.specifier}" for line in lines if line.holds_on(target)]


def lock_lines(installed: dict[str, str], constraints: Iterable[Line]) -> list[str]:
    """The exact pins of a layer: as the constraints write them, with every Python's variant, or as installed."""
    pinned: dict[str, list[str]] = {}
    for line in constraints:
        pinned.setdefault(line.name, []).append(line.text)
    locked: list[str] = []
    for name, version in sorted(installed.items()):
        locked += pinned.get(name, [f"{name}=={version}"])
    return locked
