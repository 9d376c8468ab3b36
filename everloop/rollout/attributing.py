"""Asks, for one look, who made each difference that it found, or that is gone before that was known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property

from everloop.documents.deployment import ChangedBy, DifferenceDocument, Lead
from everloop.instants import parse_instant
from everloop.rollout.attribution import Heard, explained, leads_of, unknowable
from everloop.rollout.call_history import CallHistory
from everloop.rollout.differences import Difference


class Attributing:
    """What one look asks of the history; each kind of call is asked for once.

    Parameters
    ----------
    history : CallHistory
    model : str
    at : datetime
        The instant of the look.
    """

    def __init__(self, history: CallHistory, model: str, at: datetime) -> None:
        self._history = history
        self._model = model
        self._at = at
        self._heard: dict[str, Heard] = {}

    @cached_property
    def _own(self) -> str:
        return self._history.own()

    def of_found(
        self, difference: Difference, document: DifferenceDocument, before: Iterable[DifferenceDocument]
    ) -> DifferenceDocument:
        """A difference with who made it; what an earlier look knows of it is not asked again."""
        known = next((by for one in before if (by := one.get("by")) and _same(one, document)), None)
        if known is not None and known["known"] != "not_yet":
            return {**document, "by": known}
        if known is not None:
            return self.again({**document, "by": known})
        leads = leads_of(difference, self._model)
        by = unknowable(leads, self._at) if isinstance(leads, str) else self._asked(leads, self._at)
        return {**document, "by": by}

    def again(self, document: DifferenceDocument) -> DifferenceDocument:
        """A difference of which it was not known who made it, with what is known now."""
        by = document["by"]
        return {**document, "by": self._asked(by.get("leads", []), parse_instant(by["found_at"]))}

    @staticmethod
    def gone(before: Iterable[DifferenceDocument], found: Sequence[DifferenceDocument]) -> list[DifferenceDocument]:
        """What differed at an earlier look, and no more, of which it is not known yet who made it."""
        return [
            one
            for one in before
            if (by := one.get("by")) and by["known"] == "not_yet" and not any(_same(one, other) for other in found)
        ]

    def _asked(self, leads: list[Lead], found_at: datetime) -> ChangedBy:
        names = sorted({event for lead in leads for event in lead["events"]})
        for name in names:
            if name not in self._heard:
                self._heard[name] = self._history.heard([name])
        heard = [self._heard[name] for name in names]
        together = Heard(
            tuple(call for one in heard for call in one.calls),
            next((one.problem for one in heard if one.problem), ""),
            max((one.most for one in heard), default=0),
        )
        return explained(leads, found_at, together, own=self._own, now=self._at)


def _same(one: DifferenceDocument, other: DifferenceDocument) -> bool:
    return (one["code"], one["sentence"]) == (other["code"], other["sentence"])
