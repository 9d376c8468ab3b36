"""What a labelled window teaches of the spread of intervals, and how they did."""

from __future__ import annotations

from dataclasses import dataclass, field

from everloop.documents.calibration import IntervalLearned
from everloop.documents.recalibration import SpreadDocument
from everloop.monitoring.coverage import Told
from everloop.recalibration.interval import Interval
from everloop.recalibration.spread.learner import continued, factors, learn
from everloop.recalibration.spread.state import SpreadState
from everloop.recalibration.spread.sums import SpreadSums

LEAST_WIDENING = 0.01
"""Where no side's width would change by more than this, relatively, the spread alone is no reason to publish."""


@dataclass(frozen=True)
class KnownSpread:
    """What was learned of the spread up to a window, and how the version's intervals did."""

    state: SpreadState | None = None
    served: Told = field(default_factory=Told)
    raw: Told = field(default_factory=Told)
    same_version: bool = False


def spread_before(document: SpreadDocument | None, *, same_version: bool) -> KnownSpread:
    """What a window's record says of the spread; how intervals did is of one version.

    Raises
    ------
    RecalibrationError
        When it can't be read.
    """
    if document is None:
        return KnownSpread()
    state = SpreadState.from_document(document["state"])
    if not same_version:
        return KnownSpread(state)
    told = document["told"]
    return KnownSpread(state, Told.from_document(told["served"]), Told.from_document(told["raw"]), same_version=True)


@dataclass(frozen=True)
class Spread:
    """The champion's interval, and how it did in the labelled window."""

    interval: Interval
    sums: SpreadSums

    def learned(self, before: KnownSpread, window: int, delay: int, minimum_rows: int) -> SpreadDocument:
        """What is known after the window; one that was learned already teaches nothing again."""
        known = self.sums if self.sums.rows >= minimum_rows else SpreadSums.none()
        state = continued(before.state, self.interval.coverage, delay, same_version=before.same_version)
        served, raw = before.served, before.raw
        if state.window is None or window > state.window:
            served, raw = served.plus(known.served, known.rows), raw.plus(known.raw, known.rows)
            state = learn(state, window, known, self.interval)
        coverage = self.interval.coverage
        return {
            "interval": {"coverage": coverage, "below": self.interval.below, "above": self.interval.above},
            "sums": self.sums.to_document(),
            "state": state.to_document(),
            "told": {"served": served.to_document(), "raw": raw.to_document()},
            "served": served.figures(coverage),
            "raw": raw.figures(coverage),
            "factors": list(factors(state)),
        }


def spread_of(document: SpreadDocument) -> tuple[float, float]:
    """The factors that would serve from now on."""
    below, above = document["factors"]
    return below, above


def widened(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether a side of an interval would be noticeably wider, or narrower, by one than by the other."""
    return any(abs(a / b - 1) > LEAST_WIDENING for a, b in zip(one, other, strict=True))


def interval_learned(document: SpreadDocument) -> IntervalLearned:
    """What the event of a new calibration says of intervals."""
    return {
        "interval": document["interval"],
        "factors": document["factors"],
        "served": document["served"],
        "raw": document["raw"],
    }
