"""The comparison of a candidate with another on the same rows: whether it is better, or not worse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.evaluation.advice import advice
from everloop.evaluation.bounds import FEWEST_OF_A_CLASS, upper_bound
from everloop.evaluation.enough import told_rows
from everloop.evaluation.heavy_tails import is_heavy, too_heavy_tails
from everloop.evaluation.report import PairedDifference, Parts
from everloop.reasons import Reason, checked
from everloop.recalibration.declared import Scores

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate

ON_THE_SAME_ROWS = "On the same rows"


@dataclass(frozen=True)
class Terms:
    """By what two are compared.

    Attributes
    ----------
    metric : str
        The difference has to be of it.
    confidence : float
        One-sided.
    told : str
        How sentences call it.
    prefix : str
        What the codes of its reasons begin with.
    unit : str
        What follows an amount of it.
    """

    metric: str
    confidence: float
    told: str
    prefix: str = ""
    unit: str = ""

    @classmethod
    def of(cls, policy: Gate) -> Terms:
        """The declared metric, at the declared confidence."""
        return cls(policy.metric, policy.confidence, policy.metric)

    def amount(self, number: float, form: str = ".4g") -> str:
        """An amount in words."""
        return f"{number:{form}}{self.unit}"


def where_compared(scores: Scores) -> str:
    """On which rows, and by which scores, a sentence compares."""
    return ON_THE_SAME_ROWS if scores == "raw" else f"{ON_THE_SAME_ROWS}, as served,"


def better(
    terms: Terms, other: str, paired: PairedDifference | None, margin: float, where: str = ON_THE_SAME_ROWS
) -> Iterator[Reason]:
    """Whether the candidate is better by more than ``margin``."""
    code, bound = f"{terms.prefix}better_than_{other}", _upper_bound(terms, paired)
    if paired is None or bound is None:
        yield _incomparable(terms, code, other, paired)
        return
    wanted = f"better by more than {terms.amount(margin)}" if margin else "better at all"
    passed, compared = bound < -margin, _compared(terms, other, paired, bound, where)
    yield from _held(terms, code, other, paired, bound=bound, limit=-margin, passed=passed, told=compared + wanted)


def not_worse(
    terms: Terms, other: str, paired: PairedDifference | None, margin: float, where: str = ON_THE_SAME_ROWS
) -> Iterator[Reason]:
    """Whether the candidate is worse by ``margin`` at most."""
    code, bound = f"{terms.prefix}not_worse_than_{other}", _upper_bound(terms, paired)
    if paired is None or bound is None:
        yield _incomparable(terms, code, other, paired)
        return
    wanted = f"worse by at most {terms.amount(margin)}" if margin else "not worse"
    passed, compared = bound <= margin, _compared(terms, other, paired, bound, where)
    yield from _held(terms, code, other, paired, bound=bound, limit=margin, passed=passed, told=compared + wanted)


def _held(
    terms: Terms,
    code: str,
    other: str,
    paired: PairedDifference,
    *,
    bound: float,
    limit: float,
    passed: bool,
    told: str,
) -> Iterator[Reason]:
    """The difference's bound against its limit; where it fails by a single row, that is the reason."""
    sentence = f"{told}."
    parts = paired.parts
    if passed:
        yield checked(code, True, sentence, bound, limit)
    elif parts is not None and parts.by_row is None and paired.difference < limit and is_heavy(parts):
        yield checked(code, False, sentence, bound, limit)
        yield too_heavy_tails(f"the differences to the {other}", parts)
    else:
        yield checked(code, False, f"{sentence} {advice(paired, bound, limit, terms.confidence)}", bound, limit)


def _upper_bound(terms: Terms, paired: PairedDifference | None) -> float | None:
    """The difference that the true one stays below with the declared confidence; None where unknown.

    One-sided: only "how bad could it be" decides.
    """
    if paired is None or paired.metric != terms.metric or paired.standard_error is None:
        return None
    if paired.degrees_of_freedom < 1 or not paired.standard_error >= 0 or not enough(paired.parts):
        return None
    assert paired.parts is not None
    bound = upper_bound(
        paired.difference, paired.standard_error, paired.degrees_of_freedom, paired.parts, terms.confidence
    )
    return bound if math.isfinite(bound) else None


def enough(parts: Parts | None) -> bool:
    """Whether a mean is of rows enough of each class."""
    return parts is not None and parts.counted >= FEWEST_OF_A_CLASS


def _compared(terms: Terms, other: str, paired: PairedDifference, bound: float, where: str) -> str:
    how = f"{terms.amount(abs(bound))} {'better' if bound < 0 else 'worse'}" if bound else "equal"
    return (
        f"{where} the candidate's {terms.told} minus the {other}'s is {terms.amount(paired.difference, '+.4g')}, and"
        f" with {100 * terms.confidence:.6g}% confidence it is at worst {how}; required is "
    )


def _incomparable(terms: Terms, code: str, other: str, paired: PairedDifference | None) -> Reason:
    if paired is None:
        why = f"the report has no comparison with the {other}"
    elif paired.metric != terms.metric:
        why = f"it was compared with the {other} in {paired.metric}"
    elif paired.degrees_of_freedom < 1:
        why = "all test rows are of one day, which says nothing about other days"
    elif paired.parts is not None and not enough(paired.parts):
        why = paired.reason or f"{told_rows(paired.parts.counted)} of the rarer class are too few"
    else:
        why = f"the comparison with the {other} has no usable standard error"
    return checked(code, False, f"The candidate's {terms.told} cannot be judged: {why}.")
