"""What disturbed test rows do to the candidate's answers."""

from __future__ import annotations

import numpy as np

from everloop.evaluation.robustness import Rows, robustness_of
from everloop.evaluation.robustness_report import Robustness
from everloop.model_file import ModelDeclaration
from everloop.training.candidate import Candidate
from everloop.training.channels import Split
from everloop.training.scoring import arrays, score


def robustness_in(declaration: ModelDeclaration, candidate: Candidate, test: Split) -> Robustness:
    """Measured in ``gate.metric``, with the declared seed."""
    num, cat = arrays(candidate.contract, test)
    scorer = candidate.scorer

    def scored(numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        return score(scorer, np.ascontiguousarray(numbers), np.ascontiguousarray(categories))

    return robustness_of(
        candidate.contract,
        scored,
        Rows(num, cat, test.labels, test.days),
        metric=declaration.gate.metric,
        seed=declaration.training.seed,
    )
