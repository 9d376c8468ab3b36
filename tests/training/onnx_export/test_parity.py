"""Parity is exact or it stops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from everloop.serving.scorer import Scorer
from everloop.training.onnx_export import Parity, ParityError, check_parity, export_onnx
from tests.training.onnx_export.frames import INPUTS, contract_of, labels_of, random_frame

FRAME = random_frame(1000, 1)


def fitted() -> Pipeline:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    pre = ColumnTransformer([("cat", encoder, list(INPUTS.categories))], remainder="passthrough")
    return make_pipeline(pre, HistGradientBoostingClassifier(max_iter=20)).fit(FRAME, labels_of(FRAME, 1))


def scorer_of(estimator: Pipeline) -> Scorer:
    model = export_onnx(estimator, INPUTS, "binary_classification").SerializeToString()
    return Scorer.from_bytes(model, contract_of(INPUTS, "binary_classification"))


class Moved:
    """An estimator whose answers differ from the exported one's."""

    def __init__(self, estimator: Pipeline, by: Any) -> None:
        self.estimator, self.by = estimator, by

    def predict_proba(self, features: pd.DataFrame) -> np.ndarray:
        values: np.ndarray = self.estimator.predict_proba(features) + self.by
        return values


def compare(estimator: Any, scorer: Scorer, frame: pd.DataFrame = FRAME, threshold: float = 0.5) -> Parity:
    return check_parity(
        estimator, scorer, frame, inputs=INPUTS, problem_type="binary_classification", threshold=threshold
    )


def test_every_row_is_compared() -> None:
    estimator = fitted()
    parity = compare(estimator, scorer_of(estimator))
    assert parity.rows == 1000
    assert parity.label_flips == 0


def test_a_difference_above_the_tolerance_stops() -> None:
    estimator = fitted()
    shift = np.zeros((1000, 1))
    shift[137] = 2e-9
    with pytest.raises(ParityError, match=r"row 137 \(wind=.*carrier="):
        compare(Moved(estimator, shift), scorer_of(estimator))


def test_a_flip_stops_even_within_the_tolerance() -> None:
    """GIVEN a row whose score is the threshold, a difference of 1e-12 turns its answer."""
    estimator = fitted()
    threshold = float(estimator.predict_proba(FRAME)[5, 1])
    with pytest.raises(ParityError, match="changes 1 label"):
        compare(Moved(estimator, -1e-12), scorer_of(estimator), threshold=threshold)


def test_no_rows_prove_nothing() -> None:
    estimator = fitted()
    with pytest.raises(ParityError, match="no rows"):
        compare(estimator, scorer_of(estimator), FRAME.head(0))


def test_scores_that_are_no_numbers_stop() -> None:
    estimator = fitted()
    with pytest.raises(ParityError, match="a finite number"):
        compare(Moved(estimator, np.nan), scorer_of(estimator))
