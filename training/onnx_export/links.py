"""From what a classifier computes to probabilities."""

from __future__ import annotations

import numpy as np

from everloop.training.onnx_export.graph import Graph


def logistic_or_softmax(graph: Graph, decision: str, classes: int) -> str:
    """Probabilities of raw values: [N, 1] of two classes, [N, classes] of more."""
    return graph.add("Sigmoid", [decision]) if classes == 2 else graph.add("Softmax", [decision], axis=1)


def one_against_rest(graph: Graph, decision: str, classes: int) -> str:
    """The logistic function of each class's own value, made to sum to 1 where there are more than two."""
    own = graph.add("Sigmoid", [decision])
    return own if classes == 2 else shares(graph, own, classes)


def shares(graph: Graph, tensor: str, classes: int) -> str:
    """Each row of [N, classes] divided by its sum; a row of zeros becomes the same share for each class."""
    total = graph.add("ReduceSum", [tensor, graph.constant(np.array([1], dtype=np.int64))], keepdims=1)
    zero = graph.add("Equal", [total, graph.constant(np.zeros((1, 1)))])
    divisor = graph.add("Where", [zero, graph.constant(np.ones((1, 1))), total])
    divided = graph.add("Div", [tensor, divisor])
    return graph.add("Where", [zero, graph.constant(np.full((1, classes), 1 / classes)), divided])


def mean(graph: Graph, tensors: list[str], weights: list[float] | None = None) -> str:
    """The mean of tensors of one shape, summed in their order."""
    parts = tensors
    if weights is not None:
        parts = [graph.add("Mul", [t, _scalar(graph, w)]) for t, w in zip(tensors, weights, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = graph.add("Add", [total, part])
    return graph.add("Div", [total, _scalar(graph, float(len(parts)) if weights is None else float(np.sum(weights)))])


def _scalar(graph: Graph, value: float) -> str:
    return graph.constant(np.array([[value]], dtype=np.float64))
