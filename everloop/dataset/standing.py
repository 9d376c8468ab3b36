"""The standing set: older labelled rows, chosen once and kept, that no training learns from.

A model that is trained on newer rows may lose what the one before it knew (M. McCloskey, N. J. Cohen, "Catastrophic
interference in connectionist networks", Psychology of Learning and Motivation 24, 1989). The newest test part does not
show that. So the first training set that is made with ``gate.standing`` puts the newest days before its test part
aside, and every later one leaves the rows of these days out of what is learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from everloop.instants import instant_text, parse_instant

NONE = "none"
"""What stands for a period, or an address, where there is none."""


@dataclass(frozen=True)
class Period:
    """Instants later than ``after``, up to ``until``."""

    after: datetime
    until: datetime

    def __str__(self) -> str:
        return f"{instant_text(self.after)}/{instant_text(self.until)}"

    @classmethod
    def parse(cls, text: str) -> Period | None:
        """What :meth:`__str__` wrote; None for ``NONE``.

        Raises
        ------
        ValueError
            When it is neither.
        """
        if text == NONE:
            return None
        after, slash, until = text.partition("/")
        if not slash:
            raise ValueError(f"{text!r} is neither two instants with a slash between them nor {NONE!r}")
        return cls(parse_instant(after), parse_instant(until))

    def holds(self, first: datetime, last: datetime) -> bool:
        """Whether both instants, and so all between them, are in it."""
        return self.after < first and last <= self.until


@dataclass(frozen=True)
class Standing:
    """What a training set is asked to leave out.

    Attributes
    ----------
    days : int
        How many days the first one puts aside.
    chosen : Period or None
        The period of the set that was chosen before; None where this training set chooses it.
    """

    days: int
    chosen: Period | None = None

    def period(self, boundary: datetime) -> Period:
        """The days that are left out of a training set whose test part begins after ``boundary``."""
        return self.chosen or Period(boundary - timedelta(days=self.days), boundary)
