"""Which statement allowed what: for each role and action the statements that did, how often, and the first such call.

It is kept in ``iam-usage.json`` of the cloud's state directory, so that a role can be held against what it really used:
a statement that stands in no entry allowed nothing, and one that stands alone in an entry is needed by those calls.
What was refused is there too. The file is written when something new is allowed or refused, and when the cloud ends.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.core.context import CloudContext

FILE = "iam-usage.json"

BY_RESOURCE = "resource policy"
"""Stands for every statement of the policy of the resource that was asked for."""


@dataclass
class Allowed:
    """Calls of one role and action that the same statements allowed.

    Attributes
    ----------
    statements : tuple of str
        Each as canonical JSON; any of them alone would have been enough.
    resource, session : str
        Of the first call: what it acted on, and the name of the role's session.
    """

    role: str
    action: str
    statements: tuple[str, ...]
    resource: str
    session: str
    calls: int = 0


@dataclass
class Denied:
    """Calls of one role and action that were refused; ``resource`` and ``session`` are those of the first."""

    role: str
    action: str
    resource: str
    session: str
    calls: int = 0


class Usage:
    """What was allowed and refused in one local cloud.

    Parameters
    ----------
    file : Path
        Where it is kept.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._allowed: dict[tuple[str, str, tuple[str, ...]], Allowed] = {}
        self._denied: dict[tuple[str, str], Denied] = {}

    def note(self, role: str, action: str, statements: tuple[str, ...], resource: str, session: str) -> None:
        """Count a call that ``statements`` allowed."""
        key = (role, action, statements)
        with self._lock:
            new = key not in self._allowed
            self._allowed.setdefault(key, Allowed(role, action, statements, resource, session)).calls += 1
            if new:
                self._write()

    def note_denied(self, role: str, action: str, resource: str, session: str) -> None:
        """Count a call that was refused."""
        key = (role, action)
        with self._lock:
            new = key not in self._denied
            self._denied.setdefault(key, Denied(role, action, resource, session)).calls += 1
            if new:
                self._write()

    def write(self) -> None:
        """Write the counts as they are."""
        with self._lock:
            if self._allowed or self._denied:
                self._write()

    def counts(self) -> dict[str, list[dict[str, Any]]]:
        """The counts as they are now, with the calls of a known kind that the file does not have yet."""
        with self._lock:
            return self._counts()

    def _counts(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "allowed": [vars(entry) | {"statements": list(entry.statements)} for entry in self._allowed.values()],
            "denied": [dict(vars(entry)) for entry in self._denied.values()],
        }

    def _write(self) -> None:
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(self._counts()), encoding="utf-8")
        partial.replace(self._file)


_usages: dict[Path, Usage] = {}
_lock = threading.Lock()


def usage_of(context: CloudContext) -> Usage:
    """The usage of a cloud, the same for all who ask."""
    file = context.state_directory / FILE
    with _lock:
        return _usages.setdefault(file, Usage(file))


def end(context: CloudContext) -> None:
    """Write a cloud's usage for the last time, and forget it."""
    with _lock:
        usage = _usages.pop(context.state_directory / FILE, None)
    if usage is not None:
        usage.write()
