"""What disturbed test rows do to the candidate's answers."""

from __future__ import annotations

import numpy as np

from everloop.evaluation.robustness import Rows, Score, robustness_of
from everloop.evaluation.robustness_report import Robustness
from everloop.model_file.schema import ModelDeclaration
from everloop.training.candidate import Candidate
from everloop.training.channels import Split
from everloop.training.scoring import arrays, score_or_nan


def robustness_in(declaration: ModelDeclaration, candidate: Candidate, test: Split) -> Robustness:
    """Measured in ``gate.metric``, with the declared seed."""
    return robustness_of(
        candidate.contract,
        answering(candidate),
        taken(candidate, test),
        metric=declaration.gate.metric,
        seed=declaration.training.seed,
    )


def answering(candidate: Candidate) -> Score:
    """How the candidate scores rows that were changed: NaN where it has no score that can be answered."""

    def scored(numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        return score_or_nan(candidate.scorer, np.ascontiguousarray(numbers), np.ascontiguousarray(categories))

    return scored


def taken(candidate: Candidate, test: Split) -> Rows:
    """The labelled rows as the candidate takes them."""
    return Rows(*arrays(candidate.contract, test), test.labels, test.days)
