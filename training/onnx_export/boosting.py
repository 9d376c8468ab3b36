"""Boosted trees: the histogram kind, which splits float64, and the classic kind, which splits float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.training.onnx_export.forest import from_sklearn_tree, through_float32
from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.tree_ensemble import Tree, add_tree_ensemble, constant_tree
from everloop.training.onnx_export.values import Numbers, Place

IDENTITY_LOSSES = ("squared_error", "absolute_error", "quantile")
LOG_LOSSES = ("poisson", "gamma")


def hist_classifier(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """HistGradientBoostingClassifier of two classes."""
    check_options(
        estimator,
        place,
        handled=("categorical_features", "loss"),
        training_only=(*_HIST_TRAINING, "class_weight"),
    )
    require(place, "loss", estimator.loss, ["log_loss"])
    return graph.add("Sigmoid", [_hist_sum(estimator, features, graph, place)])


def hist_regressor(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """HistGradientBoostingRegressor; its log link is undone where the loss has one."""
    check_options(
        estimator,
        place,
        handled=("categorical_features", "loss"),
        training_only=(*_HIST_TRAINING, "quantile"),
    )
    require(place, "loss", estimator.loss, [*IDENTITY_LOSSES, *LOG_LOSSES])
    total = _hist_sum(estimator, features, graph, place)
    return graph.add("Exp", [total]) if estimator.loss in LOG_LOSSES else total


def _hist_sum(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    if estimator.is_categorical_ is not None and np.any(estimator.is_categorical_):
        raise place.refuse(
            f"categorical_features={estimator.categorical_features!r} splits on sets of categories",
            "categories encoded before it by OrdinalEncoder or OneHotEncoder",
        )
    if estimator.n_trees_per_iteration_ != 1:
        raise place.refuse(f"{estimator.n_trees_per_iteration_} trees per iteration", "two classes")
    # The first tree carries the baseline, so that the sum runs in scikit-learn's order, to the last bit.
    trees = [constant_tree(float(np.ravel(estimator._baseline_prediction)[0]))]
    for (predictor,) in estimator._predictors:
        nodes = predictor.nodes
        if nodes["is_categorical"].any():
            raise place.refuse("a split on a set of categories", "splits on numbers")
        trees.append(
            Tree(
                is_leaf=nodes["is_leaf"].astype(bool),
                feature=nodes["feature_idx"],
                threshold=nodes["num_threshold"],
                left=nodes["left"],
                right=nodes["right"],
                missing_left=nodes["missing_go_to_left"].astype(bool),
                value=nodes["value"],
            )
        )
    return add_tree_ensemble(graph, features.tensor, trees)


def gradient_classifier(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """GradientBoostingClassifier of two classes."""
    check_options(estimator, place, handled=("init", "loss"), training_only=_GRADIENT_TRAINING)
    require(place, "loss", estimator.loss, ["log_loss"])
    return graph.add("Sigmoid", [_gradient_sum(estimator, features, graph, place)])


def gradient_regressor(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """GradientBoostingRegressor; all of its losses have the identity as their link."""
    check_options(estimator, place, handled=("init", "loss"), training_only=(*_GRADIENT_TRAINING, "alpha"))
    require(place, "loss", estimator.loss, ["squared_error", "absolute_error", "huber", "quantile"])
    return _gradient_sum(estimator, features, graph, place)


def _gradient_sum(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    require(place, "init", estimator.init, [None, "zero"])
    start = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_)))
    if start.shape != (1, 1):
        raise place.refuse(f"a start value of the shape {start.shape}", "two classes or one target")
    trees = [constant_tree(float(start[0, 0]))]
    for (member,) in estimator.estimators_:
        values = estimator.learning_rate * member.tree_.value[:, 0, 0]
        trees.append(from_sklearn_tree(member.tree_, values))
    return add_tree_ensemble(graph, through_float32(graph, features.tensor), trees)


_HIST_TRAINING = (
    "early_stopping",
    "interaction_cst",
    "l2_regularization",
    "learning_rate",
    "max_bins",
    "max_depth",
    "max_features",
    "max_iter",
    "max_leaf_nodes",
    "min_samples_leaf",
    "monotonic_cst",
    "n_iter_no_change",
    "random_state",
    "scoring",
    "tol",
    "validation_fraction",
    "verbose",
    "warm_start",
)
_GRADIENT_TRAINING = (
    "ccp_alpha",
    "criterion",
    "learning_rate",
    "max_depth",
    "max_features",
    "max_leaf_nodes",
    "min_impurity_decrease",
    "min_samples_leaf",
    "min_samples_split",
    "min_weight_fraction_leaf",
    "n_estimators",
    "n_iter_no_change",
    "random_state",
    "subsample",
    "tol",
    "validation_fraction",
    "verbose",
    "warm_start",
)
