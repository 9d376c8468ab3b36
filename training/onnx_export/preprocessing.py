"""Imputing and scaling."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.training.onnx_export.graph import Graph, row
from everloop.training.onnx_export.indicators import watched
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Numbers, Place, Texts, Value, gather, numbers_only


def imputer(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers | Texts:
    """SimpleImputer: missing numbers are NaN, missing categories a declared string."""
    check_options(
        estimator,
        place,
        handled=("add_indicator", "missing_values", "strategy"),
        training_only=("copy", "fill_value", "keep_empty_features"),
    )
    require(place, "strategy", estimator.strategy, ["mean", "median", "most_frequent", "constant"])
    incoming = gather(value, graph, place)
    if isinstance(incoming, Texts):
        require(place, "add_indicator", estimator.add_indicator, [False], why="its columns are numbers beside strings")
        return _impute_texts(estimator, incoming, graph, place)
    if not _is_nan(estimator.missing_values):
        raise place.refuse(f"missing_values={estimator.missing_values!r} on number columns", "missing_values=numpy.nan")
    fills = _statistics(estimator, place)
    missing = graph.add("IsNaN", [incoming.tensor])
    filled = graph.add("Where", [missing, graph.constant(row(fills)), incoming.tensor])
    if not estimator.add_indicator or not len(estimator.indicator_.features_):
        return Numbers(filled, incoming.width)
    shown = watched(estimator.indicator_, incoming, graph, place)
    return Numbers(concatenate(graph, [filled, shown.tensor]), incoming.width + shown.width)


def _impute_texts(estimator: Any, incoming: Texts, graph: Graph, place: Place) -> Texts:
    if _is_nan(estimator.missing_values) or estimator.missing_values is None:
        raise place.refuse(
            f"missing_values={estimator.missing_values!r} on category columns finds nothing: a missing "
            "category is the empty string",
            "missing_values=''",
        )
    if not isinstance(estimator.missing_values, str):
        raise place.refuse(f"missing_values={estimator.missing_values!r} on category columns", "missing_values=''")
    fills = np.array([[str(s) for s in _statistics(estimator, place)]], dtype=object)
    marker = graph.constant(np.array([[estimator.missing_values]], dtype=object))
    missing = graph.add("Equal", [incoming.tensor, marker])
    filled = graph.add("Where", [missing, graph.constant(fills), incoming.tensor])
    return Texts(filled, incoming.width)


def _statistics(estimator: Any, place: Place) -> list[Any]:
    statistics = list(estimator.statistics_)
    empty = [i for i, s in enumerate(statistics) if s is None or _is_nan(s)]
    if empty:
        names = getattr(estimator, "feature_names_in_", None)
        column = repr(str(names[empty[0]])) if names is not None else f"number {empty[0]}"
        raise place.refuse(
            f"the column {column} was missing in every training row, so it has no {estimator.strategy}",
            "columns with a value in training, or strategy='constant'",
        )
    return statistics


def standard_scaler(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """StandardScaler: the same subtraction and division, in the same order."""
    check_options(estimator, place, handled=("with_mean", "with_std"), training_only=("copy",))
    incoming = numbers_only(value, graph, place)
    tensor = incoming.tensor
    if estimator.with_mean:
        tensor = graph.add("Sub", [tensor, graph.constant(row(estimator.mean_))])
    if estimator.with_std:
        tensor = graph.add("Div", [tensor, graph.constant(row(estimator.scale_))])
    return Numbers(tensor, incoming.width)


def robust_scaler(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """RobustScaler: the same subtraction and division, in the same order."""
    check_options(
        estimator,
        place,
        handled=("with_centering", "with_scaling"),
        training_only=("copy", "quantile_range", "unit_variance"),
    )
    incoming = numbers_only(value, graph, place)
    tensor = incoming.tensor
    if estimator.with_centering:
        tensor = graph.add("Sub", [tensor, graph.constant(row(estimator.center_))])
    if estimator.with_scaling:
        tensor = graph.add("Div", [tensor, graph.constant(row(estimator.scale_))])
    return Numbers(tensor, incoming.width)


def min_max_scaler(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """MinMaxScaler without clipping."""
    check_options(estimator, place, handled=("clip",), training_only=("copy", "feature_range"))
    require(place, "clip", estimator.clip, [False])
    incoming = numbers_only(value, graph, place)
    scaled = graph.add("Mul", [incoming.tensor, graph.constant(row(estimator.scale_))])
    return Numbers(graph.add("Add", [scaled, graph.constant(row(estimator.min_))]), incoming.width)


def concatenate(graph: Graph, tensors: list[str]) -> str:
    """The tensors side by side."""
    return tensors[0] if len(tensors) == 1 else graph.add("Concat", tensors, axis=1)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and bool(np.isnan(value))
