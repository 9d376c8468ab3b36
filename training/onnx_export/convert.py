"""From a fitted scikit-learn estimator to an ONNX model that answers the same, in float64.

What an estimator does is written down operator by operator. A class, an option or a subclass that is not
known here is refused: a conversion that is merely close has been seen to flip labels without any error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import onnx
import sklearn
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted

from everloop.numbers_of import number_of
from everloop.training.onnx_export import boosting, forest, linear, preprocessing
from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.inputs import ModelInputs
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Frame, Numbers, Place, Texts, Value, gather, numbers_only

ProblemType = Literal["binary_classification", "regression"]
SKLEARN_SERIES = "1.9."
"""The releases whose fitted attributes the exporter reads."""

_TRANSFORMERS: dict[type, Callable[[Any, Value, Graph, Place], Numbers | Texts]] = {
    SimpleImputer: preprocessing.imputer,
    StandardScaler: preprocessing.standard_scaler,
    MinMaxScaler: preprocessing.min_max_scaler,
    OneHotEncoder: preprocessing.one_hot_encoder,
    OrdinalEncoder: preprocessing.ordinal_encoder,
}
_Predictor = Callable[[Any, Numbers, Graph, Place], str]
_CLASSIFIERS: dict[type, _Predictor] = {
    HistGradientBoostingClassifier: boosting.hist_classifier,
    GradientBoostingClassifier: boosting.gradient_classifier,
    LogisticRegression: linear.logistic_regression,
    SGDClassifier: linear.sgd_classifier,
    RandomForestClassifier: forest.forest_classifier,
}
_REGRESSORS: dict[type, _Predictor] = {
    HistGradientBoostingRegressor: boosting.hist_regressor,
    GradientBoostingRegressor: boosting.gradient_regressor,
    LinearRegression: linear.linear_regression,
    Ridge: linear.ridge,
    SGDRegressor: linear.sgd_regressor,
    RandomForestRegressor: forest.forest_regressor,
}


def export_onnx(estimator: Any, inputs: ModelInputs, problem_type: ProblemType) -> onnx.ModelProto:
    """Write a fitted estimator as ONNX.

    Parameters
    ----------
    estimator
        A fitted estimator or Pipeline, fitted on a frame with the columns ``inputs.columns``.
    inputs : ModelInputs
        The declared features.
    problem_type : {"binary_classification", "regression"}
        What the output is: the probability of class 1, or the predicted value.

    Returns
    -------
    onnx.ModelProto
        Inputs ``num`` float64 [N, numbers] and ``cat`` string [N, categories], each present when the model
        declares such features; output ``score`` float64 [N]. The same estimator gives the same bytes.

    Raises
    ------
    ExportRefusedError
        For anything the exporter does not know, naming step, class and option.
    """
    graph = Graph()
    return graph.finish(_written(estimator, inputs, graph, problem_type), inputs)


def used_inputs(estimator: Any, inputs: ModelInputs, problem_type: ProblemType) -> ModelInputs:
    """``inputs`` without the features that no step of the estimator takes; ``columns`` stay those it was fitted on.

    Raises
    ------
    ExportRefusedError
        As :func:`export_onnx` does.
    """
    graph = Graph()
    _written(estimator, inputs, graph, problem_type)
    return replace(
        inputs,
        numbers=tuple(name for name in inputs.numbers if name in graph.columns),
        categories=tuple(name for name in inputs.categories if name in graph.columns),
    )


def _written(estimator: Any, inputs: ModelInputs, graph: Graph, problem_type: ProblemType) -> str:
    """The name of the score's tensor, once the graph has everything that leads to it."""
    place = _place((), estimator)
    if not sklearn.__version__.startswith(SKLEARN_SERIES):
        raise place.refuse(f"fitted with scikit-learn {sklearn.__version__}", f"{SKLEARN_SERIES}x")
    value: Value = Frame(inputs.columns, inputs)
    path: tuple[str, ...] = ()
    while type(estimator) is Pipeline:
        _check_pipeline(estimator, path)
        value = _steps(estimator.steps[:-1], value, graph, path)
        name, estimator = estimator.steps[-1]
        path = (*path, name)
    return _predict(estimator, value, graph, _place(path, estimator), problem_type)


def _predict(estimator: Any, value: Value, graph: Graph, place: Place, problem_type: ProblemType) -> str:
    known = _CLASSIFIERS if problem_type == "binary_classification" else _REGRESSORS
    convert = known.get(type(estimator))
    if convert is None:
        raise place.refuse(
            f"it is not a known predictor for {problem_type}{_subclass(estimator, known)}", _names(known)
        )
    _check_fitted(estimator, place)
    if known is _CLASSIFIERS and list(estimator.classes_) != [0, 1]:
        raise place.refuse(f"its classes are {np.asarray(estimator.classes_).tolist()}", "the two classes 0 and 1")
    features = numbers_only(value, graph, place)
    if estimator.n_features_in_ != features.width:
        raise place.refuse(
            f"it was fitted on {number_of(estimator.n_features_in_, 'column')}, but gets {features.width}",
            "an estimator fitted on the features frame that it was given",
        )
    return convert(estimator, features, graph, place)


def _transform(estimator: Any, value: Value, graph: Graph, path: tuple[str, ...]) -> Value:
    if estimator is None or (isinstance(estimator, str) and estimator == "passthrough"):
        return value
    place = _place(path, estimator)
    kind = type(estimator)
    if kind is FunctionTransformer and estimator.func is None:
        return value
    if kind is Pipeline:
        _check_pipeline(estimator, path)
        return _steps(estimator.steps, value, graph, path)
    if kind is ColumnTransformer:
        return _column_transformer(estimator, value, graph, place, path)
    convert = _TRANSFORMERS.get(kind)
    if convert is None:
        raise place.refuse(
            f"it is not a known transformer{_subclass(estimator, _TRANSFORMERS)}",
            f"Pipeline, ColumnTransformer, 'passthrough', {_names(_TRANSFORMERS)}",
        )
    _check_fitted(estimator, place)
    return convert(estimator, value, graph, place)


def _steps(steps: list[tuple[str, Any]], value: Value, graph: Graph, path: tuple[str, ...]) -> Value:
    for name, step in steps:
        value = _transform(step, value, graph, (*path, name))
    return value


def _check_pipeline(pipeline: Any, path: tuple[str, ...]) -> None:
    check_options(
        pipeline,
        _place(path, pipeline),
        handled=("steps",),
        training_only=("memory", "transform_input", "verbose"),
    )


def _column_transformer(
    estimator: Any, value: Value, graph: Graph, place: Place, path: tuple[str, ...]
) -> Numbers | Texts:
    check_options(
        estimator,
        place,
        handled=("remainder", "transformer_weights", "transformers"),
        training_only=("n_jobs", "sparse_threshold", "verbose", "verbose_feature_names_out"),
    )
    require(place, "transformer_weights", estimator.transformer_weights, [None])
    _check_fitted(estimator, place)
    if not isinstance(value, Frame):
        raise place.refuse("it picks columns after another step", "a ColumnTransformer on the features frame")
    blocks: list[Numbers | Texts] = []
    for name, transformer, columns in estimator.transformers_:
        chosen = _chosen(columns, estimator, value, place)
        if not chosen or (isinstance(transformer, str) and transformer == "drop"):
            continue
        inner = (*path, name)
        result = _transform(transformer, Frame(chosen, value.inputs), graph, inner)
        blocks.append(gather(result, graph, _place(inner, transformer)))
    if not blocks:
        raise place.refuse("it keeps no column", "at least one column")
    kinds = {type(b) for b in blocks}
    if len(kinds) > 1:
        raise place.refuse("some of its output columns are numbers, some are strings", "an encoder for each category")
    tensor = preprocessing.concatenate(graph, [b.tensor for b in blocks])
    return blocks[0].__class__(tensor, sum(b.width for b in blocks))


def _chosen(columns: Any, estimator: Any, value: Frame, place: Place) -> tuple[str, ...]:
    """The names of the columns that ``columns``, a specification of scikit-learn's, picks."""
    if isinstance(columns, str):
        raise place.refuse(f"the column {columns!r} is picked as a vector", f"a list of names: [{columns!r}]")
    fitted = getattr(estimator, "feature_names_in_", None)
    if isinstance(columns, slice) or fitted is None:
        raise place.refuse(f"columns picked as {columns!r}", "a list of column names of the features frame")
    names = [str(n) for n in fitted]
    items = list(columns)
    if items and all(isinstance(i, bool) or type(i).__name__ == "bool_" for i in items):
        chosen = [n for n, keep in zip(names, items, strict=True) if keep]
    else:
        chosen = [str(i) if isinstance(i, str) else names[int(i)] for i in items]
    for name in chosen:
        if name not in value.columns:
            raise place.refuse(f"the column {name!r} is not a feature here", ", ".join(value.columns))
    return tuple(chosen)


def _check_fitted(estimator: Any, place: Place) -> None:
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise place.refuse("it is not fitted", "a fitted estimator") from None


def _place(path: tuple[str, ...], estimator: Any) -> Place:
    name = repr(estimator) if isinstance(estimator, str) else type(estimator).__name__
    return Place(path, name)


def _subclass(estimator: Any, known: dict[type, Any]) -> str:
    """A hint for a class derived from a known one, whose changes the exporter cannot see."""
    base = next((k.__name__ for k in known if isinstance(estimator, BaseEstimator) and isinstance(estimator, k)), "")
    return f": it derives from {base}, and its changes are not known" if base else ""


def _names(known: dict[type, Any]) -> str:
    return ", ".join(k.__name__ for k in known)
