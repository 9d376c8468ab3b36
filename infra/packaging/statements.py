"""The statements of a module, without what they consist of: imports are among them, and most nodes are not."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")


def inner_statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements in the blocks of one, and the clauses that hold such blocks."""
    for block in _BLOCKS:
        yield from getattr(node, block, ())


def statements(tree: ast.Module) -> list[ast.AST]:
    """All of a module, outer ones before inner ones."""
    found: list[ast.AST] = [tree]
    for node in found:
        found.extend(inner_statements(node))
    return found
