"""LightGBM and XGBoost, alone and at the end of pipelines, answer the same as ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier, XGBRegressor

from everloop.problem_types import ProblemType
from everloop.training.onnx_export import ExportRefusedError, export_onnx
from everloop.training.onnx_export.parity import FLOAT32_TOLERANCE
from tests.training.onnx_export.frames import INPUTS, labels_of, random_frame, values_of
from tests.training.onnx_export.parities import difference_of, hard_frame, tree_encoding

# LightGBM names the columns of an array itself, and scikit-learn then misses them at each prediction.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

TRAIN = random_frame(300, 1)
HARD = hard_frame(TRAIN)
# A kind of number that has no missing value in training, and then meets one.
FULL = TRAIN.assign(wind=TRAIN["wind"].fillna(3.0))
TWO = labels_of(TRAIN, 1)
SEVERAL = TWO + (TRAIN["origin"] == "EWR").to_numpy() + (TRAIN["wind"] > 13).to_numpy()
VALUES = values_of(TRAIN, 1)
LIGHT: dict[str, Any] = {"n_estimators": 8, "num_leaves": 7, "min_child_samples": 5, "verbose": -1, "n_jobs": 1}
EXTREME: dict[str, Any] = {"n_estimators": 6, "max_depth": 3, "n_jobs": 1}

CASES: dict[str, tuple[Any, ProblemType, np.ndarray, float]] = {
    "light, two": (LGBMClassifier(**LIGHT), "binary_classification", TWO, 1e-13),
    "light, steep": (LGBMClassifier(sigmoid=2.5, **LIGHT), "binary_classification", TWO, 1e-13),
    "light, several": (LGBMClassifier(**LIGHT), "multiclass_classification", SEVERAL, 1e-13),
    "light, forest": (
        LGBMClassifier(boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, **LIGHT),
        "binary_classification",
        TWO,
        1e-13,
    ),
    "light, values": (LGBMRegressor(**LIGHT), "regression", VALUES, 1e-13),
    "light, counts": (LGBMRegressor(objective="poisson", **LIGHT), "regression", VALUES, 1e-13),
    "extreme, two": (XGBClassifier(**EXTREME), "binary_classification", TWO, FLOAT32_TOLERANCE),
    "extreme, several": (XGBClassifier(**EXTREME), "multiclass_classification", SEVERAL, FLOAT32_TOLERANCE),
    "extreme, values": (XGBRegressor(**EXTREME), "regression", VALUES, FLOAT32_TOLERANCE),
    "extreme, counts": (XGBRegressor(objective="count:poisson", **EXTREME), "regression", VALUES, FLOAT32_TOLERANCE),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("train", [TRAIN, FULL], ids=["with missing", "none missing in training"])
def test_the_same_answers(name: str, train: Any) -> None:
    predictor, problem_type, target, allowed = CASES[name]
    estimator = Pipeline([("pre", tree_encoding()), ("model", predictor)]).fit(train, target)
    assert difference_of(estimator, problem_type, HARD) < allowed


def test_inside_a_stack() -> None:
    members = [("light", Pipeline([("pre", tree_encoding()), ("model", LGBMClassifier(**LIGHT))]))]
    estimator = StackingClassifier(members, final_estimator=LogisticRegression(), cv=2).fit(TRAIN, TWO)
    assert difference_of(estimator, "binary_classification", HARD) < 1e-13


@pytest.mark.parametrize(
    ("predictor", "target", "said"),
    [
        (LGBMRegressor(reg_sqrt=True, **LIGHT), VALUES, "sqrt"),
        (LGBMRegressor(zero_as_missing=True, **LIGHT), VALUES, "zero_as_missing"),
        (XGBRegressor(booster="dart", **EXTREME), VALUES, "booster='dart'"),
        (XGBRegressor(missing=0.0, **EXTREME), VALUES, "missing=0.0"),
        (XGBRegressor(objective="reg:logistic", **EXTREME), TWO, "objective='reg:logistic'"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_not_known_is_refused_by_name(predictor: Any, target: np.ndarray, said: str) -> None:
    estimator = Pipeline([("pre", tree_encoding(unknown_value=-1)), ("model", predictor)]).fit(TRAIN, target)
    with pytest.raises(ExportRefusedError, match=said):
        export_onnx(estimator, INPUTS, "regression")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_lightgbms_sets_of_categories_are_refused() -> None:
    predictor = LGBMClassifier(min_data_per_group=1, cat_smooth=0.1, **LIGHT)
    estimator = Pipeline([("pre", tree_encoding(unknown_value=-1)), ("model", predictor)])
    estimator.fit(TRAIN, (TRAIN["carrier"] == "AA").astype(int), model__categorical_feature=[0, 1])
    with pytest.raises(ExportRefusedError, match="sets of categories"):
        export_onnx(estimator, INPUTS, "binary_classification")
