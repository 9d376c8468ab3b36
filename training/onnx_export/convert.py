"""From a fitted scikit-learn estimator to an ONNX model that answers the same, in float64.

What an estimator does is written down operator by operator. A class, an option or a subclass that is not
known here is refused: a conversion that is merely close has been seen to flip labels without any error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import sklearn

from everloop.problem_types import MULTICLASS, REGRESSION, ProblemType
from everloop.training.onnx_export.dispatch import Writer, last_step, place_of
from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.inputs import ModelInputs
from everloop.training.onnx_export.values import Frame

SKLEARN_SERIES = "1.9."
"""The releases whose fitted attributes the exporter reads."""


def export_onnx(estimator: Any, inputs: ModelInputs, problem_type: ProblemType) -> onnx.ModelProto:
    """Write a fitted estimator as ONNX.

    Parameters
    ----------
    estimator
        A fitted estimator or Pipeline, fitted on a frame with the columns ``inputs.columns``.
    inputs : ModelInputs
        The declared features.
    problem_type : {"binary_classification", "multiclass_classification", "regression"}
        What the output is: the probability of class 1, that of each class, or the predicted value.

    Returns
    -------
    onnx.ModelProto
        Inputs ``num`` float64 [N, numbers] and ``cat`` string [N, categories], each present when the model
        declares such features; output ``score`` float64 [N], or [N, classes]. The same estimator gives the same bytes.

    Raises
    ------
    ExportRefusedError
        For anything the exporter does not know, naming step, class and option.
    """
    graph = Graph()
    tensor = _written(estimator, inputs, graph, problem_type)
    several = problem_type == MULTICLASS
    return graph.finish(tensor, inputs, len(last_step(estimator)[1].classes_) if several else None)


def used_inputs(estimator: Any, inputs: ModelInputs, problem_type: ProblemType) -> ModelInputs:
    """``inputs`` without the features that no step of the estimator takes; ``columns`` stay those it was fitted on.

    Raises
    ------
    ExportRefusedError
        As :func:`export_onnx` does.
    """
    graph = Graph()
    _written(estimator, inputs, graph, problem_type)
    return replace(
        inputs,
        numbers=tuple(name for name in inputs.numbers if name in graph.columns),
        categories=tuple(name for name in inputs.categories if name in graph.columns),
    )


def _written(estimator: Any, inputs: ModelInputs, graph: Graph, problem_type: ProblemType) -> str:
    """The name of the score's tensor, once the graph has everything that leads to it."""
    place = place_of((), estimator)
    if not sklearn.__version__.startswith(SKLEARN_SERIES):
        raise place.refuse(f"fitted with scikit-learn {sklearn.__version__}", f"{SKLEARN_SERIES}x")
    writer, value = Writer(graph, problem_type), Frame(inputs.columns, inputs)
    if problem_type == REGRESSION:
        return writer.regression(estimator, value, ())
    tensor = writer.probabilities(estimator, value, ())
    path, predictor = last_step(estimator)
    classes = np.asarray(predictor.classes_).tolist()
    several = problem_type == MULTICLASS
    if classes != list(range(len(classes))) or (len(classes) > 2) != several:
        wanted = "three classes or more, numbered from 0" if several else "the two classes 0 and 1"
        raise place_of(path, predictor).refuse(f"its classes are {classes}", wanted)
    return tensor
