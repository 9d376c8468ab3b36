"""The ONNX graph under construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from everloop.training.onnx_export.inputs import CATEGORY_INPUT, NUMBER_INPUT, SCORE_OUTPUT, ModelInputs

OPSET = 21
ML_OPSET = 5
IR_VERSION = 10
"""The ONNX version of 2024 (1.16): every onnxruntime since 1.18 runs it."""


@dataclass
class Graph:
    """Nodes and constants, named by a counter so that the same estimator gives the same bytes.

    ``columns`` are those of the features frame that some node takes.
    """

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)

    def add(self, operator: str, inputs: Sequence[str], *, domain: str = "", **attributes: Any) -> str:
        """Append a node with one output, and return that output's name."""
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], domain=domain, **attributes))
        return output

    def constant(self, value: np.ndarray) -> str:
        """Append a constant, and return its name."""
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def finish(self, score: str, inputs: ModelInputs, classes: int | None = None) -> onnx.ModelProto:
        """The checked model whose output ``score`` is the tensor of that name.

        It is [N] for a tensor [N, 1]; with ``classes`` [N, classes], as the tensor is.
        """
        shape = self.constant(np.array([-1] if classes is None else [-1, classes], dtype=np.int64))
        self.nodes.append(helper.make_node("Reshape", [score, shape], [SCORE_OUTPUT]))
        declared = [
            (NUMBER_INPUT, TensorProto.DOUBLE, len(inputs.numbers)),
            (CATEGORY_INPUT, TensorProto.STRING, len(inputs.categories)),
        ]
        graph = helper.make_graph(
            self.nodes,
            "everloop",
            [helper.make_tensor_value_info(n, t, ["N", width]) for n, t, width in declared if width],
            [
                helper.make_tensor_value_info(
                    SCORE_OUTPUT, TensorProto.DOUBLE, ["N", *([] if classes is None else [classes])]
                )
            ],
            self.initializers,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="everloop")
        onnx.checker.check_model(model)
        return model


def row(values: Any) -> np.ndarray:
    """``values`` as float64 [1, k], to be broadcast over rows."""
    return np.asarray(values, dtype=np.float64).reshape(1, -1)


def affine(graph: Graph, tensor: str, weights: np.ndarray, intercepts: Any) -> str:
    """``tensor @ weights + intercepts``.

    As Gemm: onnxruntime folds a division by one number before a MatMul into a factor that it keeps in float32
    (MatMulScaleFusion), which costs half of the digits.
    """
    return graph.add("Gemm", [tensor, graph.constant(weights), graph.constant(row(intercepts))])
