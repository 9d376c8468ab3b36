"""Means that are never certain: what rules answer to rows of one kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from everloop.evaluation.baselines import Answers, Learned
from everloop.evaluation.exceptions import EvaluationError

TRUE, FALSE = "true", "false"
"""What a rule that decides by itself learned: the means of the rows that it acts on, and of the others."""


def means_by_group(target: np.ndarray, groups: Sequence[str] | np.ndarray) -> tuple[float, dict[str, float]]:
    """The overall mean, and each group's over its rows and one more row at the overall mean.

    Without that row a group of three on-time flights would answer 0 with certainty, its log loss would be infinite, and
    any model would beat the rule.
    """
    mean = float(np.mean(target))
    names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(target, dtype=np.float64))
    means = (sums + mean) / (np.bincount(index) + 1)
    return mean, dict(zip(names.tolist(), means.tolist(), strict=True))


def learned_of_answers(answers: np.ndarray, target: np.ndarray, *, classification: bool) -> Learned:
    """What is to be known of a heuristic, or of the rule in force, to score it like a model.

    A rule that says yes or no has no probabilities. It answers the rate of 1 among the training rows of which it says
    the same, so that it is not refuted by its first error; its decisions stay its own.
    """
    values = np.asarray(answers, dtype=np.float64)
    if classification and _decides(values):
        mean, means = means_by_group(target, np.where(values == 1, TRUE, FALSE))
        return Learned(mean, numbers={TRUE: means.get(TRUE, mean), FALSE: means.get(FALSE, mean)})
    _require_probabilities(values, classification)
    return Learned(float(np.mean(target)))


def answers_of(answers: np.ndarray, learned: Learned, *, classification: bool) -> Answers:
    """The scores and decisions that its answers make; where it has none, the training mean."""
    values = np.asarray(answers, dtype=np.float64)
    if TRUE in learned.numbers:
        acts = values >= 0.5
        return Answers(np.where(acts, learned.numbers[TRUE], learned.numbers[FALSE]), acts)
    _require_probabilities(values, classification)
    return Answers(np.where(np.isfinite(values), values, learned.value))


def _decides(values: np.ndarray) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _require_probabilities(values: np.ndarray, classification: bool) -> None:
    if not classification:
        return
    odd = np.flatnonzero((values < 0) | (values > 1))
    if len(odd):
        raise EvaluationError(
            f"the baseline answers {values[odd[0]]:g} to a row, and {len(odd):,} of {len(values):,} rows in such a way:"
            " of a binary_classification it answers a probability from 0 to 1, or true and false"
        )
