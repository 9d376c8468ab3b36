"""CalibratedClassifierCV: probabilities corrected on rows that the estimator had not seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.inner import Inner
from everloop.training.onnx_export.links import mean, shares
from everloop.training.onnx_export.lookup import interpolated
from everloop.training.onnx_export.preprocessing import concatenate
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Numbers, Place, Value, column_of


def calibrated_classifier(estimator: Any, value: Value, graph: Graph, place: Place, inner: Inner) -> str:
    """CalibratedClassifierCV by 'sigmoid' or 'isotonic': the mean of its folds' calibrated probabilities."""
    check_options(estimator, place, handled=("method",), training_only=("cv", "ensemble", "estimator", "n_jobs"))
    require(place, "method", estimator.method, ["sigmoid", "isotonic"])
    folds = [
        _one(fold, value, graph, Place((*place.path, f"calibrated {number}"), place.type_name), inner)
        for number, fold in enumerate(estimator.calibrated_classifiers_)
    ]
    return mean(graph, folds)


def _one(fold: Any, value: Value, graph: Graph, place: Place, inner: Inner) -> str:
    classes = list(fold.classes)
    if list(fold.estimator.classes_) != classes:
        raise place.refuse(
            f"a fold has the classes {list(fold.estimator.classes_)} of {classes}", "folds that hold every class"
        )
    # scikit-learn prefers the decision value, and so must we: the calibrator was fitted on it.
    raw = inner.decision(fold.estimator, value, place.path)
    if raw is None:
        raw = inner.probabilities(fold.estimator, value, place.path)
    width = 1 if len(classes) == 2 else len(classes)
    values = Numbers(raw, width)
    own = [
        _calibrated(calibrator, column_of(graph, values, index), graph, place)
        for index, calibrator in enumerate(fold.calibrators)
    ]
    together = concatenate(graph, own)
    return together if width == 1 else shares(graph, together, len(classes))


def _calibrated(calibrator: Any, column: str, graph: Graph, place: Place) -> str:
    if hasattr(calibrator, "a_"):
        scaled = graph.add("Mul", [column, graph.constant(np.array([[calibrator.a_]], dtype=np.float64))])
        moved = graph.add("Add", [scaled, graph.constant(np.array([[calibrator.b_]], dtype=np.float64))])
        return graph.add("Sigmoid", [graph.add("Neg", [moved])])
    if calibrator.out_of_bounds != "clip" or calibrator.X_thresholds_.dtype != np.float64:
        raise place.refuse("an isotonic calibrator of another kind", "the one that CalibratedClassifierCV makes")
    return interpolated(graph, column, calibrator.X_thresholds_, calibrator.y_thresholds_)
