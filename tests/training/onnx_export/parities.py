"""Comparing a fitted estimator with what it is exported as, on rows that training never had."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from everloop.problem_types import ProblemType
from everloop.serving.scorer import Scorer
from everloop.training.onnx_export import ModelInputs, Parity, check_parity, export_onnx
from tests.training.onnx_export.frames import INPUTS, contract_of, random_frame

NUMBERS, CATEGORIES = list(INPUTS.numbers), list(INPUTS.categories)


def dense_encoding(number_steps: Any = None) -> ColumnTransformer:
    number_steps = number_steps or make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    category_steps = make_pipeline(
        SimpleImputer(strategy="most_frequent", missing_values=""), OneHotEncoder(handle_unknown="ignore")
    )
    return ColumnTransformer([("num", number_steps, NUMBERS), ("cat", category_steps, CATEGORIES)])


def tree_encoding(**options: Any) -> ColumnTransformer:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", **({"unknown_value": np.nan} | options))
    return ColumnTransformer([("cat", encoder, CATEGORIES)], remainder="passthrough")


def scorer_of(estimator: Any, problem_type: ProblemType, inputs: ModelInputs = INPUTS) -> Scorer:
    model = export_onnx(estimator, inputs, problem_type).SerializeToString()
    return Scorer.from_bytes(model, contract_of(inputs, problem_type))


def parity_of(estimator: Any, problem_type: ProblemType, *, inputs: ModelInputs = INPUTS, seed: int = 7) -> Parity:
    frame = random_frame(3000, seed, production=True)[list(inputs.columns)]
    scorer = scorer_of(estimator, problem_type, inputs)
    return check_parity(estimator, scorer, frame, inputs=inputs, problem_type=problem_type, threshold=0.5)


def hard_frame(train: pd.DataFrame, seed: int = 7, rows: int = 600) -> pd.DataFrame:
    """New rows, training rows (whose values stand on every edge), and numbers that are huge, tiny, zero or just beside.

    The category columns have unseen and missing ones, the number columns NaN.
    """
    frame = pd.concat([random_frame(rows, seed, production=True), train.head(rows)], ignore_index=True)
    rng = np.random.default_rng(seed)
    for name in NUMBERS:
        column = frame[name].to_numpy().copy()
        column[:8] = [0.0, -0.0, 1e18, -1e18, 1e-300, -1e-300, np.nan, column[rows]]
        beside = rng.random(len(column)) < 0.2
        column[beside] = np.nextafter(column[beside], rng.choice([-np.inf, np.inf], beside.sum()))
        frame[name] = column
    return frame


def difference_of(
    estimator: Any, problem_type: ProblemType, frame: pd.DataFrame, *, inputs: ModelInputs = INPUTS, method: str = ""
) -> float:
    """Largest difference over ``frame``, absolute up to 1 and relative above; NaN agrees with NaN alone."""
    frame = frame[list(inputs.columns)]
    session = onnxruntime.InferenceSession(export_onnx(estimator, inputs, problem_type).SerializeToString())
    arrays = dict(zip(("num", "cat"), inputs.arrays(frame), strict=True))
    feed = {i.name: arrays[i.name] for i in session.get_inputs()}
    exported = session.run(["score"], feed)[0]
    trained = getattr(estimator, "predict" if problem_type == "regression" else "predict_proba")(frame)
    trained = trained[:, 1] if problem_type == "binary_classification" else trained
    assert exported.shape == trained.shape
    return float((np.abs(exported - trained) / np.maximum(1, np.abs(trained))).max())
