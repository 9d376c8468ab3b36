"""What the exporter does not know it refuses, by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from everloop.training.onnx_export import ExportRefusedError, ModelInputs, export_onnx
from tests.training.onnx_export.frames import INPUTS, labels_of, random_frame, values_of

# Only what is refused matters here, not how well it was fitted.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Skipping features")

NUMBERS, CATEGORIES = list(INPUTS.numbers), list(INPUTS.categories)
FRAME = random_frame(400, 1)
LABELS = labels_of(FRAME, 1)


class Louder(StandardScaler):  # type: ignore[misc]  # scikit-learn publishes no types
    """A scaler that does something else."""

    def transform(self, X: Any, copy: bool | None = None) -> Any:
        return super().transform(X) * 2


def numbers_through(step: Any) -> Pipeline:
    pre = ColumnTransformer([("num", make_pipeline(SimpleImputer(), step), NUMBERS)])
    return Pipeline([("pre", pre), ("model", LogisticRegression())])


def with_model(model: Any) -> Pipeline:
    return Pipeline([("pre", ColumnTransformer([("num", SimpleImputer(), NUMBERS)])), ("model", model)])


def categories_through(step: Any) -> Pipeline:
    return Pipeline([("pre", ColumnTransformer([("cat", step, CATEGORIES)])), ("model", LogisticRegression())])


REFUSED = {
    "hinge loss": (with_model(SGDClassifier()), "model", "loss='log_loss'"),
    "another form of probabilities": (with_model(SGDClassifier(loss="modified_huber")), "model", "of another form"),
    "a function": (numbers_through(FunctionTransformer(np.nan_to_num)), "functiontransformer", "func=nan_to_num"),
    "a function with arguments": (
        numbers_through(FunctionTransformer(np.abs, kw_args={"dtype": np.float64})),
        "functiontransformer",
        "kw_args",
    ),
    "a lambda": (numbers_through(FunctionTransformer(lambda x: x * 2)), "functiontransformer", "func=<lambda>"),
    "normal quantiles": (
        numbers_through(QuantileTransformer(n_quantiles=9, output_distribution="normal")),
        "quantiletransformer",
        "output_distribution='normal'",
    ),
    "an indicator that fails": (
        Pipeline([("pre", ColumnTransformer([("n", MissingIndicator(), NUMBERS)])), ("model", LogisticRegression())]),
        "pre > n",
        "error_on_new=True",
    ),
    "a hard vote": (
        with_model(VotingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier())])),
        "model",
        "voting='hard'",
    ),
    "a vote of what is not known": (
        with_model(VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], voting="soft")),
        "model > b",
        "GaussianNB",
    ),
    "a stack of labels": (
        with_model(StackingClassifier([("a", LogisticRegression())], stack_method="predict")),
        "model > a",
        "stacked by predict",
    ),
    "temperature": (
        with_model(CalibratedClassifierCV(LogisticRegression(), method="temperature")),
        "model",
        "method='temperature'",
    ),
    "a calibrated machine without a form": (
        with_model(CalibratedClassifierCV(GaussianNB())),
        "model > calibrated 0",
        "GaussianNB",
    ),
    "a support vector machine alone": (with_model(LinearSVC()), "model", "not a known predictor"),
    "an unknown step": (numbers_through(PolynomialFeatures()), "polynomialfeatures", "StandardScaler"),
    "a subclass": (numbers_through(Louder()), "louder", "derives from StandardScaler"),
    "clipping": (numbers_through(MinMaxScaler(clip=True)), "minmaxscaler", "clip=True"),
    "numbers marked missing": (
        numbers_through(SimpleImputer(missing_values=-1)),
        "simpleimputer",
        "missing_values=-1",
    ),
    "an encoder that fails": (categories_through(OneHotEncoder()), "cat", "handle_unknown='error'"),
    "float32 codes": (
        categories_through(OneHotEncoder(handle_unknown="ignore", dtype=np.float32)),
        "cat",
        "dtype",
    ),
    "ordinal codes that fail": (categories_through(OrdinalEncoder()), "cat", "handle_unknown='error'"),
    "an imputer that finds nothing": (
        categories_through(
            make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
        ),
        "simpleimputer",
        "missing_values=''",
    ),
    "encoded numbers": (
        Pipeline(
            [
                ("pre", ColumnTransformer([("n", OneHotEncoder(handle_unknown="ignore"), ["seats"])])),
                ("model", LogisticRegression()),
            ]
        ),
        "pre > n",
        "number columns",
    ),
    "weights": (
        Pipeline(
            [
                (
                    "pre",
                    ColumnTransformer([("n", SimpleImputer(), NUMBERS)], transformer_weights={"n": 2.0}),
                ),
                ("model", LogisticRegression()),
            ]
        ),
        "pre",
        "transformer_weights",
    ),
    "a slice of columns": (
        Pipeline(
            [
                ("pre", ColumnTransformer([("n", SimpleImputer(), slice("seats", None))])),
                ("model", LogisticRegression()),
            ]
        ),
        "pre",
        "a list of column names",
    ),
    "another predictor": (numbers_through("passthrough").set_params(model=SVC()), "model", "SVC"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_step_class_and_remedy(name: str) -> None:
    estimator, step, said = REFUSED[name]
    estimator.fit(FRAME, LABELS)
    with pytest.raises(ExportRefusedError) as refusal:
        export_onnx(estimator, INPUTS, "binary_classification")
    assert step in str(refusal.value)
    assert said in str(refusal.value)
    assert refusal.value.supported


def test_a_column_missing_throughout_training_is_refused() -> None:
    frame = FRAME.assign(seats=np.nan)
    pre = ColumnTransformer([("n", SimpleImputer(keep_empty_features=False), NUMBERS)])
    estimator = make_pipeline(pre, LogisticRegression()).fit(frame, LABELS)
    with pytest.raises(ExportRefusedError, match="'seats' was missing in every training row"):
        export_onnx(estimator, INPUTS, "binary_classification")


def test_three_classes_are_refused() -> None:
    inputs = ModelInputs(columns=("wind",), numbers=("wind",), categories=())
    estimator = HistGradientBoostingClassifier(max_iter=2).fit(FRAME[["wind"]], np.arange(len(FRAME)) % 3)
    with pytest.raises(ExportRefusedError, match=r"\[0, 1, 2\]"):
        export_onnx(estimator, inputs, "binary_classification")


def test_two_classes_are_refused_where_more_are_declared() -> None:
    inputs = ModelInputs(columns=("wind",), numbers=("wind",), categories=())
    estimator = HistGradientBoostingClassifier(max_iter=2).fit(FRAME[["wind"]], LABELS)
    with pytest.raises(ExportRefusedError, match="three classes or more"):
        export_onnx(estimator, inputs, "multiclass_classification")


def test_named_classes_are_refused() -> None:
    inputs = ModelInputs(columns=("wind",), numbers=("wind",), categories=())
    estimator = HistGradientBoostingClassifier(max_iter=2).fit(FRAME[["wind"]], np.where(LABELS, "yes", "no"))
    with pytest.raises(ExportRefusedError, match="the two classes 0 and 1"):
        export_onnx(estimator, inputs, "binary_classification")


def test_a_regressor_is_no_classifier_and_the_other_way_round() -> None:
    inputs = ModelInputs(columns=("seats",), numbers=("seats",), categories=())
    frame = FRAME[["seats"]].fillna(1)
    with pytest.raises(ExportRefusedError, match="binary_classification"):
        export_onnx(LinearRegression().fit(frame, LABELS), inputs, "binary_classification")
    with pytest.raises(ExportRefusedError, match="regression"):
        export_onnx(LogisticRegression().fit(frame, LABELS), inputs, "regression")


def test_a_transformed_target_and_two_targets_are_refused() -> None:
    inputs = ModelInputs(columns=("seats",), numbers=("seats",), categories=())
    frame, values = FRAME[["seats"]].fillna(1), values_of(FRAME, 1)
    wrapped = TransformedTargetRegressor(LinearRegression(), func=np.log, inverse_func=np.exp)
    with pytest.raises(ExportRefusedError, match="TransformedTargetRegressor"):
        export_onnx(wrapped.fit(frame, values), inputs, "regression")
    two = LinearRegression().fit(frame, np.column_stack([values, values]))
    with pytest.raises(ExportRefusedError, match="one target"):
        export_onnx(two, inputs, "regression")


def test_an_unfitted_estimator_is_refused() -> None:
    inputs = ModelInputs(columns=("wind",), numbers=("wind",), categories=())
    with pytest.raises(ExportRefusedError, match="not fitted"):
        export_onnx(HistGradientBoostingRegressor(), inputs, "regression")


def test_an_estimator_fitted_on_fewer_columns_is_refused() -> None:
    inputs = ModelInputs(columns=INPUTS.numbers, numbers=INPUTS.numbers, categories=())
    estimator = HistGradientBoostingClassifier(max_iter=2).fit(FRAME[["wind"]], LABELS)
    with pytest.raises(ExportRefusedError, match="fitted on 1 column, but gets 3"):
        export_onnx(estimator, inputs, "binary_classification")


def test_an_option_of_a_newer_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN a scikit-learn that gave a step an option the exporter has never heard of."""
    estimator = numbers_through(StandardScaler()).fit(FRAME, LABELS)
    known = StandardScaler.get_params
    monkeypatch.setattr(StandardScaler, "get_params", lambda self, deep=True: {**known(self, deep), "robust": True})
    with pytest.raises(ExportRefusedError, match="the option robust=True is not known"):
        export_onnx(estimator, INPUTS, "binary_classification")
    monkeypatch.undo()
    monkeypatch.setattr("sklearn.__version__", "2.0.0")
    with pytest.raises(ExportRefusedError, match=r"scikit-learn 2\.0\.0"):
        export_onnx(estimator, INPUTS, "binary_classification")
