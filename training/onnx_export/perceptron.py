"""Multi-layer perceptrons."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.training.onnx_export.graph import Graph, affine
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Numbers, Place

_HIDDEN = {"identity": None, "logistic": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}


def mlp_classifier(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """MLPClassifier: the layers, then the logistic function, or softmax of more than two classes."""
    check_options(estimator, place, handled=("activation",), training_only=_TRAINING)
    operator = {"logistic": "Sigmoid", "softmax": "Softmax"}.get(estimator.out_activation_)
    if operator is None or (operator == "Sigmoid" and len(estimator.classes_) != 2):
        raise place.refuse(f"the output activation {estimator.out_activation_!r}", "one label for each row")
    return graph.add(operator, [_layers(estimator, features, graph, place)])


def mlp_regressor(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    """MLPRegressor: the layers; the exponential of them for the loss 'poisson'."""
    check_options(estimator, place, handled=("activation", "loss"), training_only=_TRAINING)
    if estimator.n_outputs_ != 1:
        raise place.refuse(f"{estimator.n_outputs_} targets", "one target")
    require(place, "the output activation", estimator.out_activation_, ["identity", "exp"])
    value = _layers(estimator, features, graph, place)
    return graph.add("Exp", [value]) if estimator.out_activation_ == "exp" else value


def _layers(estimator: Any, features: Numbers, graph: Graph, place: Place) -> str:
    require(place, "activation", estimator.activation, list(_HIDDEN))
    tensor, last = features.tensor, len(estimator.coefs_) - 1
    for index, (weights, intercepts) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        if weights.dtype != np.float64:
            raise place.refuse(f"weights of the type {weights.dtype}", "an estimator fitted on float64")
        tensor = affine(graph, tensor, weights, intercepts)
        operator = _HIDDEN[estimator.activation]
        if index != last and operator is not None:
            tensor = graph.add(operator, [tensor])
    return tensor


_TRAINING = (
    "alpha",
    "batch_size",
    "beta_1",
    "beta_2",
    "early_stopping",
    "epsilon",
    "hidden_layer_sizes",
    "learning_rate",
    "learning_rate_init",
    "max_fun",
    "max_iter",
    "momentum",
    "n_iter_no_change",
    "nesterovs_momentum",
    "power_t",
    "random_state",
    "shuffle",
    "solver",
    "tol",
    "validation_fraction",
    "verbose",
    "warm_start",
)
