"""Where a number falls among sorted edges, and straight lines between them.

The place is found by a balanced tree of comparisons, so a row costs the logarithm of the edges, not their number.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.tree_ensemble import Tree, add_tree_ensemble, constant_tree


def place_among(graph: Graph, column: str, edges: np.ndarray) -> str:
    """How many of ``edges`` are at or below the value: int64 [N] for a column [N, 1].

    Parameters
    ----------
    edges : float64 array
        Ascending. Equal ones count each. A missing value is placed above all.
    """
    found = graph.add("Cast", [add_tree_ensemble(graph, column, [_search_tree(edges)])], to=TensorProto.INT64)
    return graph.add("Reshape", [found, graph.constant(np.array([-1], dtype=np.int64))])


def interpolated(graph: Graph, column: str, xs: np.ndarray, ys: np.ndarray) -> str:
    """What ``numpy.interp(column, xs, ys)`` gives, [N, 1]: constant outside, lines between, NaN where NaN.

    At equal ``xs`` the last one counts, as numpy's search has it.
    """
    xs, ys = np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)
    width = np.diff(xs)
    slopes = np.divide(np.diff(ys), width, out=np.zeros_like(width), where=width > 0)
    # A row for each place: below the first, in each gap, at or above the last. Outside, the slope is nothing.
    starts = np.concatenate([xs[:1], xs])
    heights = np.concatenate([ys[:1], ys])
    lines = np.concatenate([[0.0], slopes, [0.0]])
    place = place_among(graph, column, xs)
    start, height, line = (
        graph.add("Gather", [graph.constant(values.reshape(-1, 1)), place], axis=0)
        for values in (starts, heights, lines)
    )
    return graph.add("Add", [graph.add("Mul", [line, graph.add("Sub", [column, start])]), height])


def _search_tree(edges: np.ndarray) -> Tree:
    distinct = np.unique(np.asarray(edges, dtype=np.float64))
    if not len(distinct):
        return constant_tree(0.0)
    counts = np.concatenate([[0], np.searchsorted(edges, distinct, side="right")]).astype(np.float64)
    rows: list[tuple[bool, float, int, int, float]] = []

    def grow(low: int, high: int) -> int:
        """The row of the subtree that chooses among the places ``low`` to ``high``."""
        row = len(rows)
        rows.append((True, 0.0, 0, 0, float(counts[low])))
        if low < high:
            middle = (low + high) // 2
            left = grow(low, middle)
            right = grow(middle + 1, high)
            # The operator asks for "at or below"; just under the edge that is "below the edge".
            rows[row] = (False, float(np.nextafter(distinct[middle], -np.inf)), left, right, 0.0)
        return row

    grow(0, len(distinct))
    leaf, threshold, left, right, value = (np.array(part) for part in zip(*rows, strict=True))
    nothing = np.zeros(len(rows), dtype=np.int64)
    return Tree(leaf.astype(bool), nothing, threshold, left, right, nothing.astype(bool), value)
