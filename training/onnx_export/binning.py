"""Numbers into quantiles and bins."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.lookup import interpolated, place_among
from everloop.training.onnx_export.preprocessing import concatenate
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Numbers, Place, Value, column_of, numbers_only


def quantile_transformer(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """QuantileTransformer to uniform: the mean of the interpolations from below and from above."""
    check_options(
        estimator,
        place,
        handled=("output_distribution",),
        training_only=("copy", "ignore_implicit_zeros", "n_quantiles", "random_state", "subsample"),
    )
    require(
        place,
        "output_distribution",
        estimator.output_distribution,
        ["uniform"],
        why="ONNX has no inverse of the normal distribution",
    )
    incoming = numbers_only(value, graph, place)
    columns = [
        _quantiles(graph, column_of(graph, incoming, index), quantiles, estimator.references_, place)
        for index, quantiles in enumerate(np.asarray(estimator.quantiles_, dtype=np.float64).T)
    ]
    return Numbers(concatenate(graph, columns), incoming.width)


def _quantiles(graph: Graph, column: str, quantiles: np.ndarray, references: np.ndarray, place: Place) -> str:
    if not np.isfinite(quantiles).all():
        raise place.refuse("a column had no value in any training row", "columns with values in training")
    above = interpolated(graph, column, quantiles, references)
    turned = graph.add("Neg", [column])
    below = interpolated(graph, turned, -quantiles[::-1], -references[::-1])
    half = graph.constant(np.array([[0.5]]))
    result = graph.add("Mul", [graph.add("Sub", [above, below]), half])
    for edge, answer in ((quantiles[-1], 1.0), (quantiles[0], 0.0)):
        there = graph.add("Equal", [column, graph.constant(np.array([[edge]]))])
        result = graph.add("Where", [there, graph.constant(np.array([[answer]])), result])
    return result


def k_bins_discretizer(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """KBinsDiscretizer: the number of each value's bin, or a column for each bin."""
    check_options(
        estimator,
        place,
        handled=("dtype", "encode"),
        training_only=("n_bins", "quantile_method", "random_state", "strategy", "subsample"),
    )
    require(place, "dtype", estimator.dtype, [None, np.float64])
    require(place, "encode", estimator.encode, ["ordinal", "onehot", "onehot-dense"])
    incoming = numbers_only(value, graph, place)
    blocks, width = [], 0
    for index, edges in enumerate(estimator.bin_edges_):
        # The first and the last edge bound what training saw; beyond them a value is in the outermost bin.
        bin_number = place_among(graph, column_of(graph, incoming, index), np.asarray(edges[1:-1], dtype=np.float64))
        if estimator.encode == "ordinal":
            column = graph.add("Reshape", [bin_number, graph.constant(np.array([-1, 1], dtype=np.int64))])
            blocks.append(graph.add("Cast", [column], to=TensorProto.DOUBLE))
            width += 1
        else:
            bins = int(estimator.n_bins_[index])
            blocks.append(graph.add("Gather", [graph.constant(np.eye(bins)), bin_number], axis=0))
            width += bins
    return Numbers(concatenate(graph, blocks), width)
