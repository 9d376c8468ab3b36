"""Which version serves while probes are weighed, and what of a probe is about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from everloop.documents.probe import ChampionLosses, ProbeDocument

LEAST_SHARE = 0.5
"""Of a window's rows the champion has to have answered before the window counts as its own."""


@dataclass(frozen=True)
class Serving:
    """What serves, and what has been learned.

    Attributes
    ----------
    version : int
        The champion.
    newest : int
        The newest version that has served; another one where an older version serves again.
    trained_at : datetime
        When what the newest one learned from was gathered. A training would add to that, whichever serves.
    restorable : frozenset of int
        The versions that may come back.
    """

    version: int
    newest: int
    trained_at: datetime
    restorable: frozenset[int] = frozenset()


def own_rows(document: ProbeDocument, version: int) -> ChampionLosses | None:
    """A version's part of a window, where it answered most of it."""
    own = document["champion"]
    if own is None or own["version"] != version or sum(own["rows"]) < LEAST_SHARE * sum(document["rows"]):
        return None
    return own
