"""What a labelled window teaches of groups that are recalibrated apart, and whether they are served so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add

from everloop.documents.calibration import GroupsLearned
from everloop.documents.recalibration import (
    FairnessDocument,
    GroupDocument,
    GroupLossesDocument,
    GroupsDocument,
)
from everloop.model_file.schema import ModelDeclaration, Recalibration
from everloop.monitoring.bins import CategoryBins
from everloop.monitoring.fairness_query import Comparison
from everloop.monitoring.reference import Reference
from everloop.recalibration.calibration import Calibration
from everloop.recalibration.declared import compared_groups, declared_groups
from everloop.recalibration.fairness import Counted, Measure, broken_limits, fairness
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.groups import (
    Groups,
    GroupState,
    continued_groups,
    grouped_calibration,
    grouped_calibration_for,
    learn_groups,
    regrouped,
)
from everloop.recalibration.state import State
from everloop.recalibration.sums import Sums
from everloop.recalibration.worth import losses

FAIRNESS_DAYS = 7
"""Labelled days on which fairness is measured where the declaration says nothing of it."""


@dataclass(frozen=True)
class KnownGroups:
    """What was learned of groups up to a window.

    Attributes
    ----------
    losses : mapping of str to GroupLossesDocument
        Of each group, over the windows that the version answered.
    withheld : bool
        Whether all of them were to be served by the shared calibration.
    """

    by: GroupBy | None = None
    states: Groups = field(default_factory=dict)
    losses: Mapping[str, GroupLossesDocument] = field(default_factory=dict)
    withheld: bool = False


def groups_before(document: GroupsDocument | None, *, same_version: bool) -> KnownGroups:
    """What a window's record says of groups; losses are those of one version.

    Raises
    ------
    RecalibrationError
        When it can't be read.
    """
    if document is None or document["groups"] is None:
        return KnownGroups()
    groups = document["groups"]
    return KnownGroups(
        GroupBy.from_document(document["by"]),
        {name: GroupState.from_document(group["state"]) for name, group in groups.items()},
        {name: group["losses"] for name, group in groups.items()} if same_version else {},
        document["withheld"] is not None,
    )


@dataclass(frozen=True)
class Apart:
    """The groups that a declaration recalibrates apart, with the labelled window's rows.

    Attributes
    ----------
    by, compared : GroupBy
        Whose groups are recalibrated, and between which fairness is measured.
    unserved : str or None
        Why the champion can't be served by group, in a sentence.
    sums : mapping of int to Sums
        Of each group by its place, and of the rows in none.
    count : callable
        Counts the rows of the days that fairness is measured on.
    """

    by: GroupBy
    compared: GroupBy
    unserved: str | None
    sums: Mapping[int, Sums]
    count: Callable[[Comparison], Counted]

    def known(self, before: KnownGroups, shared: State) -> KnownGroups:
        """What was known of today's groups, under the terms of the shared state."""
        same = before.by is not None and before.by.feature == self.by.feature
        states = continued_groups(before.states if same else {}, self.by, shared)
        told = before.losses if same else {}
        nothing: GroupLossesDocument = {"rows": 0, "shared": 0.0, "own": 0.0}
        return KnownGroups(self.by, states, {name: told.get(name, nothing) for name in states}, before.withheld)

    def learned(
        self, known: KnownGroups, shared: State, window: int, *, taught: bool, minimum_rows: int
    ) -> tuple[KnownGroups, float]:
        """What is known after the window, and what its rows lost less by what was made for their groups.

        ``shared`` is the state before the window; ``taught`` whether its rows are to be learned from.
        """
        sums = {name: self.sums[place] for place, name in enumerate(self.by.names) if taught and place in self.sums}
        served = grouped_calibration_for(shared, self.by, known.states, window, minimum_rows)
        told, saved = dict(known.losses), 0.0
        for place, name in enumerate(self.by.names):
            if name not in sums:
                continue
            _, alone = losses(served.shared, sums[name])
            _, own = losses(served, sums[name], place)
            before = known.losses[name]
            told[name] = {
                "rows": before["rows"] + sums[name].rows,
                "shared": before["shared"] + alone,
                "own": before["own"] + own,
            }
            saved += alone - own
        after = learn_groups(known.states, shared, window, sums)
        return KnownGroups(self.by, after, told, known.withheld), 0.0 if known.withheld else saved

    def served(
        self, known: KnownGroups, shared: Calibration, in_force: Calibration, declared: Recalibration
    ) -> tuple[Calibration, GroupsDocument]:
        """What would be served from now on, and what is recorded of it."""
        minimum = declared.minimum_group_rows
        made = shared if self.unserved else grouped_calibration(shared, self.by, known.states, minimum)
        found = self._fairness(declared, {"before": in_force, "shared": shared, "after": made})
        withheld = self.unserved or (None if made.by is None or found is None else "; ".join(broken_limits(found)))
        document: GroupsDocument = {
            "by": json.loads(self.by.to_text()),
            "groups": {name: self._group(known, name, place, minimum) for place, name in enumerate(self.by.names)},
            "fairness": found,
            "withheld": withheld or None,
        }
        return (shared if withheld else made), document

    def _group(self, known: KnownGroups, name: str, place: int, minimum: int) -> GroupDocument:
        state = known.states[name]
        return {
            "sums": self.sums[place].to_document(),
            "state": state.to_document(),
            "losses": known.losses[name],
            "waits_for": state.waits_for(minimum),
        }

    def _fairness(self, declared: Recalibration, calibrations: Mapping[str, Calibration]) -> FairnessDocument | None:
        limits, days = declared.fairness, FAIRNESS_DAYS if declared.fairness is None else declared.fairness.days
        by = {name: regrouped(made, self.by) for name, made in calibrations.items()}
        counted = self.count(Comparison(self.compared, self.by, by, days))  # type: ignore[arg-type]  # of all three names
        if not counted:
            return None
        wanted: dict[Measure, float | None] = {}
        if limits is not None:
            wanted = {
                "selection_rate": limits.max_selection_rate_gap,
                "true_positive_rate": limits.max_true_positive_rate_gap,
                "false_positive_rate": limits.max_false_positive_rate_gap,
                "calibration": limits.max_calibration_gap,
            }
        return fairness(counted, by, self.compared.names, by=self.compared.feature, days=days, limits=wanted)  # type: ignore[arg-type]  # as above


def apart(
    declaration: ModelDeclaration,
    reference: Reference,
    sums: Callable[[GroupBy], Mapping[int, Sums]],
    count: Callable[[Comparison], Counted],
) -> Apart | None:
    """The groups that the declaration recalibrates apart, counted; None where it names none."""
    by, compared = declared_groups(declaration), compared_groups(declaration)
    if by is None or compared is None:
        return None
    return Apart(by, compared, _unserved(by, reference), sums(by), count)


def all_of(sums: Mapping[int, Sums]) -> Sums:
    """Of the rows of all groups, and of those in none."""
    return reduce(add, sums.values())


def groups_learned(document: GroupsDocument) -> GroupsLearned:
    """What the event of a new calibration says of its groups."""
    groups = document["groups"] or {}
    return {
        "by": str(document["by"]["feature"]),
        "rows": {name: GroupState.from_document(group["state"]).state.rows for name, group in groups.items()},
        "waits_for": {name: group["waits_for"] for name, group in groups.items() if group["waits_for"] is not None},
        "fairness": document["fairness"],
        "withheld": document["withheld"],
    }


def _unserved(by: GroupBy, reference: Reference) -> str | None:
    feature = reference.features.get(by.feature)
    if feature is None:
        return f"the champion does not use {by.feature!r}, so it can't tell the groups apart: train a new version"
    if isinstance(feature.bins, CategoryBins) != bool(by.values):
        kind = "category" if isinstance(feature.bins, CategoryBins) else "number"
        return f"{by.feature!r} is a {kind} to the champion, and another type is declared: train a new version"
    return None
