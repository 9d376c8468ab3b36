"""The tree of a statement, as DuckDB serializes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Node = dict[str, Any]


def nodes_of(value: Any) -> Iterator[Node]:
    """Every object of a tree, parents before children."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack += item.values()
        elif isinstance(item, list):
            stack += item
