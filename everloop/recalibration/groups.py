"""Learns, of each declared group of rows, how it differs from what is served to all.

A group is learned as a version is (:mod:`everloop.recalibration.learner`), with the shared calibration in the place of
the model: its lines are over what is served to all, and "leave the score alone" is the shared calibration. So a group
loses at most the learner's bound more than it would by the shared calibration, over any stretch of windows on which it
is served so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

from everloop.recalibration.calibration import Calibration, Part
from everloop.recalibration.exceptions import StateFormatError
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.learner import calibration, calibration_for, learn, start, succeed
from everloop.recalibration.rescored import rescored
from everloop.recalibration.state import GROUP_HALF_LIVES, REMEDY, State, StateDocument
from everloop.recalibration.sums import LogOddsSums, Sums, ValueSums
from everloop.typed_json import read_as


class GroupStateDocument(TypedDict):
    """See :class:`GroupState`."""

    ones: int
    state: StateDocument


@dataclass(frozen=True, eq=False)
class GroupState:
    """What was learned of one group.

    Attributes
    ----------
    state : State
        Its lines are over what the shared calibration serves.
    ones : int
        Of a classification: labelled rows so far whose outcome was 1.
    """

    state: State
    ones: int = 0

    def waits_for(self, minimum_rows: int) -> str | None:
        """Why the group is served as all others are, in a sentence; None where it has enough labelled rows."""
        rows = self.state.rows
        if rows < minimum_rows:
            return f"{rows:,} labelled rows so far, and it takes {minimum_rows:,}"
        if self.state.kind == "log_odds" and self.ones in (0, rows):
            return f"all its {rows:,} labelled rows so far have one outcome"
        return None

    def to_document(self) -> GroupStateDocument:
        """As JSON."""
        return {"ones": self.ones, "state": self.state.to_document()}

    @classmethod
    def from_document(cls, document: object) -> GroupState:
        """Read from JSON.

        Raises
        ------
        StateFormatError
            Naming what is wrong.
        """
        found = read_as(
            GroupStateDocument, document, "state of a group's recalibration", REMEDY, refusal=StateFormatError
        )
        return cls(State.from_document(found["state"], GROUP_HALF_LIVES), found["ones"])


Groups = Mapping[str, GroupState]
"""What was learned of each group, by its name."""


def continued_groups(before: Groups, by: GroupBy, shared: State) -> Groups:
    """What was known of the declared groups, under the terms of the shared state; of a new one nothing."""
    return {name: _continued(before.get(name), shared) for name in by.names}


def learn_groups(groups: Groups, shared: State, window: int, sums: Mapping[str, Sums]) -> Groups:
    """The groups after one more window.

    Parameters
    ----------
    shared : State
        What was learned of all rows before the window: its calibration was served on it.
    window : int
        Its number, above that of every window learned before.
    sums : mapping of str to Sums
        Of each group's labelled rows, by the raw score. A group without any is only counted.

    Raises
    ------
    WindowOutOfOrderError, SumsDifferError
        As :func:`everloop.recalibration.learner.learn`.
    """
    served = calibration_for(shared, window)
    none = LogOddsSums.none() if shared.kind == "log_odds" else ValueSums.none(shared.center, shared.bin_width)
    found = {}
    for name, group in groups.items():
        known = sums.get(name, none)
        state = learn(group.state, window, rescored(known, served))
        found[name] = GroupState(state, group.ones + ones_of(known))
    return found


def ones_of(sums: Sums) -> int:
    """Rows whose outcome was 1; of a regression none."""
    return int(sums.counts[1].sum()) if isinstance(sums, LogOddsSums) else 0


def grouped_calibration(shared: Calibration, by: GroupBy, groups: Groups, minimum_rows: int) -> Calibration:
    """What is to be served from now on: the shared calibration, and of each group that has enough rows its own."""
    mixtures = tuple(_mixture(groups.get(name), minimum_rows) for name in by.names)
    return shared if not any(mixtures) else replace(shared, by=by, groups=mixtures)


def grouped_calibration_for(shared: State, by: GroupBy, groups: Groups, window: int, minimum_rows: int) -> Calibration:
    """What a window is served with: what was made for it, or for one before it, of both."""
    own = {name: replace(group, state=_as_of(group.state, window)) for name, group in groups.items()}
    return grouped_calibration(calibration_for(shared, window), by, own, minimum_rows)


def regrouped(made: Calibration, by: GroupBy) -> Calibration:
    """The calibration with its groups at the places that ``by`` gives them; one that it does not have is served as all
    others are.
    """
    if made.by == by:
        return made
    known = (
        {} if made.by is None or made.by.feature != by.feature else dict(zip(made.by.names, made.groups, strict=True))
    )
    return replace(made, by=by, groups=tuple(known.get(name) for name in by.names))


def _as_of(state: State, window: int) -> State:
    made = [forecast for forecast in state.forecasts if forecast.window <= window]
    return replace(state, forecasts=tuple(made[-1:]))


def _mixture(group: GroupState | None, minimum_rows: int) -> tuple[Part, ...] | None:
    if group is None or group.waits_for(minimum_rows) is not None:
        return None
    made = calibration(group.state)
    return None if made.is_identity else made.parts


def _continued(before: GroupState | None, shared: State) -> GroupState:
    if before is None or before.state.kind != shared.kind or before.state.center != shared.center:
        fresh = start(shared.kind, shared.delay, shared.limits, center=shared.center, half_lives=GROUP_HALF_LIVES)
        return GroupState(fresh)
    return replace(before, state=succeed(before.state, shared.delay, shared.limits))
