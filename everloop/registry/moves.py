"""A version's move from one state to another, worked out: its new record, what is written, and what the audit says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.changes import Change, holds
from everloop.registry.records import Place, Version
from everloop.registry.states import SINGLE_PLACE, State, check_transition


@dataclass(frozen=True)
class Move:
    """A version's change of state: the new record, its writes, and its audit entry."""

    version: Version
    changes: tuple[Change, ...]
    entry: Entry


def move(
    version: Version,
    to: State,
    *,
    at: datetime,
    actor: str,
    reason: str | None = None,
    details: Mapping[str, object] | None = None,
) -> Move:
    """Work out a declared move. The champion pointer is the caller's business.

    Raises
    ------
    InvalidTransitionError
        When the states do not allow it.
    """
    check_transition(version.state, to, reason=reason)
    moved = replace(version, state=to, state_since=at, reason=reason)
    still_there = holds(f"version {version.version} is {version.state}", state=version.state, version=version.version)
    writes = [changes.replace(moved, still_there)]
    if version.state in SINGLE_PLACE:
        place = keys.partition(version.model), keys.place(version.state)
        own = holds(f"version {version.version} is the one in {version.state}", version=version.version)
        writes.append(changes.vacate(place, own))
    if to in SINGLE_PLACE:
        writes.append(changes.occupy(Place(version.model, to, version.version), f"no version is in {to}"))
    entry = Entry(
        at=at,
        action="transition",
        actor=actor,
        version=version.version,
        run_id=version.run_id,
        reason=reason,
        details={"from": str(version.state), "to": str(to), **(details or {})},
    )
    return Move(moved, tuple(writes), entry)
