"""Encoding categories. What each one becomes is asked of the fitted encoder itself, once for every category.

So infrequent categories, dropped ones and the answer to an unknown one need no rule of their own here.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.preprocessing import concatenate
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Numbers, Place, Texts, Value, texts_only


def one_hot_encoder(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """OneHotEncoder of strings that has an answer to an unknown category."""
    check_options(
        estimator,
        place,
        handled=("dtype", "handle_unknown"),
        training_only=(
            "categories",
            "drop",
            "feature_name_combiner",
            "max_categories",
            "min_frequency",
            "sparse_output",
        ),
    )
    require(place, "dtype", estimator.dtype, [np.float64])
    require(
        place,
        "handle_unknown",
        estimator.handle_unknown,
        ["ignore", "infrequent_if_exist", "warn"],
        why="production sees categories that training did not",
    )
    return _by_tables(estimator, value, graph, place, list(estimator._n_features_outs))


def ordinal_encoder(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """OrdinalEncoder of strings with a value for unknown categories."""
    check_options(
        estimator,
        place,
        handled=("dtype", "handle_unknown"),
        training_only=("categories", "encoded_missing_value", "max_categories", "min_frequency", "unknown_value"),
    )
    require(place, "dtype", estimator.dtype, [np.float64])
    require(
        place,
        "handle_unknown",
        estimator.handle_unknown,
        ["use_encoded_value"],
        why="production sees categories that training did not",
    )
    return _by_tables(estimator, value, graph, place, [1] * len(estimator.categories_))


def _by_tables(estimator: Any, value: Value, graph: Graph, place: Place, widths: list[int]) -> Numbers:
    incoming = texts_only(value, graph, place)
    known = _categories(estimator, place)
    blocks, first = [], 0
    for column, (categories, width) in enumerate(zip(known, widths, strict=True)):
        if width:
            table = _table(estimator, known, column)[:, first : first + width]
            position = position_of_text(graph, incoming, column, categories)
            blocks.append(graph.add("Gather", [graph.constant(_dense(table)), position], axis=0))
        first += width
    if not blocks:
        raise place.refuse("it keeps no column", "at least one column")
    return Numbers(concatenate(graph, blocks), first)


def _table(estimator: Any, known: list[list[str]], column: int) -> Any:
    """What the encoder makes of each category of one column, and last of one that it has never seen."""
    asked = [*known[column], _unseen(known[column])]
    rows = np.empty((len(asked), len(known)), dtype=object)
    for other, categories in enumerate(known):
        rows[:, other] = asked if other == column else categories[0]
    names = getattr(estimator, "feature_names_in_", None)
    frame = rows if names is None else pd.DataFrame(rows, columns=names, dtype=object)
    with warnings.catch_warnings():
        # It tells of the unknown category, which is asked on purpose.
        warnings.simplefilter("ignore", UserWarning)
        return estimator.transform(frame)


def _unseen(categories: list[str]) -> str:
    return "?" * (1 + max(map(len, categories), default=0))


def _dense(table: Any) -> np.ndarray:
    return np.asarray(table.toarray() if hasattr(table, "toarray") else table, dtype=np.float64)


def _categories(estimator: Any, place: Place) -> list[list[str]]:
    found = []
    for categories in estimator.categories_:
        odd = [c for c in categories if not isinstance(c, str)]
        if odd:
            raise place.refuse(f"the category {odd[0]!r} is not a string", "categories that are strings")
        found.append([str(c) for c in categories])
    return found


def position_of_text(graph: Graph, incoming: Texts, column: int, categories: list[str]) -> str:
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
