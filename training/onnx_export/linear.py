"""Linear models."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.training.onnx_export.graph import Graph, affine
from everloop.training.onnx_export.links import logistic_or_softmax, one_against_rest
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Numbers, Place


def logistic_regression(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """LogisticRegression: the logistic function of the linear value, or softmax of more than two."""
    decision = logistic_decision(estimator, features, graph, place)
    return logistic_or_softmax(graph, decision, len(estimator.classes_))


def logistic_decision(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """LogisticRegression's linear values."""
    check_options(estimator, place, training_only=_LOGISTIC_TRAINING)
    return _linear(estimator, features, graph)


def sgd_classifier(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """SGDClassifier with log loss: the logistic function of the linear values, each class against the rest."""
    decision = sgd_decision(estimator, features, graph, place)
    require(place, "loss", estimator.loss, ["log_loss"], why="its probabilities are of another form, or it has none")
    return one_against_rest(graph, decision, len(estimator.classes_))


def sgd_decision(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """SGDClassifier's linear values, whatever loss it was fitted with."""
    check_options(estimator, place, handled=("loss",), training_only=(*_SGD_TRAINING, "class_weight", "n_jobs"))
    return _linear(estimator, features, graph)


def linear_svc_decision(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """LinearSVC's linear values. It has no probabilities of its own: CalibratedClassifierCV gives it some."""
    check_options(estimator, place, training_only=_SVC_TRAINING)
    return _linear(estimator, features, graph)


def sgd_regressor(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """SGDRegressor: the linear value, whatever loss it was fitted with."""
    check_options(estimator, place, training_only=(*_SGD_TRAINING, "loss"))
    return _one_target(estimator, features, graph, place)


def linear_regression(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """LinearRegression: the linear value."""
    check_options(estimator, place, training_only=("copy_X", "fit_intercept", "n_jobs", "positive", "tol"))
    return _one_target(estimator, features, graph, place)


def ridge(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """Ridge and RidgeCV: the linear value."""
    check_options(estimator, place, training_only=_RIDGE_TRAINING)
    return _one_target(estimator, features, graph, place)


def lasso(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """Lasso and ElasticNet: the linear value."""
    check_options(estimator, place, training_only=_LASSO_TRAINING)
    return _one_target(estimator, features, graph, place)


def _one_target(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    if np.ndim(estimator.coef_) != 1:
        raise place.refuse(f"coefficients of the shape {np.shape(estimator.coef_)}", "one target [N]")
    return _linear(estimator, features, graph)


def _linear(estimator: Any, features: Numbers, graph: Graph) -> str:
    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64)).T
    return affine(graph, features.tensor, coefficients, estimator.intercept_)


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
    "alpha_per_target",
    "alphas",
    "copy_X",
    "cv",
    "fit_intercept",
    "gcv_mode",
    "max_iter",
    "positive",
    "random_state",
    "scoring",
    "solver",
    "store_cv_results",
    "tol",
)
_SVC_TRAINING = (
    "C",
    "class_weight",
    "dual",
    "fit_intercept",
    "intercept_scaling",
    "loss",
    "max_iter",
    "multi_class",
    "penalty",
    "random_state",
    "tol",
    "verbose",
)
_LASSO_TRAINING = (
    "alpha",
    "copy_X",
    "fit_intercept",
    "l1_ratio",
    "max_iter",
    "positive",
    "precompute",
    "random_state",
    "selection",
    "tol",
    "warm_start",
)
