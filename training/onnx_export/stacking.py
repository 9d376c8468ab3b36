"""An estimator on the answers of others."""

from __future__ import annotations

from typing import Any

from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.inner import Inner, require_classes
from everloop.training.onnx_export.preprocessing import concatenate
from everloop.training.onnx_export.support import check_options
from everloop.training.onnx_export.values import Numbers, Place, Value, numbers_only

_TRAINING = ("cv", "estimators", "final_estimator", "n_jobs", "stack_method", "verbose")


def stacking_classifier(estimator: Any, value: Value, graph: Graph, place: Place, inner: Inner) -> str:
    """StackingClassifier: the final estimator on the members' probabilities, or decision values."""
    check_options(estimator, place, handled=("passthrough",), training_only=_TRAINING)
    count = len(estimator.classes_)
    blocks: list[Numbers] = []
    for name, member, method in _members(estimator):
        path = (*place.path, name)
        at = Place(path, type(member).__name__)
        require_classes(member, count, at)
        tensor = None
        if method == "predict_proba":
            tensor = inner.probabilities(member, value, path)
        elif method == "decision_function":
            tensor = inner.decision(member, value, path)
        if tensor is None:
            raise at.refuse(f"it is stacked by {method}", "stack_method='predict_proba'")
        blocks.append(Numbers(tensor, 1 if count == 2 else count))
    final = (*place.path, "final_estimator")
    return inner.probabilities(estimator.final_estimator_, _joined(estimator, blocks, value, graph, place), final)


def stacking_regressor(estimator: Any, value: Value, graph: Graph, place: Place, inner: Inner) -> str:
    """StackingRegressor: the final estimator on the members' values."""
    check_options(estimator, place, handled=("passthrough",), training_only=_TRAINING)
    blocks = [
        Numbers(inner.regression(member, value, (*place.path, name)), 1) for name, member, _ in _members(estimator)
    ]
    final = (*place.path, "final_estimator")
    return inner.regression(estimator.final_estimator_, _joined(estimator, blocks, value, graph, place), final)


def _members(estimator: Any) -> list[tuple[str, Any, str]]:
    names = [name for name, member in estimator.estimators if not isinstance(member, str)]
    return list(zip(names, estimator.estimators_, estimator.stack_method_, strict=True))


def _joined(estimator: Any, blocks: list[Numbers], value: Value, graph: Graph, place: Place) -> Numbers:
    parts = [*blocks, numbers_only(value, graph, place)] if estimator.passthrough else blocks
    return Numbers(concatenate(graph, [p.tensor for p in parts]), sum(p.width for p in parts))
