"""The proof that the exported model answers as the trained one: on every row of the test split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.documents.training import ComparedDocument
from everloop.numbers_of import number_of
from everloop.problem_types import BINARY, MULTICLASS, ProblemType
from everloop.serving.exceptions import ScorerError
from everloop.training.onnx_export.exceptions import ParityError
from everloop.training.onnx_export.inputs import ModelInputs

if TYPE_CHECKING:
    import pandas as pd

    from everloop.serving.scorer import ScoresRows

TOLERANCE = 1e-9
"""Largest difference allowed, absolute up to 1 and relative above; sums in another order differ by 1e-15."""

FLOAT32_TOLERANCE = 1e-6
"""The same for a model whose own answers are float32: they have seven digits, and sums of them fewer."""


@dataclass(frozen=True)
class Parity:
    """What the comparison found.

    Attributes
    ----------
    rows : int
        Rows compared.
    max_abs_difference : float
        Largest absolute difference of the scores.
    label_flips : int
        Rows on different sides of the decision threshold, or with another likeliest class; always 0 for a regression.
    """

    rows: int
    max_abs_difference: float
    label_flips: int

    def as_dict(self) -> ComparedDocument:
        """The comparison as JSON values, for ``parity.json``."""
        return {
            "rows": self.rows,
            "max_abs_difference": self.max_abs_difference,
            "label_flips": self.label_flips,
        }


def check_parity(
    estimator: Any,
    scorer: ScoresRows,
    features: pd.DataFrame,
    *,
    inputs: ModelInputs,
    problem_type: ProblemType,
    threshold: float,
) -> Parity:
    """Compare the trained estimator with the exported model on ``features``.

    Parameters
    ----------
    estimator
        The fitted estimator.
    scorer : ScoresRows
        The exported model, loaded as the prediction function loads it.
    features : DataFrame
        The rows to compare on: numbers float64 with NaN, categories strings with ``""``.
    inputs, problem_type
        As the model was exported with.
    threshold : float
        The probability at and above which the answer is 1.

    Raises
    ------
    ParityError
        When there is nothing to compare, a score is not finite, any label flips, or any difference
        exceeds :func:`tolerance_for`; with the worst row, both its scores and its values.
    """
    if features.empty:
        raise ParityError("there are no rows to compare the exported model on")
    trained = trained_scores(estimator, features, problem_type)
    _refuse_not_finite(trained, features)
    try:
        exported = scorer.score(*inputs.arrays(features))
    except ScorerError as error:
        raise ParityError(f"the exported model fails: {error}") from error
    allowed = tolerance_for(trained)
    trained = trained.astype(np.float64)
    if trained.shape != exported.shape:
        raise ParityError(f"the trained model answers {trained.shape} and the exported one {exported.shape}")
    difference = np.abs(trained - exported)
    excess = difference / np.maximum(1.0, np.abs(trained))
    flips = np.zeros(len(trained), dtype=bool)
    if problem_type == BINARY:
        flips = (trained >= threshold) != (exported >= threshold)
    if problem_type == MULTICLASS:
        flips = _other_class(trained, exported, allowed)
        difference, excess = difference.max(axis=1), excess.max(axis=1)
    parity = Parity(len(trained), float(difference.max()), int(flips.sum()))
    if flips.any() or excess.max() > allowed:
        worst = int(np.flatnonzero(flips)[0]) if flips.any() else int(excess.argmax())
        flipped, rows = number_of(parity.label_flips, "label"), number_of(parity.rows, "row")
        raise ParityError(
            f"the exported model differs from the trained one by up to {parity.max_abs_difference:.3g} (allowed"
            f" {allowed:g}) and changes {flipped} in {rows}; the worst is "
            + _describe(worst, trained, exported, features)
        )
    return parity


def trained_scores(estimator: Any, features: pd.DataFrame, problem_type: ProblemType) -> np.ndarray:
    """What the fitted estimator answers, in its own type: the probability of class 1 or the value [rows], or of several
    classes that of each [rows, classes].
    """
    if problem_type == MULTICLASS:
        return np.asarray(estimator.predict_proba(features))
    if problem_type == BINARY:
        return np.asarray(estimator.predict_proba(features))[:, 1]
    return np.asarray(estimator.predict(features))


def _other_class(trained: np.ndarray, exported: np.ndarray, allowed: float) -> np.ndarray:
    """Whether the likeliest class of each row is another one. Two that are equally likely are no flip: which of them
    comes first in a sum of floats says nothing.
    """
    rows = np.arange(len(trained))
    ours, theirs = exported.argmax(axis=1), trained.argmax(axis=1)
    return np.asarray((ours != theirs) & (trained[rows, theirs] - trained[rows, ours] > allowed))


def tolerance_for(trained: np.ndarray) -> float:
    """Largest difference allowed for a model that gives these answers: of float32 more than of float64."""
    narrow = trained.dtype.kind == "f" and trained.dtype.itemsize < 8
    return FLOAT32_TOLERANCE if narrow else TOLERANCE


def _refuse_not_finite(trained: np.ndarray, features: pd.DataFrame) -> None:
    odd = np.flatnonzero(~np.isfinite(trained).reshape(len(trained), -1).all(axis=1))
    if len(odd):
        where = _values(int(odd[0]), features)
        raise ParityError(
            f"the trained model answers {number_of(len(odd), 'row')} without a finite number; the first is {where}"
        )


def _describe(index: int, trained: np.ndarray, exported: np.ndarray, features: pd.DataFrame) -> str:
    scores = f"trained {trained[index].tolist()!r}, exported {exported[index].tolist()!r}"
    return f"{_values(index, features)}: {scores}"


def _values(index: int, features: pd.DataFrame) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in features.iloc[index].to_dict().items())
    return f"row {index} ({values})"
