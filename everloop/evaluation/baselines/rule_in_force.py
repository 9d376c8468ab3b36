"""The rule in force: what decides today, as a Python function of the model's folder.

The function is the user's code, so only training jobs run it: over the training rows to learn from, and over the test
rows for the evaluation, which takes its answers from there and never runs it.
"""

from __future__ import annotations

import numpy as np

from everloop.evaluation.baselines import Answers, Asked, BaselineRule, Learned, Rows
from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.group_means import answers_of, learned_of_answers


class RuleInForce:
    """What the function answered."""

    def fit(self, asked: Asked, rows: Rows, target: np.ndarray) -> Learned:
        """The rates of its yes and no, where it decides."""
        return learned_of_answers(_answers(rows), target, classification=asked.classification)

    def answer(self, asked: Asked, learned: Learned, rows: Rows) -> Answers:
        """What it answered, as scores and decisions."""
        return answers_of(_answers(rows), learned, classification=asked.classification)


def _answers(rows: Rows) -> np.ndarray:
    if rows.answers is None:
        raise EvaluationError(
            "the rule in force has not answered these rows: only a training job runs it, over the rows of its own run,"
            " so train again"
        )
    if len(rows.answers) != len(rows):
        raise EvaluationError(f"the rule in force answered {len(rows.answers):,} rows, and these are {len(rows):,}")
    return rows.answers


RULE: BaselineRule = RuleInForce()
