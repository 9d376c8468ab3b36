"""FunctionTransformer of numpy functions whose every step is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.support import check_options, require
from everloop.training.onnx_export.values import Numbers, Place, Value, numbers_only


def function_transformer(estimator: Any, value: Value, graph: Graph, place: Place) -> Numbers:
    """FunctionTransformer of one of ``KNOWN``, each number by itself."""
    check_options(
        estimator,
        place,
        handled=("func", "kw_args"),
        training_only=(
            "accept_sparse",
            "check_inverse",
            "feature_names_out",
            "inv_kw_args",
            "inverse_func",
            "validate",
        ),
    )
    known = next((write for function, write in KNOWN.items() if estimator.func is function), None)
    if known is None:
        name = getattr(estimator.func, "__name__", repr(estimator.func))
        raise place.refuse(
            f"func={name} may do anything, which can't be written down",
            "numpy's " + ", ".join(sorted(f.__name__ for f in KNOWN)) + "; or compute the feature before it is sent",
        )
    require(place, "kw_args", estimator.kw_args or None, [None])
    incoming = numbers_only(value, graph, place)
    return Numbers(known(graph, incoming.tensor), incoming.width)


def _operator(name: str) -> Callable[[Graph, str], str]:
    return lambda graph, x: graph.add(name, [x])


def _log_by(base: float) -> Callable[[Graph, str], str]:
    return lambda graph, x: graph.add("Div", [graph.add("Log", [x]), _number(graph, math.log(base))])


def _square(graph: Graph, x: str) -> str:
    return graph.add("Mul", [x, x])


def _log1p(graph: Graph, x: str) -> str:
    """log(1 + x) without the loss of small x: x * log(u) / (u - 1) with u = 1 + x (Goldberg 1991, theorem 4)."""
    one = _number(graph, 1.0)
    u = graph.add("Add", [x, one])
    log_u = graph.add("Log", [u])
    less = graph.add("Sub", [u, one])
    exact = graph.add("Div", [graph.add("Mul", [x, log_u]), less])
    tiny = graph.add("Equal", [u, one])
    # Far from 0 nothing is lost, and at -1 and at infinity the quotient would be no number.
    far = graph.add("Greater", [graph.add("Abs", [x]), _number(graph, 0.5)])
    return graph.add("Where", [tiny, x, graph.add("Where", [far, log_u, exact])])


def _expm1(graph: Graph, x: str) -> str:
    """exp(x) - 1 without the loss of small x: (u - 1) * x / log(u) with u = exp(x) (Higham 2002, section 1.14)."""
    one = _number(graph, 1.0)
    u = graph.add("Exp", [x])
    less = graph.add("Sub", [u, one])
    exact = graph.add("Div", [graph.add("Mul", [less, x]), graph.add("Log", [u])])
    tiny = graph.add("Equal", [u, one])
    far = graph.add("Greater", [graph.add("Abs", [x]), one])
    return graph.add("Where", [tiny, x, graph.add("Where", [far, less, exact])])


def _number(graph: Graph, value: float) -> str:
    return graph.constant(np.array([[value]], dtype=np.float64))


KNOWN: dict[Callable[..., Any], Callable[[Graph, str], str]] = {
    np.abs: _operator("Abs"),
    np.cos: _operator("Cos"),
    np.exp: _operator("Exp"),
    np.expm1: _expm1,
    np.log: _operator("Log"),
    np.log10: _log_by(10),
    np.log1p: _log1p,
    np.log2: _log_by(2),
    np.negative: _operator("Neg"),
    np.reciprocal: _operator("Reciprocal"),
    np.sin: _operator("Sin"),
    np.sqrt: _operator("Sqrt"),
    np.square: _square,
    np.tanh: _operator("Tanh"),
}
"""The functions, and the operators of each."""
