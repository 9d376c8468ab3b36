"""Imputing, scaling and encoding."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.training.onnx_export.graph import Graph, row
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Numbers, Place, Texts, Value, gather, numbers_only, texts_only


def imputer(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers | Texts:
    """SimpleImputer: missing numbers are NaN, missing categories a declared string."""
    check_options(
        estimator,
        place,
        handled=("add_indicator", "missing_values", "strategy"),
        training_only=("copy", "fill_value", "keep_empty_features"),
    )
    require(place, "add_indicator", estimator.add_indicator, [False])
    require(place, "strategy", estimator.strategy, ["mean", "median", "most_frequent", "constant"])
    incoming = gather(value, graph, place)
    if isinstance(incoming, Texts):
        return _impute_texts(estimator, incoming, graph, place)
    if not _is_nan(estimator.missing_values):
        raise place.refuse(f"missing_values={estimator.missing_values!r} on number columns", "missing_values=numpy.nan")
    fills = _statistics(estimator, place)
    missing = graph.add("IsNaN", [incoming.tensor])
    filled = graph.add("Where", [missing, graph.constant(row(fills)), incoming.tensor])
    return Numbers(filled, incoming.width)


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


def min_max_scaler(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """MinMaxScaler without clipping."""
    check_options(estimator, place, handled=("clip",), training_only=("copy", "feature_range"))
    require(place, "clip", estimator.clip, [False])
    incoming = numbers_only(value, graph, place)
    scaled = graph.add("Mul", [incoming.tensor, graph.constant(row(estimator.scale_))])
    return Numbers(graph.add("Add", [scaled, graph.constant(row(estimator.min_))]), incoming.width)


def one_hot_encoder(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """OneHotEncoder of strings; a category it has not seen is a row of zeros."""
    check_options(
        estimator,
        place,
        handled=("drop", "dtype", "handle_unknown", "max_categories", "min_frequency"),
        training_only=("categories", "feature_name_combiner", "sparse_output"),
    )
    require(place, "drop", estimator.drop, [None])
    require(place, "dtype", estimator.dtype, [np.float64])
    require(
        place,
        "handle_unknown",
        estimator.handle_unknown,
        ["ignore"],
        why="production sees categories that training did not",
    )
    for option in ("min_frequency", "max_categories"):
        require(place, option, getattr(estimator, option), [None])
    incoming = texts_only(value, graph, place)
    blocks, width = [], 0
    for column, categories in enumerate(_categories(estimator, place)):
        position = _position(graph, incoming, column, categories)
        table = np.vstack([np.eye(len(categories)), np.zeros((1, len(categories)))])
        blocks.append(graph.add("Gather", [graph.constant(table), position], axis=0))
        width += len(categories)
    return Numbers(concatenate(graph, blocks), width)


def ordinal_encoder(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """OrdinalEncoder of strings with a value for unknown categories."""
    check_options(
        estimator,
        place,
        handled=("dtype", "handle_unknown", "max_categories", "min_frequency", "unknown_value"),
        training_only=("categories", "encoded_missing_value"),
    )
    require(place, "dtype", estimator.dtype, [np.float64])
    require(
        place,
        "handle_unknown",
        estimator.handle_unknown,
        ["use_encoded_value"],
        why="production sees categories that training did not",
    )
    for option in ("min_frequency", "max_categories"):
        require(place, option, getattr(estimator, option), [None])
    incoming = texts_only(value, graph, place)
    blocks = []
    for column, categories in enumerate(_categories(estimator, place)):
        position = _position(graph, incoming, column, categories)
        codes = np.append(np.arange(len(categories), dtype=np.float64), float(estimator.unknown_value))
        blocks.append(graph.add("Gather", [graph.constant(codes.reshape(-1, 1)), position], axis=0))
    return Numbers(concatenate(graph, blocks), incoming.width)


def _categories(estimator: Any, place: Place) -> list[list[str]]:
    found = []
    for categories in estimator.categories_:
        odd = [c for c in categories if not isinstance(c, str)]
        if odd:
            raise place.refuse(f"the category {odd[0]!r} is not a string", "categories that are strings")
        found.append([str(c) for c in categories])
    return found


def _position(graph: Graph, incoming: Texts, column: int, categories: list[str]) -> str:
    """Each row's position [N] among ``categories``; ``len(categories)`` when it is none of them."""
    index = graph.constant(np.array(column, dtype=np.int64))
    values = graph.add("Gather", [incoming.tensor, index], axis=1)
    return graph.add(
        "LabelEncoder",
        [values],
        domain="ai.onnx.ml",
        keys_strings=categories,
        values_int64s=list(range(len(categories))),
        default_int64=len(categories),
    )


def concatenate(graph: Graph, tensors: list[str]) -> str:
    """The tensors side by side."""
    return tensors[0] if len(tensors) == 1 else graph.add("Concat", tensors, axis=1)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and bool(np.isnan(value))
