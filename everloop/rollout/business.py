"""Judges a declared business measure: what requests brought that the candidate answered, beside the champion's.

Here the two versions' own callers are compared, since what is done with an answer decides what it brings. A step sends
each request to either at random; so given who answered which, the mean of one version's requests less that of the
other's that came between tells the difference, and no more than what lies between the declared bounds. Requests of the
bake are all the new champion's, and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from everloop.evaluation.expression_value import value_of_row
from everloop.problem_types import BINARY

if TYPE_CHECKING:
    from everloop.model_file.sections.rollout import BusinessGuardrail
    from everloop.rollout.answered import ComparedRow


def differences(
    declared: BusinessGuardrail, rows: Sequence[ComparedRow], problem: str
) -> Iterator[tuple[int, str, float]]:
    """When, under which name, and by how much the champion's requests brought more than the candidate's.

    Requests count in the order in which their labels came. One difference is of what came since the one before, once
    both versions have something in it.
    """
    ours: list[float] = []
    theirs: list[float] = []
    for number, (at, by_candidate, value) in enumerate(_requests(declared, rows, problem)):
        (ours if by_candidate else theirs).append(value)
        if ours and theirs:
            yield at, str(number), sum(theirs) / len(theirs) - sum(ours) / len(ours)
            ours, theirs = [], []


def _requests(
    declared: BusinessGuardrail, rows: Sequence[ComparedRow], problem: str
) -> Iterator[tuple[int, bool, float]]:
    """Each request's mean, by when its first labels came."""
    found: dict[tuple[int, str, bool], list[float]] = {}
    for row in rows:
        value = value_of_row(declared.measure, _numbers(row, problem)) if row.label is not None else None
        if value is not None and row.labelled_at >= 0:
            bounded = min(declared.max, max(declared.min, value))
            found.setdefault((row.labelled_at, row.request, row.by_candidate), []).append(bounded)
    for (at, _, by_candidate), values in sorted(found.items()):
        yield at, by_candidate, sum(values) / len(values)


def _numbers(row: ComparedRow, problem: str) -> Mapping[str, float]:
    score = row.ours if row.by_candidate else row.theirs
    decided = row.prediction if problem == BINARY else score
    return {"prediction": decided, "probability": score, "label": row.label or 0.0}
