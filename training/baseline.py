"""The declared baseline as the evaluation scores it; :mod:`everloop.training.learn_baseline` is how it is learned.

The rule in force is a function of the model's folder, so it runs in the training job alone. Its answers to the test
rows travel beside the model, and are dropped once they are scored.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np

from everloop.evaluation.baseline import Baseline
from everloop.evaluation.baselines import Answers, Asked, Rows
from everloop.json_text import read_json
from everloop.model_file.schema import ModelDeclaration
from everloop.problem_types import BINARY
from everloop.training.channels import Split
from everloop.training.exceptions import CandidateError
from everloop.typed_json import read_as

ANSWERS = "baseline_answers.json"
"""What the rule in force answered to the test rows, in their order; null where it had no answer."""


def write_answers(path: Path, answers: np.ndarray) -> None:
    """Write the rule's answers to the test rows."""
    told = [value if np.isfinite(value) else None for value in answers.tolist()]
    path.write_text(json.dumps(told, allow_nan=False), encoding="utf-8")


def read_answers(content: bytes) -> np.ndarray:
    """Read what :func:`write_answers` wrote.

    Raises
    ------
    CandidateError
        When it is something else.
    """
    try:
        told = read_as(list[float | None], read_json(content), ANSWERS, "train again")
    except ValueError as error:
        raise CandidateError(f"the candidate cannot be read: {error}") from error
    return np.array([np.nan if value is None else value for value in told], dtype=np.float64)


def baseline_answers(
    declaration: ModelDeclaration, baseline: Baseline, test: Split, answers: np.ndarray | None
) -> Answers:
    """What the baseline answers to the labelled test rows; ``answers`` are those of the rule in force."""
    rows = rows_of(declaration, test, answers, outcomes=test.labels)
    return baseline.answer(asked(declaration), rows)


def asked(declaration: ModelDeclaration) -> Asked:
    """What the declaration asks of its baseline."""
    declared, data = declaration.problem.baseline, declaration.data
    return Asked(
        classification=declaration.problem.type == BINARY,
        by=declared.by,
        expression=declared.expression,
        numbers=tuple(f.name for f in data.numbers),
        categories=tuple(f.name for f in data.categories),
        classes=len(declaration.problem.classes or ()),
    )


def rows_of(
    declaration: ModelDeclaration, split: Split, answers: np.ndarray | None, outcomes: np.ndarray | None = None
) -> Rows:
    """The rows as rules see them; ``answers`` are those of the rule in force."""
    lag = timedelta(hours=declaration.data.label_lag_hours)
    return Rows(
        features={str(name): split.features[name].to_numpy() for name in split.features},
        times=split.times,
        outcomes=None if outcomes is None else outcomes.astype(np.float64),
        lag=np.timedelta64(round(lag.total_seconds() * 1000), "ms"),
        answers=answers,
    )
