"""Evidence that adds up: the difference of a candidate pooled with those of its refused predecessors. For the study.

A small advantage is not shown by one test part, and then every candidate of a model is refused, one after the other,
although each is better. What they have in common is how they were made and whom they were held against. Their test
parts have no day in common, so their differences are independent, and the mean over all rows has a smaller error. Its
bound is the gate's own, for the mean of the differences. It is the candidate's own as long as newer candidates have no
smaller advantage over the same champion than older ones had. ``benchmarks/gate_on_streams.py`` shows that it lets
fewer good candidates pass than the gate alone: a champion ages, so what older ones gained over it was less.

References
----------
B. L. Welch, "The generalization of 'Student's' problem when several different population variances are involved",
Biometrika 34 (1947); F. E. Satterthwaite, "An approximate distribution of estimates of variance components",
Biometrics Bulletin 2 (1946): the degrees of freedom of a sum of independent variances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from everloop.evaluation.bounds import lower_bound, upper_bound
from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.measured import PairedDifference, Parts

_REPORTED = 0.975
"""One-sided, of the two-sided 95% interval that every difference has."""


def pooled(differences: Sequence[PairedDifference]) -> PairedDifference:
    """The mean of differences over all of their rows.

    Parameters
    ----------
    differences : sequence of PairedDifference
        The candidate's own last. They are of one metric, against the same other model, and no day is in two of them.

    Returns
    -------
    PairedDifference
        Without ``p_value``. The candidate's own as it is, where it can't be judged or none of the others can.

    Raises
    ------
    EvaluationError
        When there are none, or they are of several metrics.
    """
    metrics = sorted({one.metric for one in differences})
    if len(metrics) != 1:
        raise EvaluationError(
            f"differences of {', '.join(metrics) or 'no metric'} can't be pooled: they must be of one"
        )
    own = differences[-1]
    usable = [one for one in differences if _usable(one)]
    if not _usable(own) or len(usable) == 1:
        return own
    rows = [_parts(one).rows for one in usable]
    weights = [n / sum(rows) for n in rows]
    variances = [(w * _error(one)) ** 2 for w, one in zip(weights, usable, strict=True)]
    error, parts = math.sqrt(math.fsum(variances)), merged([_parts(one) for one in usable])
    found = replace(
        own,
        difference=math.fsum(w * one.difference for w, one in zip(weights, usable, strict=True)),
        standard_error=error,
        degrees_of_freedom=_freedom(variances, [one.degrees_of_freedom for one in usable]),
        p_value=None,
        parts=parts,
        days=sum(one.days for one in usable),
    )
    facts = found.difference, error, found.degrees_of_freedom, parts, _REPORTED
    return replace(found, low=lower_bound(*facts), high=upper_bound(*facts))


def _usable(one: PairedDifference) -> bool:
    """Whether a bound can be made of it."""
    error = one.standard_error
    return error is not None and error >= 0 and one.degrees_of_freedom >= 1 and one.parts is not None and not one.reason


def _parts(one: PairedDifference) -> Parts:
    assert one.parts is not None
    return one.parts


def _error(one: PairedDifference) -> float:
    assert one.standard_error is not None
    return one.standard_error


def _freedom(variances: Sequence[float], freedoms: Sequence[int]) -> int:
    whole = math.fsum(variances)
    if not whole:
        return min(freedoms)
    of_squares = math.fsum((v / whole) ** 2 / freedom for v, freedom in zip(variances, freedoms, strict=True))
    return max(1, math.floor(1 / of_squares + 1e-6))


def merged(parts: Sequence[Parts]) -> Parts:
    """What a mean over the rows of all of them is made of.

    The weight that one more row would have is the largest of theirs: of the scores that it is a mean over, only that
    mean is kept.
    """
    rows = sum(one.rows for one in parts)
    share = math.fsum(one.rows * one.share for one in parts) / rows
    share_error = math.sqrt(math.fsum((one.rows * one.share * one.share_error) ** 2 for one in parts)) / rows
    by_row = [one.by_row for one in parts if one.by_row is not None]

    def total(value: Callable[[Parts], float]) -> float:
        return math.fsum(value(one) for one in parts)

    return Parts(
        rows=rows,
        counted=sum(one.counted for one in parts),
        share=share,
        share_error=share_error / share if share else 0.0,
        up=total(lambda one: one.up),
        up_squares=total(lambda one: one.up_squares),
        up_next=max(one.up_next for one in parts),
        down=total(lambda one: one.down),
        down_squares=total(lambda one: one.down_squares),
        down_next=max(one.down_next for one in parts),
        up_largest=max(one.up_largest for one in parts),
        down_largest=max(one.down_largest for one in parts),
        by_row=merged(by_row) if len(by_row) == len(parts) else None,
    )
