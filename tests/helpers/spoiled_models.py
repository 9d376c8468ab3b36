"""Sound ONNX models with one output ``score``, spoiled in one way each, as a rollout must find it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

SCORE = "score"


class _Behind:
    """Writes nodes behind a model's score, whose tensor is ``sound`` then. The model may be a spoiled one itself."""

    def __init__(self, model: bytes) -> None:
        self.model = onnx.load_from_string(model)
        self._nodes: list[Any] = []
        (last,) = (node for node in self.model.graph.node if SCORE in node.output)
        self._written = f"spoiled{len(self.model.graph.node)}"
        self.sound = f"{self._written}_sound"
        last.output[list(last.output).index(SCORE)] = self.sound

    def constant(self, value: Any) -> str:
        name = f"{self._written}_constant{len(self.model.graph.initializer)}"
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"{self._written}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def finish(self, score: str) -> bytes:
        self.node("Identity", score, output=SCORE)
        self.model.graph.node.extend(self._nodes)
        onnx.checker.check_model(self.model)
        return bytes(self.model.SerializeToString())


def raising(model: bytes) -> bytes:
    """Its run raises an error for any rows: it looks up a place that no table has."""
    behind = _Behind(model)
    nowhere = behind.node("Gather", behind.sound, behind.constant(np.array([2**40])))
    return behind.finish(behind.node("Add", behind.sound, nowhere))


def slowed(model: bytes, *, products: int, side: int) -> bytes:
    """It multiplies so many square matrices of doubles in a row, for each request, and answers as before."""
    behind = _Behind(model)
    square = behind.constant(np.full((side, side), 1.0 / side))
    # It begins with the rows, so that nothing of it is known before.
    product = behind.node("Mul", square, behind.node("ReduceSum", behind.sound, keepdims=0))
    for _ in range(products):
        product = behind.node("MatMul", product, square)
    nothing = behind.node("Mul", behind.node("ReduceSum", product, keepdims=0), behind.constant(0.0))
    return behind.finish(behind.node("Add", behind.sound, nothing))


def slow_to_start(model: bytes, *, products: int, side: int) -> bytes:
    """It multiplies so many square matrices of doubles once, when it is loaded, and answers as before."""
    behind = _Behind(model)
    square = behind.constant(np.full((side, side), 1.0 / side))
    # It begins with nothing that a request brings, so it is computed before the first one.
    product = square
    for _ in range(products):
        product = behind.node("MatMul", product, square)
    nothing = behind.node("Mul", behind.node("ReduceSum", product, keepdims=0), behind.constant(0.0))
    return behind.finish(behind.node("Add", behind.sound, nothing))


def shifted(model: bytes, log_odds: float) -> bytes:
    """Its probabilities lie so far up or down, in log odds."""
    behind = _Behind(model)
    up = behind.node("Mul", behind.sound, behind.constant(np.exp(log_odds)))
    down = behind.node("Sub", behind.constant(1.0), behind.sound)
    return behind.finish(behind.node("Div", up, behind.node("Add", up, down)))


def turned_over(model: bytes, scores: Sequence[float]) -> bytes:
    """Who had the highest of these probabilities gets the lowest: as they are spread they stay, only the order turns.

    Between quantiles of ``scores`` it is a straight line.
    """
    shares = np.linspace(0, 1, 21)
    knots = np.unique(np.quantile(np.asarray(scores, dtype=np.float64), shares))
    values = np.quantile(scores, 1 - np.searchsorted(np.sort(scores), knots) / len(scores))
    slopes = np.diff(values) / np.diff(knots)
    bends = np.diff(slopes, prepend=0.0)
    behind = _Behind(model)
    total = behind.constant(values[0])
    for knot, bend in zip(knots[:-1], bends, strict=True):
        beyond = behind.node("Relu", behind.node("Sub", behind.sound, behind.constant(knot)))
        total = behind.node("Add", total, behind.node("Mul", beyond, behind.constant(bend)))
    least, most = behind.constant(np.min(scores)), behind.constant(np.max(scores))
    return behind.finish(behind.node("Max", behind.node("Min", total, most), least))
