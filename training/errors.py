"""Where the candidate fails on the test rows, and what its answers depend on."""

from __future__ import annotations

import numpy as np

from everloop.evaluation.error_report import Errors
from everloop.evaluation.errors import errors_of
from everloop.model_file.schema import ModelDeclaration
from everloop.training.candidate import Candidate
from everloop.training.channels import Split
from everloop.training.robustness import answering, taken


def errors_in(declaration: ModelDeclaration, candidate: Candidate, test: Split, scores: np.ndarray) -> Errors:
    """Measured in ``gate.metric``, with the declared seed; personal features are masked.

    Parameters
    ----------
    scores : ndarray, shape (rows,)
        The candidate's.
    """
    return errors_of(
        candidate.contract,
        answering(candidate),
        taken(candidate, test),
        scores,
        metric=declaration.gate.metric,
        seed=declaration.training.seed,
        personal={feature.name for feature in declaration.data.features if feature.personal},
    )
