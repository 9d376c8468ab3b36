"""Every class family beyond the plain ones answers the same as ONNX, two classes, several, and numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from everloop.problem_types import ProblemType
from everloop.training.onnx_export import ModelInputs
from tests.training.onnx_export.frames import INPUTS, labels_of, random_frame, values_of
from tests.training.onnx_export.parities import (
    CATEGORIES,
    NUMBERS,
    dense_encoding,
    difference_of,
    hard_frame,
    tree_encoding,
)

# How well a few rounds fit is no matter here.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TRAIN = random_frame(300, 1)
HARD = hard_frame(TRAIN)
# A square of 1e18 is beyond what a product of matrices adds up in any one order: these numbers stay in a usual range.
USUAL = HARD.assign(**{name: HARD[name].clip(-1e4, 1e4) for name in NUMBERS})
TWO = labels_of(TRAIN, 1)
SEVERAL = TWO + (TRAIN["origin"] == "EWR").to_numpy() + (TRAIN["wind"] > 13).to_numpy()
VALUES = values_of(TRAIN, 1)
EXACT = 1e-13


def piped(predictor: Any, encoding: Any = dense_encoding) -> Pipeline:
    return Pipeline([("pre", encoding()), ("model", predictor)])


def stacked(**options: Any) -> Any:
    members = [
        ("trees", piped(GradientBoostingClassifier(n_estimators=3, max_depth=2))),
        ("gone", "drop"),
        ("line", piped(LogisticRegression())),
    ]
    return StackingClassifier(members, cv=2, **options)


CLASSIFIERS = {
    "sigmoid of trees": piped(CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=5), cv=2), tree_encoding),
    "sigmoid of a forest": piped(CalibratedClassifierCV(RandomForestClassifier(5, random_state=0), cv=2)),
    "isotonic of a line": piped(CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2)),
    "isotonic of whole pipelines": CalibratedClassifierCV(
        piped(ExtraTreesClassifier(5, random_state=0)), method="isotonic", cv=2
    ),
    "one calibrator": piped(CalibratedClassifierCV(LinearSVC(), ensemble=False, cv=2)),
    "hinge loss, calibrated": piped(CalibratedClassifierCV(SGDClassifier(random_state=0), cv=2)),
    "extra trees": piped(ExtraTreesClassifier(12, random_state=0), tree_encoding),
    "one tree": piped(DecisionTreeClassifier(max_depth=4), tree_encoding),
    "forest": piped(RandomForestClassifier(6, random_state=0)),
    "histogram boosting": piped(HistGradientBoostingClassifier(max_iter=6), tree_encoding),
    "classic boosting": piped(GradientBoostingClassifier(n_estimators=6)),
    "line": piped(LogisticRegression()),
    "stochastic line": piped(SGDClassifier(loss="log_loss", random_state=0)),
    **{
        f"perceptron, {name}": piped(MLPClassifier((8, 5), activation=name, max_iter=30, random_state=0))
        for name in ("relu", "tanh", "logistic", "identity")
    },
    "vote": VotingClassifier(
        [("line", piped(LogisticRegression())), ("gone", "drop"), ("tree", piped(DecisionTreeClassifier(max_depth=2)))],
        voting="soft",
        weights=[0.3, 9, 1.2],
    ),
    "vote of equals after steps": piped(
        VotingClassifier([("a", LogisticRegression()), ("b", ExtraTreesClassifier(3, random_state=0))], voting="soft")
    ),
    "stack": stacked(final_estimator=LogisticRegression()),
    "stack of decisions": stacked(stack_method="decision_function"),
    "stack beside the features": piped(
        StackingClassifier(
            [("a", LogisticRegression()), ("b", RandomForestClassifier(3, random_state=0))],
            final_estimator=DecisionTreeClassifier(max_depth=3),
            passthrough=True,
            cv=2,
        )
    ),
}
REGRESSORS = {
    "extra trees": piped(ExtraTreesRegressor(8, random_state=0), tree_encoding),
    "one tree": piped(DecisionTreeRegressor(max_depth=5), tree_encoding),
    "lasso": piped(Lasso(alpha=0.01)),
    "elastic net": piped(ElasticNet(alpha=0.01)),
    "perceptron": piped(MLPRegressor(hidden_layer_sizes=(6,), max_iter=40, random_state=0)),
    "perceptron, counts": piped(MLPRegressor(hidden_layer_sizes=(6,), loss="poisson", max_iter=20, random_state=0)),
    "vote": VotingRegressor([("a", piped(Ridge())), ("b", piped(DecisionTreeRegressor(max_depth=3)))], weights=[1, 2]),
    "stack": StackingRegressor([("a", piped(Ridge())), ("b", piped(ExtraTreesRegressor(4, random_state=0)))], cv=2),
    "stack beside the features": piped(
        StackingRegressor([("a", Ridge())], final_estimator=LinearRegression(), passthrough=True, cv=2)
    ),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    ("problem_type", "target"),
    [("binary_classification", TWO), ("multiclass_classification", SEVERAL)],
    ids=["two", "several"],
)
def test_a_classifier(name: str, problem_type: ProblemType, target: np.ndarray) -> None:
    estimator = CLASSIFIERS[name].fit(TRAIN, target)
    assert difference_of(estimator, problem_type, USUAL) < EXACT


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor(name: str) -> None:
    assert difference_of(REGRESSORS[name].fit(TRAIN, VALUES), "regression", USUAL) < EXACT


def test_a_frozen_estimator_that_is_calibrated_later() -> None:
    fitted = piped(HistGradientBoostingClassifier(max_iter=5), tree_encoding).fit(TRAIN, TWO)
    later = random_frame(400, 5)
    for method in ("sigmoid", "isotonic"):
        estimator = CalibratedClassifierCV(FrozenEstimator(fitted), method=method).fit(later, labels_of(later, 5))
        assert difference_of(estimator, "binary_classification", HARD) < EXACT


@pytest.mark.parametrize("categories", ["by name", "by place", "after an encoder", "numbers too"])
def test_declared_categories_of_histogram_boosting(categories: str) -> None:
    """GIVEN splits on sets of categories; THEN unseen and missing ones go the way scikit-learn sends them."""
    options: dict[str, Any] = {"max_iter": 6, "min_samples_leaf": 5, "random_state": 0}
    train, hard = TRAIN.copy(), HARD.copy()
    chosen: Any = {"by name": CATEGORIES, "by place": [1, 3], "numbers too": ["carrier", "seats"]}.get(categories)
    if categories == "numbers too":
        train = train.assign(origin=1.0 * (train["origin"] == "EWR")).rename(columns={"origin": "ewr"})
        hard = hard.assign(origin=1.0 * (hard["origin"] == "EWR")).rename(columns={"origin": "ewr"})
        inputs = ModelInputs(tuple(train.columns), tuple(n for n in train.columns if n != "carrier"), ("carrier",))
    else:
        inputs = INPUTS
    kinds: tuple[tuple[ProblemType, np.ndarray, Any], ...] = (
        ("binary_classification", TWO, HistGradientBoostingClassifier),
        ("multiclass_classification", SEVERAL, HistGradientBoostingClassifier),
        ("regression", VALUES, HistGradientBoostingRegressor),
    )
    for problem_type, target, kind in kinds:
        estimator: Any = kind(categorical_features=chosen, **options)
        if chosen is None:
            estimator = piped(kind(categorical_features=[0, 1], **options), tree_encoding)
        estimator.fit(train, target)
        trees = estimator if chosen is not None else estimator.named_steps["model"]
        assert any(p.nodes["is_categorical"].any() for several in trees._predictors for p in several)
        assert difference_of(estimator, problem_type, hard, inputs=inputs) < EXACT


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=120),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3, drop="first"),
        OneHotEncoder(handle_unknown="ignore", max_categories=2, sparse_output=False),
        OneHotEncoder(handle_unknown="warn", min_frequency=0.2),
        OneHotEncoder(handle_unknown="ignore", drop="if_binary"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=120),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=9, max_categories=2),
    ],
    ids=str,
)
def test_infrequent_and_dropped_categories(encoder: Any) -> None:
    pre = ColumnTransformer([("cat", encoder, CATEGORIES), ("num", SimpleImputer(), NUMBERS)])
    estimator = make_pipeline(pre, LogisticRegression()).fit(TRAIN, TWO)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories")
        assert difference_of(estimator, "binary_classification", USUAL) < EXACT


def numbers_by(step: Any) -> ColumnTransformer:
    return ColumnTransformer([("num", step, NUMBERS)])


STEPS = {
    "an imputer with its indicator": make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()),
    "an indicator beside": FeatureUnion(
        [("filled", SimpleImputer()), ("which", MissingIndicator(error_on_new=False)), ("gone", "drop")]
    ),
    "an indicator of all": FeatureUnion([("filled", SimpleImputer()), ("which", MissingIndicator(features="all"))]),
    "quantiles": make_pipeline(SimpleImputer(), QuantileTransformer(n_quantiles=100)),
    "quantiles, few": make_pipeline(SimpleImputer(strategy="constant"), QuantileTransformer(n_quantiles=2)),
    "bins, one column each": make_pipeline(
        SimpleImputer(), KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf")
    ),
    "bins, dense": make_pipeline(SimpleImputer(), KBinsDiscretizer(2, encode="onehot-dense", strategy="uniform")),
    "bins, numbered": make_pipeline(SimpleImputer(), KBinsDiscretizer(7, encode="ordinal", strategy="uniform")),
    "robust scale": make_pipeline(SimpleImputer(), RobustScaler()),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_over_numbers(name: str) -> None:
    estimator = make_pipeline(numbers_by(STEPS[name]), LogisticRegression()).fit(TRAIN, TWO)
    assert difference_of(estimator, "binary_classification", USUAL) < EXACT


def test_quantiles_keep_what_is_missing() -> None:
    estimator = make_pipeline(
        numbers_by(QuantileTransformer(n_quantiles=50)), HistGradientBoostingClassifier(max_iter=8)
    ).fit(TRAIN, TWO)
    assert difference_of(estimator, "binary_classification", HARD) < EXACT


def test_an_indicator_of_missing_categories() -> None:
    pre = ColumnTransformer(
        [("which", MissingIndicator(missing_values="", features="all"), CATEGORIES), ("n", SimpleImputer(), NUMBERS)]
    )
    estimator = make_pipeline(pre, LogisticRegression()).fit(TRAIN, TWO)
    assert difference_of(estimator, "binary_classification", USUAL) < EXACT


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (np.log1p, [0.0, 1e-12, -1e-12, 1e-300, 0.4, -0.4, 0.6, -0.9999, 5.0, 1e18]),
        (np.expm1, [0.0, 1e-12, -1e-12, 1e-300, 0.9, -0.9, 1.1, -40.0, 30.0]),
        (np.log, [1e-300, 1.0, 1.5, 1e18]),
        (np.log2, [1e-300, 1.0, 8.0, 1e18]),
        (np.log10, [1e-300, 1.0, 1000.0, 1e18]),
        (np.exp, [-700.0, 0.0, 1e-9, 30.0]),
        (np.sqrt, [0.0, 1e-300, 2.0, 1e18]),
        (np.square, [-3.0, 1e-3, 1e9]),
        (np.abs, [-3.0, -0.0, 1e18]),
        (np.reciprocal, [-3.0, 1e-9, 1e18]),
        (np.negative, [-3.0, 0.0, 1e18]),
        (np.tanh, [-30.0, 1e-9, 0.5, 2.0]),
        (np.sin, [-3.0, 1e-9, 100.0]),
        (np.cos, [-3.0, 1e-9, 100.0]),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_a_known_function(function: Any, values: list[float]) -> None:
    """GIVEN a model whose answer is the function's value itself; THEN no digit but the last is lost, however small."""
    inputs = ModelInputs(columns=("x",), numbers=("x",), categories=())
    frame = pd.DataFrame({"x": values})
    step = FunctionTransformer(function)
    estimator = Pipeline([("f", step), ("line", _scaled(1.0))])
    assert difference_of(estimator, "regression", frame, inputs=inputs) < 1e-15
    small = frame[np.abs(function(frame["x"])) < 1]
    if len(small):
        scaled = Pipeline([("f", step), ("line", _scaled(1 / np.abs(function(small["x"])).replace(0, 1).min()))])
        assert difference_of(scaled, "regression", small, inputs=inputs) < 1e-15


@pytest.mark.parametrize(
    "predictor", [LinearRegression(), MLPRegressor(max_iter=3, random_state=0)], ids=["line", "mlp"]
)
def test_one_scaled_number_keeps_all_digits(predictor: Any) -> None:
    """GIVEN one number, scaled; THEN the runtime folds no division into a factor of fewer digits."""
    inputs = ModelInputs(columns=("distance",), numbers=("distance",), categories=())
    frame = TRAIN[["distance"]].fillna(3.0)
    estimator = make_pipeline(StandardScaler(), predictor).fit(frame, VALUES)
    assert difference_of(estimator, "regression", frame, inputs=inputs) < EXACT


def _scaled(by: float) -> Any:
    line = LinearRegression().fit(pd.DataFrame({"x": [0.0, 1.0]}), np.zeros(2))
    line.coef_, line.intercept_ = np.array([by]), 0.0
    return line
