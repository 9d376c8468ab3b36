"""Looks at test parts: each run that was handed one, and how often the same rows were looked at.

What is chosen by a test part looks better on it than it is, the more so the more often it is asked (C. Dwork et al.,
"The reusable holdout: Preserving validity in adaptive data analysis", Science 349 (2015)). Nothing here forbids a look;
it is counted, so that who reads a report knows how many others were taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from everloop.numbers_of import number_of
from everloop.registry import keys
from everloop.registry.ledger import Ledger
from everloop.registry.records import Look


@dataclass(frozen=True)
class LookCounts:
    """How often a test part was looked at.

    Attributes
    ----------
    same : int
        Runs that were handed this snapshot's test part.
    overlapping : int
        Runs that were handed test rows of the same time, these among them.
    """

    same: int
    overlapping: int

    @property
    def sentence(self) -> str:
        """Both counts, for people."""
        others = self.overlapping - self.same
        beside = f", and {number_of(others, 'run')} at test rows of the same days" if others else ""
        return f"{number_of(self.same, 'run')} looked at this test part{beside}"


class Looks:
    """The looks at a model's test parts, each recorded once, by the function that makes the snapshots."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._partition = keys.snapshots_partition(ledger.model)

    def put(self, look: Look) -> Look:
        """Record a run's look once; returns the one on record."""
        return self._ledger.create_once(look)

    def all(self) -> list[Look]:
        """Every look, in the order of their time."""
        return sorted(self._ledger.all(Look, keys.LOOKS, partition=self._partition), key=lambda look: look.at)

    def counts(self, snapshot_hash: str) -> LookCounts | None:
        """How often the snapshot's test part was looked at; None where no look is on record, as of earlier releases."""
        return counted(self.all(), snapshot_hash)


def counted(looks: Iterable[Look], snapshot_hash: str) -> LookCounts | None:
    """Count the looks at a snapshot's test part, and those at rows of the same time.

    Parts of one snapshot are equal. Of two snapshots they overlap where an instant is in both: the end of a part
    belongs to it, its beginning does not.
    """
    taken = list(looks)
    own = [look for look in taken if look.snapshot_hash == snapshot_hash]
    if not own:
        return None
    after, until = own[0].after, own[0].until
    overlapping = [look for look in taken if look.after < until and after < look.until]
    return LookCounts(same=len(own), overlapping=len({look.run_id for look in (*own, *overlapping)}))
