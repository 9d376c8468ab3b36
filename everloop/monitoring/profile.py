"""A window as counts that add up: the profile of two windows together is the sum of their profiles.

Every statistic of monitoring reads profiles only, so its memory does not grow with the rows, and it does not matter
whether a profile was counted in process (:mod:`everloop.monitoring.counting`) or by a query on the lake
(:mod:`everloop.monitoring.profile_query`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from operator import add

from everloop.documents.window import DecisionsDocument, OutcomesDocument, ProfileDocument
from everloop.monitoring.exceptions import BinsDifferError, ProfileFormatError


@dataclass(frozen=True)
class BinCounts:
    """How often each bin of a feature occurred, and how often its value was missing."""

    counts: tuple[int, ...]
    missing: int = 0

    @property
    def rows(self) -> int:
        """All rows that were counted, those without a value too."""
        return sum(self.counts) + self.missing

    @property
    def cells(self) -> tuple[int, ...]:
        """All counts, missing last."""
        return (*self.counts, self.missing)

    def __add__(self, other: BinCounts) -> BinCounts:
        return BinCounts(_added(self.counts, other.counts), self.missing + other.missing)

    def __sub__(self, other: BinCounts) -> BinCounts:
        """The counts of the rows that are in this profile and not in ``other``, a part of it."""
        rest = tuple(a - b for a, b in zip(self.counts, other.counts, strict=True))
        return BinCounts(rest, self.missing - other.missing)


@dataclass(frozen=True)
class Decisions:
    """What became of decisions by the served scores.

    Attributes
    ----------
    hits, false_alarms : float
        Of a classification: rows of the labels 1 and 0 whose score reached the threshold.
    absolute_error : float
        Of a regression: the sum of it.
    """

    hits: float = 0.0
    false_alarms: float = 0.0
    absolute_error: float = 0.0

    def __add__(self, other: Decisions) -> Decisions:
        return Decisions(
            self.hits + other.hits,
            self.false_alarms + other.false_alarms,
            self.absolute_error + other.absolute_error,
        )

    def as_dict(self) -> DecisionsDocument:
        """The sums as JSON values."""
        return {"hits": self.hits, "false_alarms": self.false_alarms, "absolute_error": self.absolute_error}


DECISION_SUMS = ("hits", "false_alarms", "absolute_error")
"""The sums of :class:`Decisions`."""


@dataclass(frozen=True)
class Outcomes:
    """Sums over labelled rows: how good the scores were.

    With y the label, s the score (the probability of 1, or the value), l the loss the gate judges by, z the score on
    the scale that a recalibration is linear in (the log odds of s; for regression s itself), and v the variance
    that the score claims (s (1 - s); for regression 1):

    Attributes
    ----------
    rows : int
    loss, loss_squares : float
        Sums of l and of l squared.
    label, score : float
        Sums of y and of s.
    deviance : float
        Sum of the negative log likelihood: the log loss; for regression half the squared error.
    residual_z : float
        Sum of (y - s) z.
    v, v_z, v_zz : float
        Sums of v, v z and v z squared.
    ones, zeros : tuple of int
        Labels 1 and 0 by score bin, without a cell for missing. Empty for regression.
    decisions : Decisions or None
        None where they were not counted.
    """

    rows: int = 0
    loss: float = 0.0
    loss_squares: float = 0.0
    label: float = 0.0
    score: float = 0.0
    deviance: float = 0.0
    residual_z: float = 0.0
    v: float = 0.0
    v_z: float = 0.0
    v_zz: float = 0.0
    ones: tuple[int, ...] = ()
    zeros: tuple[int, ...] = ()
    decisions: Decisions | None = None

    def __add__(self, other: Outcomes) -> Outcomes:
        sums = {name: getattr(self, name) + getattr(other, name) for name in OUTCOME_SUMS}
        return Outcomes(
            rows=self.rows + other.rows,
            ones=_added(self.ones, other.ones),
            zeros=_added(self.zeros, other.zeros),
            decisions=self._decisions_with(other),
            **sums,
        )

    def _decisions_with(self, other: Outcomes) -> Decisions | None:
        if not self.rows or not other.rows:
            return other.decisions if other.rows else self.decisions
        if self.decisions is None or other.decisions is None:
            return None
        return self.decisions + other.decisions

    @property
    def binary(self) -> bool:
        """Whether the outcomes are classes: a probability claims a variance of a quarter at most, a value one of 1."""
        return self.v <= self.rows / 2

    @property
    def mean_loss(self) -> float | None:
        """The mean loss; None without rows."""
        return self.loss / self.rows if self.rows else None

    def as_dict(self) -> OutcomesDocument:
        """The counts as JSON values; :meth:`from_dict` reads them."""
        document: OutcomesDocument = {
            "rows": self.rows,
            "loss": self.loss,
            "loss_squares": self.loss_squares,
            "label": self.label,
            "score": self.score,
            "deviance": self.deviance,
            "residual_z": self.residual_z,
            "v": self.v,
            "v_z": self.v_z,
            "v_zz": self.v_zz,
            "ones": list(self.ones),
            "zeros": list(self.zeros),
        }
        if self.decisions is not None:
            document["decisions"] = self.decisions.as_dict()
        return document

    @classmethod
    def from_dict(cls, document: OutcomesDocument) -> Outcomes:
        """Read what :meth:`as_dict` wrote."""
        told = document.get("decisions")
        return cls(
            rows=int(document["rows"]),
            ones=tuple(int(n) for n in document["ones"]),
            zeros=tuple(int(n) for n in document["zeros"]),
            decisions=None if told is None else Decisions(**{name: float(told[name]) for name in DECISION_SUMS}),  # type: ignore[literal-required]  # they are keys
            **{name: float(document[name]) for name in OUTCOME_SUMS},  # type: ignore[literal-required]  # they are keys
        )


OUTCOME_SUMS = ("loss", "loss_squares", "label", "score", "deviance", "residual_z", "v", "v_z", "v_zz")
"""The sums of :class:`Outcomes` that are no counts."""


@dataclass(frozen=True)
class Profile:
    """The counts of some rows.

    Attributes
    ----------
    bins : str
        Which bins were counted: the hash of the reference's. Profiles over other bins are not added.
    rows : int
    features : dict of str to BinCounts
    score : BinCounts
        Of the scores; without counts before the model has scored anything.
    outcomes : Outcomes
        Of those rows whose label is known.
    """

    bins: str
    rows: int
    features: dict[str, BinCounts]
    score: BinCounts = field(default_factory=lambda: BinCounts(()))
    outcomes: Outcomes = field(default_factory=Outcomes)

    def __add__(self, other: Profile) -> Profile:
        if self.bins != other.bins or self.features.keys() != other.features.keys():
            raise BinsDifferError(
                f"a profile over the bins {self.bins[:12]} and one over {other.bins[:12]} can't be added: count the"
                " rows again over the bins of one reference"
            )
        return Profile(
            bins=self.bins,
            rows=self.rows + other.rows,
            features={name: counts + other.features[name] for name, counts in self.features.items()},
            score=self.score + other.score,
            outcomes=self.outcomes + other.outcomes,
        )

    def only(self, names: Iterable[str], *, bins: str) -> Profile:
        """The profile of some of its features; ``bins`` names theirs."""
        return replace(self, bins=bins, features={name: self.features[name] for name in names})

    def as_dict(self) -> ProfileDocument:
        """The profile as JSON values."""
        return {
            "bins": self.bins,
            "rows": self.rows,
            "features": {name: [*c.cells] for name, c in self.features.items()},
            "score": [*self.score.cells],
            "outcomes": self.outcomes.as_dict(),
        }

    @classmethod
    def from_dict(cls, document: ProfileDocument) -> Profile:
        """Read what :meth:`as_dict` wrote.

        Raises
        ------
        ProfileFormatError
            When something is missing or of another type.
        """
        try:
            return cls(
                bins=str(document["bins"]),
                rows=int(document["rows"]),
                features={str(n): _bin_counts(c) for n, c in document["features"].items()},
                score=_bin_counts(document["score"]),
                outcomes=Outcomes.from_dict(document["outcomes"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProfileFormatError(f"this is not a profile: {error!r}") from error


def _bin_counts(cells: list[int]) -> BinCounts:
    return BinCounts(tuple(int(n) for n in cells[:-1]), int(cells[-1]))


def _added(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    """Cell by cell; nothing at all adds to anything."""
    if not left or not right:
        return left or right
    if len(left) != len(right):
        raise BinsDifferError(f"{len(left)} counts and {len(right)} counts can't be added")
    return tuple(map(add, left, right))
