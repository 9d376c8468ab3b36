"""Whether a training that was asked to continue the champion can do so, or learns in full; and why.

A *warm start* adds trees to the champion's own estimator, from the rows that are newer than what it has learned from.
The jobs of a run and of its refit ask the same question of the same facts, so they answer it alike.

Imported where a run is opened, so it needs no numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.instants import instant_text
from everloop.numbers_of import number_of
from everloop.reasons import Reason

if TYPE_CHECKING:
    from everloop.model_file.schema import WarmStart

FEWEST_ROWS = 100
"""Newer rows from which trees are added: of fewer they would learn the accidents."""

FEWEST_OF_A_CLASS = 10
"""The same, of each class."""


@dataclass(frozen=True)
class Parent:
    """The version to continue.

    Attributes
    ----------
    trees : int or None
        That it has; None of a model without trees, which learns on row by row.
    learned_until : datetime
        The newest row that it learned from.
    unlike : str or None
        What its training was made of that this one is not, in a sentence's part; None where nothing is.
    """

    version: int
    trees: int | None
    learned_until: datetime
    unlike: str | None


@dataclass(frozen=True)
class Rows:
    """What there is to learn from.

    Attributes
    ----------
    newer : int
        Rows that are newer than all that the parent has learned from, without those of the test.
    rarest : int or None
        Of them, those of the rarer class; None of a regression.
    test, test_learned : int
        The test rows, and those among them that the parent may have learned from.
    """

    newer: int
    rarest: int | None
    test: int
    test_learned: int


@dataclass(frozen=True)
class Update:
    """How a training learns: by warm start, or in full; and why."""

    warm: bool
    reason: Reason


def trained_in_full(why: Reason) -> Reason:
    """Why a training that was to continue a version did not, in a whole sentence."""
    return replace(why, sentence=f"Trained in full and not continued: {why.sentence}")


Rule = Callable[[Parent, Rows, "WarmStart"], Reason | None]


def decide(parent: Parent, rows: Rows, declared: WarmStart) -> Update:
    """Continue ``parent``, unless something is in the way.

    Then the reason is to be told by :func:`trained_in_full`, or whatever else comes of it.
    """
    against = next(_against(parent, rows, declared), None)
    if against is not None:
        return Update(False, against)
    later = f"{number_of(rows.newer, 'row')} later than {instant_text(parent.learned_until)}"
    if parent.trees is None:
        how = f"it learns on from {later}, in {number_of(declared.passes, 'pass', 'passes')}"
    else:
        how = f"{number_of(declared.added_trees, 'tree')} from {later} are added to its {parent.trees:,}"
    return Update(True, Reason("warm_start", f"Version {parent.version} is continued: {how}."))


def _against(parent: Parent, rows: Rows, declared: WarmStart) -> Iterator[Reason]:
    for rule in _RULES:
        found = rule(parent, rows, declared)
        if found is not None:
            yield found


def _same_making(parent: Parent, rows: Rows, declared: WarmStart) -> Reason | None:
    if parent.unlike is None:
        return None
    return Reason("warm_start_unlike", f"version {parent.version} was trained with {parent.unlike}.")


def _unseen_test(parent: Parent, rows: Rows, declared: WarmStart) -> Reason | None:
    if not rows.test_learned:
        return None
    told = (
        f"version {parent.version} has learned from {rows.test_learned:,} of the {number_of(rows.test, 'test row')}, on"
        " which what continues it would look better than it is: train again after data.split.test_days of newer labels."
    )
    return Reason("warm_start_test_seen", told, float(rows.test_learned), 0.0)


def _enough_rows(parent: Parent, rows: Rows, declared: WarmStart) -> Reason | None:
    since = f"later than {instant_text(parent.learned_until)}, until which version {parent.version} learned"
    if rows.newer < FEWEST_ROWS:
        told = f"{number_of(rows.newer, 'row is', 'rows are')} {since}; at least {FEWEST_ROWS} are required."
        return Reason("warm_start_few_rows", told, float(rows.newer), float(FEWEST_ROWS))
    if rows.rarest is not None and rows.rarest < FEWEST_OF_A_CLASS:
        found = number_of(rows.rarest, "row of the rarer class is", "rows of the rarer class are")
        told = f"{found} {since}; at least {FEWEST_OF_A_CLASS} are required."
        return Reason("warm_start_few_of_a_class", told, float(rows.rarest), float(FEWEST_OF_A_CLASS))
    return None


def _room(parent: Parent, rows: Rows, declared: WarmStart) -> Reason | None:
    if parent.trees is None or parent.trees + declared.added_trees <= declared.max_trees:
        return None
    trees = parent.trees + declared.added_trees
    told = (
        f"version {parent.version} has {number_of(parent.trees, 'tree')}, and with {declared.added_trees:,} more it"
        f" would have more than training.warm_start.max_trees, {declared.max_trees:,}."
    )
    return Reason("warm_start_many_trees", told, float(trees), float(declared.max_trees))


_RULES: tuple[Rule, ...] = (_same_making, _unseen_test, _enough_rows, _room)
