"""The mean of several estimators."""

from __future__ import annotations

from typing import Any

from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.inner import Inner, require_classes
from everloop.training.onnx_export.links import mean
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Place, Value

_TRAINING = ("estimators", "n_jobs", "verbose")


def voting_classifier(estimator: Any, value: Value, graph: Graph, place: Place, inner: Inner) -> str:
    """VotingClassifier(voting="soft"): the weighted mean of the members' probabilities."""
    check_options(estimator, place, handled=("voting", "weights"), training_only=(*_TRAINING, "flatten_transform"))
    require(place, "voting", estimator.voting, ["soft"], why="a hard vote has no probability")
    parts = []
    for name, member in _members(estimator):
        path = (*place.path, name)
        require_classes(member, len(estimator.classes_), Place(path, type(member).__name__))
        parts.append(inner.probabilities(member, value, path))
    return mean(graph, parts, _weights(estimator))


def voting_regressor(estimator: Any, value: Value, graph: Graph, place: Place, inner: Inner) -> str:
    """VotingRegressor: the weighted mean of the members' values."""
    check_options(estimator, place, handled=("weights",), training_only=_TRAINING)
    parts = [inner.regression(member, value, (*place.path, name)) for name, member in _members(estimator)]
    return mean(graph, parts, _weights(estimator))


def _members(estimator: Any) -> list[tuple[str, Any]]:
    names = [name for name, member in estimator.estimators if not isinstance(member, str)]
    return list(zip(names, estimator.estimators_, strict=True))


def _weights(estimator: Any) -> list[float] | None:
    weights = estimator._weights_not_none
    return None if weights is None else [float(w) for w in weights]
