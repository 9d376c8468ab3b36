"""Which values were missing, as features of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.support import check_options
from everloop.training.onnx_export.values import Numbers, Place, Texts, Value, gather


def missing_indicator(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """MissingIndicator: 1 where a value is missing, for the columns that it watches."""
    check_options(estimator, place, handled=("error_on_new", "features", "missing_values"), training_only=("sparse",))
    if estimator.features == "missing-only" and estimator.error_on_new:
        raise place.refuse(
            "error_on_new=True fails where a column is missing that never was in training",
            "error_on_new=False or features='all'",
        )
    return watched(estimator, gather(value, graph, place), graph, place)


def watched(estimator: Any, incoming: Numbers | Texts, graph: Graph, place: Place) -> Numbers:
    """The indicator columns of a fitted MissingIndicator.

    Raises
    ------
    ExportRefusedError
        When it looks for a value that is not how the features have a missing one.
    """
    columns = np.asarray(estimator.features_, dtype=np.int64)
    if not len(columns):
        raise place.refuse("no column was missing in training, so it has no output", "features='all', or leave it out")
    missing = estimator.missing_values
    if isinstance(incoming, Texts):
        if not isinstance(missing, str):
            raise place.refuse(f"missing_values={missing!r} on category columns", "missing_values=''")
        marker = graph.constant(np.array([[missing]], dtype=object))
        found = graph.add("Equal", [incoming.tensor, marker])
    else:
        if not (isinstance(missing, float) and np.isnan(missing)):
            raise place.refuse(f"missing_values={missing!r} on number columns", "missing_values=numpy.nan")
        found = graph.add("IsNaN", [incoming.tensor])
    whole = graph.add("Cast", [found], to=TensorProto.DOUBLE)
    if columns.tolist() == list(range(incoming.width)):
        return Numbers(whole, incoming.width)
    return Numbers(graph.add("Gather", [whole, graph.constant(columns)], axis=1), len(columns))
