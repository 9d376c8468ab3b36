"""A heuristic as an expression over features, e.g. ``departure_minute > 1000 and origin == 'EWR'``.

What may stand in it is :mod:`everloop.evaluation.expressions`'; here its checked tree is walked over columns.
A comparison with a missing number is false. A number that is not defined (a missing feature, a division by zero) leaves
the training mean.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from everloop.evaluation.baselines import Answers, Asked, BaselineRule, Learned, Rows
from everloop.evaluation.expressions import check, parse
from everloop.evaluation.group_means import answers_of, learned_of_answers

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.divide,
}
_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class Expression:
    """What the expression answers."""

    def fit(self, asked: Asked, rows: Rows, target: np.ndarray) -> Learned:
        """The rates of its true and false, where it is a condition."""
        return learned_of_answers(_evaluated(asked, rows), target, classification=asked.classification)

    def answer(self, asked: Asked, learned: Learned, rows: Rows) -> Answers:
        """What it answers, as scores and decisions."""
        return answers_of(_evaluated(asked, rows), learned, classification=asked.classification)


def _evaluated(asked: Asked, rows: Rows) -> np.ndarray:
    text = asked.expression or ""
    kinds = dict.fromkeys(asked.numbers, "number") | dict.fromkeys(asked.categories, "category")
    check(text, kinds)
    with np.errstate(all="ignore"):
        found = _value(parse(text), rows)
    values = np.asarray(np.broadcast_to(found, (len(rows),)), dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _value(node: ast.expr, rows: Rows) -> Any:
    match node:
        case ast.Constant(value=bool() | str() as known):
            return np.asarray(known)
        case ast.Constant(value=int() | float() as number):
            return np.asarray(float(number))
        case ast.Name(id=name):
            return _column(name, rows)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return np.logical_not(_value(operand, rows))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, rows)
        case ast.UnaryOp(operand=operand):
            return _value(operand, rows)
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_value(left, rows), _value(right, rows))
        case ast.BoolOp(op=op, values=values):
            joined = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return reduce(joined, (_value(value, rows) for value in values))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return np.where(_value(test, rows), _value(body, rows), _value(orelse, rows))
        case ast.Compare():
            return _compared(node, rows)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _called(name, arguments, rows)
    raise AssertionError(f"{ast.dump(node)} was checked, and is not known here")


def _column(name: str, rows: Rows) -> np.ndarray:
    column = np.asarray(rows.features[name])
    return column.astype(np.float64) if column.dtype.kind in "fiu" else column.astype(str)


def _compared(node: ast.Compare, rows: Rows) -> Any:
    parts = [node.left, *node.comparators]
    found = []
    for left, op, right in zip(parts, node.ops, node.comparators, strict=False):
        value = _value(left, rows)
        if isinstance(op, ast.In | ast.NotIn):
            assert isinstance(right, ast.List | ast.Tuple)
            elements = (_value(element, rows) for element in right.elts)
            inside = reduce(np.logical_or, (value == element for element in elements), np.zeros(value.shape, bool))
            found.append(inside if isinstance(op, ast.In) else np.logical_not(inside))
        else:
            found.append(_COMPARED[type(op)](value, _value(right, rows)))
    return reduce(np.logical_and, found)


def _called(name: str, arguments: list[ast.expr], rows: Rows) -> Any:
    values = [_value(argument, rows) for argument in arguments]
    if name == "missing":
        return values[0] == "" if values[0].dtype.kind == "U" else np.isnan(values[0])
    if name == "abs":
        return np.abs(values[0])
    return reduce(np.minimum if name == "min" else np.maximum, values)


RULE: BaselineRule = Expression()
