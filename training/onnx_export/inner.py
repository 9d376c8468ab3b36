"""What an estimator made of other estimators asks of the exporter: their parts, written into the same graph."""

from __future__ import annotations

from typing import Any, Protocol

from everloop.training.onnx_export.values import Place, Value


class Inner(Protocol):
    """Writes the estimators that another one holds."""

    def regression(self, estimator: Any, value: Value, path: tuple[str, ...]) -> str:
        """The predicted value [N, 1]."""
        ...

    def probabilities(self, estimator: Any, value: Value, path: tuple[str, ...]) -> str:
        """Of two classes the probability of the second [N, 1], else that of each class [N, classes]."""
        ...

    def decision(self, estimator: Any, value: Value, path: tuple[str, ...]) -> str | None:
        """What ``decision_function`` gives, [N, 1] or [N, classes]; None where the estimator has none."""
        ...


def require_classes(estimator: Any, wanted: int, place: Place) -> None:
    """Refuse a part that was fitted on other classes than the whole: its columns would mean something else."""
    classes = list(estimator.classes_)
    if classes != list(range(wanted)):
        raise place.refuse(f"it was fitted on the classes {classes}", f"the classes 0 to {wanted - 1} in each part")
