"""From how many of the newest days a training learns: all rows, unless fewer have lost less, beyond chance.

Where the world moves, old rows teach what is no longer so; where it doesn't, leaving rows out wastes them. Which of
the two it is shows in fresh probes: at each labelled window one learned from all rows before it, and others from the
newest days of a declared ladder of *spans*. All are scored on the same rows, so what makes a window hard cancels out.

A shorter span is taken where its probes have lost less than those of all rows by more than chance explains. The newest
windows count most: it is the coming window that a training is for. Days are draws, but those of one window have their
two probes in common: what windows differ by, beyond what days do, adds to the error. Of several spans that pass, the
one that has saved most is taken.

Imported where a run is opened, so it needs no numpy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from everloop.numbers_of import number_of
from everloop.reasons import Reason

HALF_LIFE = 3.0
"""Windows after which a window counts half."""

SURE = 2.5
"""Standard errors by which a shorter span has to lead. Where it is as good as all rows, and no better, one of three
spans is taken for 1 to 6 trainings in a hundred, and for up to 9 where probes differ by luck (three windows or more).
"""

FEWEST_DAYS = 5
"""Labelled days before a shorter span is believed."""


@dataclass(frozen=True)
class Lead:
    """What probes of one span lost less than those of all rows.

    Attributes
    ----------
    less : float
        By day, the newest windows counting most.
    error : float or None
        Its standard error; None where there are too few days for one.
    windows, days : int
        Labelled ones that it rests on.
    """

    less: float
    error: float | None
    windows: int
    days: int

    @classmethod
    def of(cls, less_by_day: Sequence[Sequence[float]], half_life: float = HALF_LIFE) -> Lead:
        """From each labelled window's days, the oldest window first; windows without a day are left out."""
        there = [(place, list(days)) for place, days in enumerate(less_by_day) if len(days)]
        count = sum(len(days) for _, days in there)
        if not count:
            return cls(0.0, None, 0, 0)
        newest = len(less_by_day) - 1
        weighted = [(0.5 ** ((newest - place) / half_life), days) for place, days in there]
        whole = math.fsum(weight * len(days) for weight, days in weighted)
        less = math.fsum(weight * math.fsum(days) for weight, days in weighted) / whole
        if count < 2:
            return cls(less, None, len(there), count)
        apart = [(weight / whole, [day - less for day in days]) for weight, days in weighted]
        of_days = math.fsum((weight * day) ** 2 for weight, days in apart for day in days) * count / (count - 1)
        windows = len(apart)
        of_windows = math.fsum((weight * math.fsum(days)) ** 2 for weight, days in apart)
        of_windows *= windows / (windows - 1) if windows > 1 else 0.0
        return cls(less, math.sqrt(max(of_days, of_windows)), windows, count)

    def is_sure(self, sure: float = SURE) -> bool:
        """Whether it is more than chance explains."""
        return self.error is not None and self.days >= FEWEST_DAYS and self.less > max(sure * self.error, 0.0)

    def told(self, unit: str) -> str:
        """The figures, as a part of a sentence."""
        error = "" if self.error is None else f" (standard error {self.error:.2g})"
        return (
            f"their probes lost {abs(self.less):.3g} {unit} {'less' if self.less >= 0 else 'more'} a row{error}, over "
            f"{number_of(self.windows, 'window')}"
        )


@dataclass(frozen=True)
class SpanChoice:
    """What a training learns from, and why.

    Attributes
    ----------
    days : int or None
        The newest so many; None for all rows.
    leads : mapping of int to Lead
        Of each span that was measured.
    """

    days: int | None
    leads: Mapping[int, Lead]
    reason: Reason


def choose_span(leads: Mapping[int, Lead], *, unit: str = "loss", sure: float = SURE) -> SpanChoice:
    """Decide.

    Parameters
    ----------
    leads : mapping of int to Lead
        By span, in days.
    unit : str
        Of the leads, as sentences call it.
    """
    measured = {days: lead for days, lead in leads.items() if lead.windows}
    if not measured:
        told = "All rows: no probe of a shorter span has been measured yet."
        return SpanChoice(None, measured, Reason("span_unknown", told))
    best = max(measured, key=lambda days: (measured[days].is_sure(sure), measured[days].less))
    figures = measured[best].told(unit)
    if measured[best].is_sure(sure):
        told = f"The newest {number_of(best, 'day')} alone, and no older rows: {figures} than those of all rows."
        return SpanChoice(best, measured, Reason("span_newest", told))
    told = (
        f"All rows: no shorter span has lost less beyond chance. The newest {number_of(best, 'day')} come nearest: "
        f"{figures} than those of all rows."
    )
    return SpanChoice(None, measured, Reason("span_all", told))


def span_told(days: int | None) -> str:
    """What sentences call a span."""
    return "all rows" if days is None else f"the newest {number_of(days, 'day')}"
