"""Linear models."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.training.onnx_export.graph import Graph, row
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Numbers, Place


def logistic_regression(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """LogisticRegression of two classes: the logistic function of the linear value."""
    check_options(estimator, place, training_only=_LOGISTIC_TRAINING)
    return graph.add("Sigmoid", [_linear(estimator, features, graph)])


def sgd_classifier(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """SGDClassifier of two classes with log loss: the logistic function of the linear value."""
    check_options(estimator, place, handled=("loss",), training_only=(*_SGD_TRAINING, "class_weight", "n_jobs"))
    require(place, "loss", estimator.loss, ["log_loss"], why="its probabilities are of another form, or it has none")
    return graph.add("Sigmoid", [_linear(estimator, features, graph)])


def sgd_regressor(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """SGDRegressor: the linear value, whatever loss it was fitted with."""
    check_options(estimator, place, training_only=(*_SGD_TRAINING, "loss"))
    return _one_target(estimator, features, graph, place)


def linear_regression(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """LinearRegression: the linear value."""
    check_options(estimator, place, training_only=("copy_X", "fit_intercept", "n_jobs", "positive", "tol"))
    return _one_target(estimator, features, graph, place)


def ridge(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """Ridge: the linear value."""
    check_options(estimator, place, training_only=_RIDGE_TRAINING)
    return _one_target(estimator, features, graph, place)


def _one_target(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    if np.ndim(estimator.coef_) != 1:
        raise place.refuse(f"coefficients of the shape {np.shape(estimator.coef_)}", "one target [N]")
    return _linear(estimator, features, graph)


def _linear(estimator: Any, features: Numbers, graph: Graph) -> str:
    coefficients = np.asarray(estimator.coef_, dtype=np.float64).reshape(-1, 1)
    product = graph.add("MatMul", [features.tensor, graph.constant(coefficients)])
    return graph.add("Add", [product, graph.constant(row(estimator.intercept_))])


_LOGISTIC_TRAINING = (
    "C",
    "class_weight",
    "dual",
    "fit_intercept",
    "intercept_scaling",
    "l1_ratio",
    "max_iter",
    "n_jobs",
    "penalty",
    "random_state",
    "solver",
    "tol",
    "verbose",
    "warm_start",
)
_SGD_TRAINING = (
    "alpha",
    "average",
    "early_stopping",
    "epsilon",
    "eta0",
    "fit_intercept",
    "l1_ratio",
    "learning_rate",
    "max_iter",
    "n_iter_no_change",
    "penalty",
    "power_t",
    "random_state",
    "shuffle",
    "tol",
    "validation_fraction",
    "verbose",
    "warm_start",
)
_RIDGE_TRAINING = (
    "alpha",
    "copy_X",
    "fit_intercept",
    "max_iter",
    "positive",
    "random_state",
    "solver",
    "tol",
)
