"""Small ONNX models with the product's inputs and output, exact in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper

Node = tuple[str, list[str], str, str, dict[str, object]]


def linear_model(
    weights: Sequence[float],
    effects: Sequence[Mapping[str, float]] = (),
    *,
    bias: float = 0.0,
    missing: float = 0.0,
    sigmoid: bool = True,
    score_name: str = "score",
    score_type: int = TensorProto.DOUBLE,
) -> bytes:
    """A linear model: ``bias + num · weights + the effect of each category``, a probability when ``sigmoid``.

    A missing number counts as ``missing`` and a category without an effect adds nothing.
    """
    graph = _Graph()
    total = graph.constant("bias", np.array([float(bias)]))
    inputs = []
    if len(weights):
        inputs.append(helper.make_tensor_value_info("num", TensorProto.DOUBLE, ["N", len(weights)]))
        absent = graph.node("IsNaN", ["num"])
        filled = graph.node("Where", [absent, graph.constant("missing", np.array(float(missing))), "num"])
        column = graph.constant("weights", np.array(weights, dtype=np.float64).reshape(-1, 1))
        total = graph.node("Add", [_flat(graph, graph.node("MatMul", [filled, column])), total])
    if len(effects):
        inputs.append(helper.make_tensor_value_info("cat", TensorProto.STRING, ["N", len(effects)]))
        for i, effect in enumerate(effects):
            total = graph.node("Add", [_effect(graph, i, effect), total])
    score = graph.node("Sigmoid", [total]) if sigmoid else total
    graph.node("Cast", [score], score_name, to=score_type)
    output = helper.make_tensor_value_info(score_name, score_type, ["N"])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "linear", inputs, [output], graph.constants),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 4)],
        ir_version=9,
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, operator: str, inputs: list[str], output: str = "", domain: str = "", **attributes: Any) -> str:
        output = output or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], domain=domain, **attributes))
        return output


def _flat(graph: _Graph, matrix: str) -> str:
    axis = graph.constant(f"axis{len(graph.nodes)}", np.array([1]))
    return graph.node("Squeeze", [matrix, axis])


def _effect(graph: _Graph, column: int, effect: Mapping[str, float]) -> str:
    position = graph.constant(f"column{column}", np.array(column))
    texts = graph.node("Gather", ["cat", position], axis=1)
    codes = graph.node(
        "LabelEncoder",
        [texts],
        domain="ai.onnx.ml",
        keys_strings=[*effect, ""],
        values_int64s=list(range(len(effect) + 1)),
        default_int64=len(effect),
    )
    table = graph.constant(f"effects{column}", np.array([*effect.values(), 0.0]))
    return graph.node("Gather", [table, codes])
