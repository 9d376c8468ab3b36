"""Splits on sets of categories, which HistGradientBoosting makes of the features declared as categorical.

Each set becomes a column of its own: 0 where the category is in it, 1 where it is another known one, and missing
where it is missing or unknown. So a split on a set is a split on a number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import numpy_helper

from everloop.training.onnx_export.encoders import position_of_text
from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.preprocessing import concatenate
from everloop.training.onnx_export.values import Frame, Numbers, Place, Texts, Value, gather, numbers_only

_IN_SET, _OTHER = 0.0, 1.0
MIDDLE = 0.5
"""The threshold between the two: what is in the set goes left."""


class CategorySplits:
    """The features of a fitted HistGradientBoosting: its numbers, then a column for each set that a split asks for.

    Parameters
    ----------
    estimator
        Fitted with ``categorical_features``.
    """

    def __init__(self, estimator: Any) -> None:
        self._categorical = np.flatnonzero(estimator.is_categorical_).tolist()
        self._numeric = np.flatnonzero(~np.asarray(estimator.is_categorical_)).tolist()
        encoder = estimator._preprocessor.named_transformers_["encoder"]
        self._categories = [_known(found) for found in encoder.categories_]
        self._sets: dict[tuple[int, bytes], int] = {}
        self._tables: list[list[tuple[int, np.ndarray]]] = [[] for _ in self._categories]

    def number_column(self, feature: int) -> int:
        """The column of a number, given as the trees count features: the categorical ones come first."""
        return feature - len(self._categorical)

    def set_column(self, feature: int, bits: np.ndarray) -> int:
        """The column of a set of categories of a feature, given as 256 bits in uint32 [8]."""
        count = len(self._categories[feature])
        codes = np.arange(count)
        inside = ((bits[codes // 32] >> (codes % 32).astype(np.uint32)) & 1).astype(bool)
        key = (feature, inside.tobytes())
        if key not in self._sets:
            column = len(self._numeric) + len(self._sets)
            self._sets[key] = column
            self._tables[feature].append((column, np.append(np.where(inside, _IN_SET, _OTHER), np.nan)))
        return self._sets[key]

    def tensor(self, value: Value, graph: Graph, place: Place) -> str:
        """All columns that were asked for, [N, columns], in the order of their numbers."""
        blocks = [self._numbers(value, graph, place)] if self._numeric else []
        order = list(range(len(self._numeric)))
        for place_of_feature, columns in enumerate(self._tables):
            if not columns:
                continue
            position = self._position(value, place_of_feature, graph, place)
            table = np.column_stack([answers for _, answers in columns])
            blocks.append(graph.add("Gather", [graph.constant(table), position], axis=0))
            order += [column for column, _ in columns]
        if not blocks:
            raise place.refuse("none of its trees has a split, and it has no number feature", "a model with a split")
        joined = concatenate(graph, blocks)
        if order == sorted(order):
            return joined
        return graph.add("Gather", [joined, graph.constant(np.argsort(order).astype(np.int64))], axis=1)

    def _numbers(self, value: Value, graph: Graph, place: Place) -> str:
        if isinstance(value, Frame):
            chosen = Frame(tuple(value.columns[i] for i in self._numeric), value.inputs)
            return numbers_only(chosen, graph, place).tensor
        numbers = numbers_only(value, graph, place)
        return graph.add("Gather", [numbers.tensor, graph.constant(np.array(self._numeric, dtype=np.int64))], axis=1)

    def _position(self, value: Value, feature: int, graph: Graph, place: Place) -> str:
        column = self._categorical[feature]
        categories = self._categories[feature]
        if isinstance(value, Frame):
            found = gather(Frame((value.columns[column],), value.inputs), graph, place)
            if isinstance(found, Texts):
                return position_of_text(graph, found, 0, [str(c) for c in categories])
            column = 0
        else:
            found = numbers_only(value, graph, place)
        return _position_of_number(graph, found, column, np.array(categories, dtype=np.float64))


def _known(categories: np.ndarray) -> list[Any]:
    """The categories without the missing one, which scikit-learn puts last."""
    found = list(categories)
    return found[:-1] if found and isinstance(found[-1], float) and np.isnan(found[-1]) else found


def _position_of_number(graph: Graph, incoming: Numbers, column: int, categories: np.ndarray) -> str:
    values = graph.add("Gather", [incoming.tensor, graph.constant(np.array(column, dtype=np.int64))], axis=1)
    return graph.add(
        "LabelEncoder",
        [values],
        domain="ai.onnx.ml",
        keys_tensor=numpy_helper.from_array(categories, "keys"),
        values_tensor=numpy_helper.from_array(np.arange(len(categories), dtype=np.int64), "values"),
        default_tensor=numpy_helper.from_array(np.array([len(categories)], dtype=np.int64), "default"),
    )
