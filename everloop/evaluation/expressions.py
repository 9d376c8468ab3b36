"""Heuristics as expressions over features: read with Python's own parser, and nothing but a few forms is let through.

An expression is never run as Python. Its tree is checked here, node by node, for the forms below and for types; who
answers rows by it walks the same tree (:mod:`everloop.evaluation.baselines.expression`). There are features by their
names, numbers, texts in quotes, ``+ - * /``, ``< <= > >= == !=``, ``in`` with a list, ``and``, ``or``, ``not``,
``A if CONDITION else B``, ``abs(x)``, ``min(…)``, ``max(…)`` and ``missing(feature)``.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Mapping
from typing import Literal

from everloop.exceptions import TerminalError

Kind = Literal["number", "category", "condition"]
"""What a part of an expression is: a number, a text, or true or false."""

LONGEST = 1000
"""Characters of an expression."""
MOST_NODES = 300
DEEPEST = 40

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
EQUALITY = (ast.Eq, ast.NotEq)
MEMBERSHIP = (ast.In, ast.NotIn)
FUNCTIONS = {"abs": (1, 1), "min": (2, 10), "max": (2, 10), "missing": (1, 1)}
"""With the fewest and the most arguments."""

_FORMS = (
    "features, numbers, texts in quotes, + - * /, comparisons, in [..], and, or, not, A if CONDITION else B, abs, min,"
    " max and missing"
)


class ExpressionError(TerminalError, ValueError):
    """An expression has a form or a type that is not taken."""


def parse(text: str) -> ast.expr:
    """The tree of an expression, not yet checked.

    Raises
    ------
    ExpressionError
        When it is too long, too deep, or no expression.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"an expression of at most {LONGEST:,} characters; this one has {len(text):,}")
    try:
        with warnings.catch_warnings():
            # Of forms that are refused below anyway.
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f" at column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
        raise ExpressionError(f"an expression, e.g. departure_minute > 1000: this can't be read{where}") from error
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES or _depth(tree) > DEEPEST:
        raise ExpressionError(f"a simpler expression: at most {MOST_NODES} parts, {DEEPEST} deep")
    return tree


def _depth(tree: ast.AST) -> int:
    deepest, level = 0, [tree]
    while level:
        deepest += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return deepest


def check(text: str, features: Mapping[str, str]) -> Kind:
    """What an expression answers: a number, or a condition that is true or false.

    Parameters
    ----------
    features : mapping of str to str
        The declared features with their types, ``number`` or ``category``.

    Raises
    ------
    ExpressionError
        With what is allowed in place of what was found.
    """
    kind = _kind(parse(text), features)
    if kind == "category":
        raise ExpressionError("an expression that answers a number or a condition, not a text")
    return kind


def _kind(node: ast.expr, features: Mapping[str, str]) -> Kind:
    match node:
        case ast.Constant(value=bool()):
            return "condition"
        case ast.Constant(value=int() | float() as value) if math.isfinite(_as_float(value)):
            return "number"
        case ast.Constant(value=str()):
            return "category"
        case ast.Name(id=name):
            return _feature(name, features)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _wanted(operand, "condition", features)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return _wanted(operand, "number", features)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, ARITHMETIC):
            _wanted(left, "number", features)
            return _wanted(right, "number", features)
        case ast.BoolOp(values=values):
            for part in values:
                _wanted(part, "condition", features)
            return "condition"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            _wanted(test, "condition", features)
            return _wanted(orelse, _kind(body, features), features)
        case ast.Compare():
            return _compared(node, features)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return _called(name, arguments, features)
    raise ExpressionError(f"{_FORMS}: {_shown(node)} is none of them")


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _feature(name: str, features: Mapping[str, str]) -> Kind:
    if name not in features:
        raise ExpressionError(f"the names of declared features: {name!r} is not one of {', '.join(features)}")
    return "number" if features[name] == "number" else "category"


def _wanted(node: ast.expr, kind: Kind, features: Mapping[str, str]) -> Kind:
    found = _kind(node, features)
    if found != kind:
        words = {"number": "a number", "category": "a text", "condition": "a condition"}
        raise ExpressionError(f"{words[kind]} in place of {_shown(node)}, which is {words[found]}")
    return kind


def _compared(node: ast.Compare, features: Mapping[str, str]) -> Kind:
    parts = [node.left, *node.comparators]
    for left, op, right in zip(parts, node.ops, node.comparators, strict=False):
        kind = _kind(left, features)
        if isinstance(op, MEMBERSHIP):
            _listed(right, kind, features)
        elif isinstance(op, EQUALITY):
            _wanted(right, kind, features)
        elif isinstance(op, ORDER):
            _wanted(left, "number", features)
            _wanted(right, "number", features)
        else:
            raise ExpressionError(f"{_FORMS}: {_shown(node)} is none of them")
    return "condition"


def _listed(node: ast.expr, kind: Kind, features: Mapping[str, str]) -> None:
    if not isinstance(node, ast.List | ast.Tuple) or not all(isinstance(e, ast.Constant) for e in node.elts):
        raise ExpressionError(f"a list of values after 'in', in place of {_shown(node)}")
    for element in node.elts:
        _wanted(element, kind, features)


def _called(name: str, arguments: list[ast.expr], features: Mapping[str, str]) -> Kind:
    fewest, most = FUNCTIONS[name]
    if not fewest <= len(arguments) <= most:
        wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        raise ExpressionError(f"{name} of {wanted} values, not of {len(arguments)}")
    if name == "missing":
        if not isinstance(arguments[0], ast.Name):
            raise ExpressionError(f"missing of a feature, not of {_shown(arguments[0])}")
        _kind(arguments[0], features)
        return "condition"
    for argument in arguments:
        _wanted(argument, "number", features)
    return "number"


def _shown(node: ast.expr) -> str:
    text = ast.unparse(node)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
