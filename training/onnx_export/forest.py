"""Decision trees, and forests of them. Their trees compare the value rounded to float32 with a float64 threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from everloop.training.onnx_export.graph import Graph, row
from everloop.training.onnx_export.preprocessing import concatenate
from everloop.training.onnx_export.support import check_options
from everloop.training.onnx_export.tree_ensemble import Tree, add_tree_ensemble
from everloop.training.onnx_export.values import Numbers, Place


def forest_classifier(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """RandomForestClassifier, ExtraTreesClassifier: the mean of the leaves' shares of each class."""
    check_options(estimator, place, training_only=(*_FOREST_TRAINING, "class_weight"))
    return _shares(estimator, estimator.estimators_, features, graph, place)


def forest_regressor(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """RandomForestRegressor, ExtraTreesRegressor: the mean of the leaves' values."""
    check_options(estimator, place, training_only=_FOREST_TRAINING)
    return _mean(estimator, estimator.estimators_, 0, features, graph, place)


def tree_classifier(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """DecisionTreeClassifier: the leaf's shares."""
    check_options(estimator, place, training_only=(*_TREE_TRAINING, "class_weight"))
    return _shares(estimator, [estimator], features, graph, place)


def tree_regressor(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """DecisionTreeRegressor: the leaf's value."""
    check_options(estimator, place, training_only=_TREE_TRAINING)
    return _mean(estimator, [estimator], 0, features, graph, place)


def _shares(estimator: Any, members: list[Any], features: Numbers, graph: Graph, place: Place) -> str:
    count = len(estimator.classes_)
    columns = [1] if count == 2 else range(count)
    return concatenate(graph, [_mean(estimator, members, column, features, graph, place) for column in columns])


def _mean(estimator: Any, members: list[Any], column: int, features: Numbers, graph: Graph, place: Place) -> str:
    if estimator.n_outputs_ != 1:
        raise place.refuse(f"{estimator.n_outputs_} targets", "one target")
    trees = [from_sklearn_tree(m.tree_, m.tree_.value[:, 0, column]) for m in members]
    total = add_tree_ensemble(graph, through_float32(graph, features.tensor), trees)
    return graph.add("Div", [total, graph.constant(row([len(trees)]))])


def through_float32(graph: Graph, tensor: str) -> str:
    """Round to float32 as scikit-learn's trees do, and return to float64 for the comparison."""
    narrow = graph.add("Cast", [tensor], to=TensorProto.FLOAT)
    return graph.add("Cast", [narrow], to=TensorProto.DOUBLE)


def from_sklearn_tree(tree: Any, values: np.ndarray) -> Tree:
    """A ``sklearn.tree._tree.Tree`` with the given value in each of its nodes."""
    return Tree(
        is_leaf=tree.children_left == -1,
        feature=tree.feature,
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing_left=tree.missing_go_to_left.astype(bool),
        value=values,
    )


_FOREST_TRAINING = (
    "bootstrap",
    "ccp_alpha",
    "criterion",
    "max_depth",
    "max_features",
    "max_leaf_nodes",
    "max_samples",
    "min_impurity_decrease",
    "min_samples_leaf",
    "min_samples_split",
    "min_weight_fraction_leaf",
    "monotonic_cst",
    "n_estimators",
    "n_jobs",
    "oob_score",
    "random_state",
    "verbose",
    "warm_start",
)
_TREE_TRAINING = (
    "ccp_alpha",
    "criterion",
    "max_depth",
    "max_features",
    "max_leaf_nodes",
    "min_impurity_decrease",
    "min_samples_leaf",
    "min_samples_split",
    "min_weight_fraction_leaf",
    "monotonic_cst",
    "random_state",
    "splitter",
)
