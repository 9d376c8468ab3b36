"""Boosted trees: the histogram kind, which splits float64, and the classic kind, which splits float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.training.onnx_export.category_splits import MIDDLE, CategorySplits
from everloop.training.onnx_export.forest import from_sklearn_tree, through_float32
from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.links import logistic_or_softmax
from everloop.training.onnx_export.preprocessing import concatenate
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.tree_ensemble import Tree, add_tree_ensemble, constant_tree
from everloop.training.onnx_export.values import Numbers, Place, Value, numbers_only

IDENTITY_LOSSES = ("squared_error", "absolute_error", "quantile")
LOG_LOSSES = ("poisson", "gamma")


def hist_classifier(estimator: Any, value: Value, graph: Graph, place: Place) -> str:
    """HistGradientBoostingClassifier: the logistic function of the sum, or softmax of a sum for each class."""
    return logistic_or_softmax(graph, hist_decision(estimator, value, graph, place), len(estimator.classes_))


def hist_decision(estimator: Any, value: Value, graph: Graph, place: Place) -> str:
    """HistGradientBoostingClassifier's sums over its trees."""
    check_options(
        estimator,
        place,
        handled=("categorical_features", "loss"),
        training_only=(*_HIST_TRAINING, "class_weight"),
    )
    require(place, "loss", estimator.loss, ["log_loss"])
    return _hist_sums(estimator, value, graph, place)


def hist_regressor(estimator: Any, value: Value, graph: Graph, place: Place) -> str:
    """HistGradientBoostingRegressor; its log link is undone where the loss has one."""
    check_options(
        estimator,
        place,
        handled=("categorical_features", "loss"),
        training_only=(*_HIST_TRAINING, "quantile"),
    )
    require(place, "loss", estimator.loss, [*IDENTITY_LOSSES, *LOG_LOSSES])
    total = _hist_sums(estimator, value, graph, place)
    return graph.add("Exp", [total]) if estimator.loss in LOG_LOSSES else total


def _hist_sums(estimator: Any, value: Value, graph: Graph, place: Place) -> str:
    splits = None if estimator.is_categorical_ is None else CategorySplits(estimator)
    baseline = np.ravel(estimator._baseline_prediction)
    # The first tree carries the baseline, so that the sum runs in scikit-learn's order, to the last bit.
    sums = [
        [constant_tree(float(start)), *(_hist_tree(predictors[number], splits) for predictors in estimator._predictors)]
        for number, start in enumerate(baseline)
    ]
    tensor = numbers_only(value, graph, place).tensor if splits is None else splits.tensor(value, graph, place)
    return concatenate(graph, [add_tree_ensemble(graph, tensor, trees) for trees in sums])


def _hist_tree(predictor: Any, splits: CategorySplits | None) -> Tree:
    nodes = predictor.nodes
    feature, threshold = nodes["feature_idx"].astype(np.int64), nodes["num_threshold"].copy()
    if splits is not None:
        for row in np.flatnonzero(~nodes["is_leaf"].astype(bool)):
            if nodes["is_categorical"][row]:
                bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][row]]
                feature[row] = splits.set_column(int(feature[row]), bits)
                threshold[row] = MIDDLE
            else:
                feature[row] = splits.number_column(int(feature[row]))
    return Tree(
        is_leaf=nodes["is_leaf"].astype(bool),
        feature=feature,
        threshold=threshold,
        left=nodes["left"],
        right=nodes["right"],
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"],
    )


def gradient_classifier(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """GradientBoostingClassifier: the logistic function of the sum, or softmax of a sum for each class."""
    return logistic_or_softmax(graph, gradient_decision(estimator, features, graph, place), len(estimator.classes_))


def gradient_decision(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """GradientBoostingClassifier's sums over its trees."""
    check_options(estimator, place, handled=("init", "loss"), training_only=_GRADIENT_TRAINING)
    require(place, "loss", estimator.loss, ["log_loss"])
    return _gradient_sums(estimator, features, graph, place)


def gradient_regressor(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """GradientBoostingRegressor; all of its losses have the identity as their link."""
    check_options(estimator, place, handled=("init", "loss"), training_only=(*_GRADIENT_TRAINING, "alpha"))
    require(place, "loss", estimator.loss, ["squared_error", "absolute_error", "huber", "quantile"])
    return _gradient_sums(estimator, features, graph, place)


def _gradient_sums(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    require(place, "init", estimator.init, [None, "zero"])
    start = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_)))
    narrow = through_float32(graph, features.tensor)
    sums = []
    for number, baseline in enumerate(start[0]):
        members = estimator.estimators_[:, number]
        trees = [from_sklearn_tree(m.tree_, estimator.learning_rate * m.tree_.value[:, 0, 0]) for m in members]
        sums.append(add_tree_ensemble(graph, narrow, [constant_tree(float(baseline)), *trees]))
    return concatenate(graph, sums)


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
