"""What the evaluation says of the standing set: older rows from which neither candidate nor champion has learned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from everloop.evaluation.measured import MetricValue, PairedDifference
from everloop.instants import instant_text
from everloop.numbers_of import number_of


@dataclass(frozen=True)
class StandingFacts:
    """Candidate and champion on the standing set, in the gate's metric, by raw scores.

    Attributes
    ----------
    metric : str
    sha256 : str
        Over the set's files.
    rows, days : int
        0 where the rows can't be read any more.
    first, last : datetime or None
        The times of the oldest and the newest row.
    candidate, champion : MetricValue or None
        ``champion`` is None where there is none, or the two are not compared.
    champion_version : int or None
    paired : PairedDifference or None
        Candidate less champion.
    why : str
        Why they are not compared, though there is a champion; empty otherwise.
    """

    metric: str
    sha256: str
    rows: int
    days: int
    first: datetime | None
    last: datetime | None
    candidate: MetricValue | None = None
    champion: MetricValue | None = None
    champion_version: int | None = None
    paired: PairedDifference | None = None
    why: str = ""

    def with_why(self, why: str) -> StandingFacts:
        """These facts, with what stands in the way of a comparison."""
        return replace(self, why=why)

    def beside(self, version: int, champion: MetricValue, paired: PairedDifference) -> StandingFacts:
        """These facts, with the champion's."""
        return replace(self, champion_version=version, champion=champion, paired=paired)

    @property
    def told(self) -> str:
        """Which rows they are, in a sentence's part."""
        if self.first is None or self.last is None:
            return "the standing set"
        span = f"{instant_text(self.first)} to {instant_text(self.last)}"
        return f"the standing set ({number_of(self.rows, 'row')} of {number_of(self.days, 'day')}, {span})"
