"""The value of a checked expression for one row, where numpy is not; see :mod:`everloop.evaluation.expressions`."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from everloop.evaluation.expressions import parse

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def value_of_row(text: str, row: Mapping[str, float]) -> float | None:
    """What the expression answers for a row's numbers by name; None where that is no number."""
    try:
        value = float(_value(parse(text), row))
    except (ZeroDivisionError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _value(node: ast.expr, row: Mapping[str, float]) -> Any:
    match node:
        case ast.Constant(value=known):
            return known
        case ast.Name(id=name):
            return row[name]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, row)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, row)
        case ast.UnaryOp(operand=operand):
            return _value(operand, row)
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_value(left, row), _value(right, row))
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(value, row) for value in values)
        case ast.BoolOp(values=values):
            return any(_value(value, row) for value in values)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _value(body, row) if _value(test, row) else _value(orelse, row)
        case ast.Compare():
            return _compared(node, row)
        case ast.Call(func=ast.Name(id="missing")):
            return False
        case ast.Call(func=ast.Name(id=name), args=arguments):
            given = [_value(argument, row) for argument in arguments]
            return abs(given[0]) if name == "abs" else (min if name == "min" else max)(given)
    raise AssertionError(f"{ast.dump(node)} was checked, and is not known here")


def _compared(node: ast.Compare, row: Mapping[str, float]) -> bool:
    parts = [node.left, *node.comparators]
    for left, op, right in zip(parts, node.ops, node.comparators, strict=False):
        value = _value(left, row)
        if isinstance(op, ast.In | ast.NotIn):
            assert isinstance(right, ast.List | ast.Tuple)
            inside = value in [_value(element, row) for element in right.elts]
            holds = inside if isinstance(op, ast.In) else not inside
        else:
            holds = _COMPARED[type(op)](value, _value(right, row))
        if not holds:
            return False
    return True
