"""The TreeEnsemble operator of ai.onnx.ml 5, in float64.

Its attributes hold inner nodes and leaves in two separate numberings; a child is a number and a flag that
says which of the two is meant. See https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import numpy_helper

from everloop.training.onnx_export.graph import Graph

_SUM = 1
_NO_TRANSFORM = 0
_LESS_OR_EQUAL = 0


@dataclass(frozen=True)
class Tree:
    """One tree, a row to each node, the root first.

    Attributes
    ----------
    is_leaf : ndarray of bool
    feature, left, right : ndarray of int
        Of inner nodes: the column to look at, and the children, as rows.
    threshold : ndarray of float64
        A value at or below it goes left.
    missing_left : ndarray of bool
        Whether NaN goes left.
    value : ndarray of float64
        What a leaf adds to the sum.
    """

    is_leaf: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray


def constant_tree(value: float) -> Tree:
    """The tree of one leaf. As the first of an ensemble it is the value the sum starts from."""
    zero = np.zeros(1, dtype=np.int64)
    return Tree(
        is_leaf=np.ones(1, dtype=bool),
        feature=zero,
        threshold=np.zeros(1),
        left=zero,
        right=zero,
        missing_left=np.zeros(1, dtype=bool),
        value=np.array([value], dtype=np.float64),
    )


def add_tree_ensemble(graph: Graph, tensor: str, trees: Sequence[Tree]) -> str:
    """Append the sum over ``trees``, taken in their order, as a tensor [N, 1]."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in _COLUMNS}
    roots, node_base, leaf_base = [], 0, 0
    for tree in trees:
        part = _one_leaf(tree, leaf_base) if tree.is_leaf[0] else _flatten(tree, node_base, leaf_base)
        for name in _COLUMNS:
            columns[name].append(part[name])
        roots.append(node_base)
        node_base += len(part["nodes_featureids"])
        leaf_base += len(part["leaf_weights"])
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    weights = joined.pop("leaf_weights")
    splits = joined.pop("nodes_splits")
    return graph.add(
        "TreeEnsemble",
        [tensor],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        tree_roots=roots,
        leaf_targetids=[0] * len(weights),
        leaf_weights=numpy_helper.from_array(weights, "weights"),
        nodes_splits=numpy_helper.from_array(splits, "splits"),
        nodes_modes=numpy_helper.from_array(np.full(len(splits), _LESS_OR_EQUAL, dtype=np.uint8), "modes"),
        **{name: values.tolist() for name, values in joined.items()},
    )


_COLUMNS = (
    "nodes_featureids",
    "nodes_splits",
    "nodes_truenodeids",
    "nodes_trueleafs",
    "nodes_falsenodeids",
    "nodes_falseleafs",
    "nodes_missing_value_tracks_true",
    "leaf_weights",
)


def _flatten(tree: Tree, node_base: int, leaf_base: int) -> dict[str, np.ndarray]:
    leaf = tree.is_leaf.astype(bool)
    inner = ~leaf
    number = np.where(leaf, leaf_base + np.cumsum(leaf) - 1, node_base + np.cumsum(inner) - 1)
    left, right = tree.left[inner].astype(np.int64), tree.right[inner].astype(np.int64)
    return {
        "nodes_featureids": tree.feature[inner].astype(np.int64),
        "nodes_splits": tree.threshold[inner].astype(np.float64),
        "nodes_truenodeids": number[left],
        "nodes_trueleafs": leaf[left].astype(np.int64),
        "nodes_falsenodeids": number[right],
        "nodes_falseleafs": leaf[right].astype(np.int64),
        "nodes_missing_value_tracks_true": tree.missing_left[inner].astype(np.int64),
        "leaf_weights": tree.value[leaf].astype(np.float64),
    }


def _one_leaf(tree: Tree, leaf_base: int) -> dict[str, np.ndarray]:
    """A root is an inner node in this operator: a split whose both sides are the leaf."""
    one, zero = np.ones(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    return {
        "nodes_featureids": zero,
        "nodes_splits": np.zeros(1),
        "nodes_truenodeids": zero + leaf_base,
        "nodes_trueleafs": one,
        "nodes_falsenodeids": zero + leaf_base,
        "nodes_falseleafs": one,
        "nodes_missing_value_tracks_true": zero,
        "leaf_weights": tree.value[:1].astype(np.float64),
    }
