"""The standing set of a model: which rows were put aside, chosen once."""

from __future__ import annotations

from everloop.registry import keys
from everloop.registry.exceptions import StandingSetChosenError
from everloop.registry.ledger import Ledger
from everloop.registry.records import StandingSet


class StandingSets:
    """The one standing set of a model, recorded by the function that makes the snapshots."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._partition = keys.snapshots_partition(ledger.model)

    def chosen(self) -> StandingSet | None:
        """The set; None where none was chosen yet."""
        return self._ledger.read(StandingSet, keys.STANDING, partition=self._partition)

    def choose(self, wanted: StandingSet) -> StandingSet:
        """Choose a set, if there is none yet; the one on record, of the wanted rows.

        Raises
        ------
        StandingSetChosenError
            When another one was chosen meanwhile: the snapshot that wanted this one has to be made again.
        """
        found = self._ledger.create_once(wanted)
        if (found.sha256, found.uri) != (wanted.sha256, wanted.uri):
            raise StandingSetChosenError(
                f"the standing set of {wanted.model} was chosen meanwhile, of snapshot {found.snapshot_hash}: a new"
                " attempt leaves its rows out"
            )
        return found
