"""Every supported estimator answers the same as ONNX as it does in scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from everloop.training.onnx_export import ModelInputs, check_parity, export_onnx, used_inputs
from tests.training.onnx_export.frames import INPUTS, labels_of, random_frame, values_of
from tests.training.onnx_export.parities import (
    CATEGORIES,
    NUMBERS,
    dense_encoding,
    parity_of,
    scorer_of,
    tree_encoding,
)

CLASSIFIERS: dict[str, tuple[Callable[..., Any], Any]] = {
    "hist": (tree_encoding, HistGradientBoostingClassifier(max_iter=40, random_state=0)),
    "hist, one hot": (dense_encoding, HistGradientBoostingClassifier(max_iter=20, early_stopping=True)),
    "hist, one leaf each": (tree_encoding, HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=3000)),
    "logistic": (dense_encoding, LogisticRegression(max_iter=500)),
    "logistic, l1": (dense_encoding, LogisticRegression(solver="saga", l1_ratio=1.0, max_iter=500)),
    "stochastic gradient": (dense_encoding, SGDClassifier(loss="log_loss", random_state=1)),
    "stochastic gradient, averaged": (
        dense_encoding,
        SGDClassifier(loss="log_loss", average=True, fit_intercept=False, penalty="elasticnet", random_state=1),
    ),
    "logistic, no intercept": (dense_encoding, LogisticRegression(fit_intercept=False)),
    "forest": (tree_encoding, RandomForestClassifier(40, random_state=0)),
    "forest of even votes": (dense_encoding, RandomForestClassifier(2, random_state=0)),
    "forest of stumps": (tree_encoding, RandomForestClassifier(10, max_depth=1, random_state=0)),
    "forest, one leaf each": (tree_encoding, RandomForestClassifier(4, min_samples_leaf=1400)),
    "gradient": (dense_encoding, GradientBoostingClassifier(n_estimators=30, subsample=0.7)),
    "gradient from zero": (dense_encoding, GradientBoostingClassifier(n_estimators=9, init="zero")),
}
REGRESSORS: dict[str, tuple[Callable[..., Any], Any]] = {
    **{
        f"hist {loss}": (
            tree_encoding,
            HistGradientBoostingRegressor(max_iter=30, loss=loss, quantile=0.8 if loss == "quantile" else None),
        )
        for loss in ("squared_error", "absolute_error", "poisson", "gamma", "quantile")
    },
    "linear": (dense_encoding, LinearRegression()),
    "ridge": (dense_encoding, Ridge(alpha=2.0)),
    "stochastic gradient": (dense_encoding, SGDRegressor(loss="huber", random_state=1)),
    "forest": (tree_encoding, RandomForestRegressor(20, random_state=0)),
    **{
        f"gradient {loss}": (dense_encoding, GradientBoostingRegressor(n_estimators=15, loss=loss))
        for loss in ("squared_error", "absolute_error", "huber", "quantile")
    },
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_answers_the_same(name: str) -> None:
    encoding, predictor = CLASSIFIERS[name]
    frame = random_frame(1500, 1)
    estimator = Pipeline([("pre", encoding()), ("model", predictor)]).fit(frame, labels_of(frame, 1))
    parity = parity_of(estimator, "binary_classification")
    assert parity.rows == 3000
    assert parity.label_flips == 0
    assert parity.max_abs_difference < 1e-14


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor_answers_the_same(name: str) -> None:
    encoding, predictor = REGRESSORS[name]
    frame = random_frame(1500, 2)
    estimator = Pipeline([("pre", encoding()), ("model", predictor)]).fit(frame, values_of(frame, 2))
    assert parity_of(estimator, "regression").max_abs_difference < 1e-12


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
@pytest.mark.parametrize("scaler", [StandardScaler(), StandardScaler(with_mean=False), MinMaxScaler()])
def test_imputing_and_scaling(strategy: str, scaler: Any) -> None:
    frame = random_frame(800, 3)
    pre = dense_encoding(make_pipeline(SimpleImputer(strategy=strategy), scaler))
    estimator = make_pipeline(pre, LogisticRegression()).fit(frame, labels_of(frame, 3))
    assert parity_of(estimator, "binary_classification").max_abs_difference < 1e-14


def test_text_imputing_with_a_constant_and_a_numeric_unknown_code() -> None:
    frame = random_frame(800, 4)
    category = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="none", missing_values=""),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    )
    pre = ColumnTransformer([("cat", category, CATEGORIES)], remainder="passthrough")
    estimator = make_pipeline(pre, HistGradientBoostingClassifier(max_iter=10)).fit(frame, labels_of(frame, 4))
    assert parity_of(estimator, "binary_classification").max_abs_difference < 1e-14


def test_columns_by_selector_in_another_order_and_dropped_ones() -> None:
    """GIVEN columns picked by dtype, out of order, nested, one dropped, the rest scaled."""
    frame = random_frame(800, 5)
    nested = ColumnTransformer(
        [("seats", "passthrough", ["seats"]), ("wind", FunctionTransformer(), ["wind"])], remainder="drop"
    )
    pre = ColumnTransformer(
        [
            ("gone", "drop", ["origin"]),
            ("text", OneHotEncoder(handle_unknown="ignore"), ["carrier"]),
            ("nested", nested, ["wind", "seats", "distance"]),
            ("all", make_pipeline(SimpleImputer()), make_column_selector(dtype_include="number")),
            ("empty", StandardScaler(), []),
        ]
    )
    estimator = Pipeline([("pre", pre), ("same", "passthrough"), ("m", HistGradientBoostingClassifier())])
    estimator.fit(frame, labels_of(frame, 5))
    assert parity_of(estimator, "binary_classification").max_abs_difference < 1e-14


def test_an_estimator_without_a_pipeline_on_numbers_alone() -> None:
    inputs = ModelInputs(columns=INPUTS.numbers, numbers=INPUTS.numbers, categories=())
    frame = random_frame(800, 6)[list(inputs.columns)]
    estimator = HistGradientBoostingClassifier(max_iter=15).fit(frame, (frame["wind"] > 10).astype(int))
    model = export_onnx(estimator, inputs, "binary_classification")
    assert [i.name for i in model.graph.input] == ["num"]
    assert parity_of(estimator, "binary_classification", inputs=inputs).max_abs_difference < 1e-14


def test_categories_alone() -> None:
    inputs = ModelInputs(columns=INPUTS.categories, numbers=(), categories=INPUTS.categories)
    frame = random_frame(800, 6)
    estimator = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    estimator.fit(frame[CATEGORIES], labels_of(frame, 6))
    assert [i.name for i in export_onnx(estimator, inputs, "binary_classification").graph.input] == ["cat"]
    assert parity_of(estimator, "binary_classification", inputs=inputs).max_abs_difference < 1e-14


def test_a_split_between_missing_and_present_only() -> None:
    """GIVEN a target that only missingness decides, the threshold is infinite or the side depends on NaN."""
    frame = random_frame(2000, 8)
    target = frame["wind"].isna().astype(int).to_numpy()
    for predictor in (HistGradientBoostingClassifier(max_iter=5), RandomForestClassifier(5, random_state=1)):
        estimator = make_pipeline(tree_encoding(), predictor).fit(frame, target)
        assert parity_of(estimator, "binary_classification").max_abs_difference < 1e-14


def test_values_next_to_a_threshold_go_the_same_way() -> None:
    """GIVEN numbers that float32 cannot tell apart, the boosted trees still do and the forest does not."""
    inputs = ModelInputs(columns=("x",), numbers=("x",), categories=())
    base = 16_777_216.0
    x = np.repeat([base, base + 1, base + 2, base + 3], 200)
    frame = random_frame(800, 9)[["wind"]].assign(x=x)[["x"]]
    target = (x > base).astype(int)
    for predictor in (
        HistGradientBoostingClassifier(max_iter=5),
        RandomForestClassifier(5, random_state=1),
        GradientBoostingClassifier(n_estimators=5),
    ):
        predictor.fit(frame, target)
        scorer = scorer_of(predictor, "binary_classification", inputs)
        parity = check_parity(
            predictor, scorer, frame, inputs=inputs, problem_type="binary_classification", threshold=0.5
        )
        assert parity.max_abs_difference < 1e-14


def test_the_same_estimator_gives_the_same_bytes() -> None:
    frame = random_frame(800, 10)

    def exported() -> bytes:
        estimator = make_pipeline(dense_encoding(), RandomForestClassifier(5, random_state=3))
        estimator.fit(frame, labels_of(frame, 10))
        content: bytes = export_onnx(estimator, INPUTS, "binary_classification").SerializeToString()
        return content

    assert exported() == exported()


def test_one_row_answers_as_it_does_among_many() -> None:
    frame = random_frame(600, 11)
    estimator = make_pipeline(tree_encoding(), RandomForestClassifier(30, random_state=3))
    estimator.fit(frame, labels_of(frame, 11))
    scorer = scorer_of(estimator, "binary_classification")
    num, cat = INPUTS.arrays(frame)
    together = scorer.score(num, cat)
    for index in range(0, 600, 50):
        assert scorer.score(num[index : index + 1], cat[index : index + 1])[0] == together[index]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(30, 300),
    leaves=st.integers(2, 40),
    smallest=st.integers(1, 30),
    kind=st.sampled_from(["hist", "forest", "gradient"]),
)
def test_any_tree_model_answers_the_same(seed: int, rows: int, leaves: int, smallest: int, kind: str) -> None:
    frame = random_frame(rows, seed)
    target = labels_of(frame, seed)
    target[:2] = [0, 1]
    predictors = {
        "hist": HistGradientBoostingClassifier(
            max_iter=5, max_leaf_nodes=leaves, min_samples_leaf=smallest, early_stopping=False
        ),
        "forest": RandomForestClassifier(5, max_leaf_nodes=leaves, min_samples_leaf=smallest, random_state=seed),
        "gradient": GradientBoostingClassifier(n_estimators=5, max_leaf_nodes=leaves, random_state=seed),
    }
    pre = dense_encoding() if kind == "gradient" else tree_encoding()
    estimator = make_pipeline(pre, predictors[kind]).fit(frame, target)
    assert parity_of(estimator, "binary_classification", seed=seed + 1).max_abs_difference < 1e-14


@pytest.mark.parametrize(
    ("numbers", "categories"), [(["wind", "seats"], ["origin"]), (["seats"], []), ([], ["origin", "carrier"])]
)
def test_what_no_step_takes_is_no_input(numbers: list[str], categories: list[str]) -> None:
    """GIVEN a pipeline that drops columns of its frame; THEN the exported model does not ask for them."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    pre = ColumnTransformer([("c", encoder, categories), ("n", "passthrough", numbers)])
    frame = random_frame(500, 1)
    estimator = make_pipeline(pre, HistGradientBoostingClassifier(max_iter=5)).fit(frame, labels_of(frame, 1))
    used = used_inputs(estimator, INPUTS, "binary_classification")
    assert (set(used.numbers), set(used.categories)) == (set(numbers), set(categories))
    assert used.columns == INPUTS.columns
    assert parity_of(estimator, "binary_classification", inputs=used).max_abs_difference < 1e-12


def test_what_remains_is_taken_and_so_is_all_that_a_bare_model_is_fitted_on() -> None:
    frame = random_frame(500, 1)
    estimator = make_pipeline(tree_encoding(), HistGradientBoostingClassifier(max_iter=5)).fit(
        frame, labels_of(frame, 1)
    )
    assert used_inputs(estimator, INPUTS, "binary_classification") == INPUTS
    bare = ModelInputs(columns=INPUTS.numbers, numbers=INPUTS.numbers, categories=())
    model = HistGradientBoostingClassifier(max_iter=5).fit(frame[NUMBERS], labels_of(frame, 1))
    assert used_inputs(model, bare, "binary_classification") == bare
