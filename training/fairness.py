"""How the declared groups of people fare on the test rows."""

from __future__ import annotations

import numpy as np

from everloop.evaluation.fairness import Terms, fairness_of
from everloop.evaluation.fairness_gate import declared_limits
from everloop.evaluation.fairness_report import Fairness
from everloop.model_file.schema import ModelDeclaration
from everloop.training.channels import Split
from everloop.training.slices import dimensions_of


def fairness_in(declaration: ModelDeclaration, test: Split, candidate: np.ndarray) -> Fairness | None:
    """What the declaration's ``gate.fairness`` asks for; None where it asks for none.

    Parameters
    ----------
    candidate : ndarray, shape (rows,), or (rows, classes) of several classes
        Its scores of the rows of ``test``.
    """
    asked = declaration.gate.fairness
    if asked is None:
        return None
    binary = declaration.problem.type == "binary_classification"
    classes = tuple(str(name) for name in declaration.problem.classes or ())
    terms = Terms(
        threshold=declaration.serving.threshold if binary else None,
        minimum_rows=asked.minimum_rows,
        confidence=declaration.gate.confidence,
        limits=len(declared_limits(asked)) * len(asked.by) * max(1, len(classes)),
        classes=classes,
    )
    return fairness_of(dimensions_of(asked.by, test), test.labels, candidate, test.days, terms)
