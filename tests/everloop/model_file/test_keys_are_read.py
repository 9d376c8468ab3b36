"""Every key of a declaration is read by a program."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from everloop.model_file.schema import ModelDeclaration

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("everloop", "functions", "training", "infra", "cli")


def keys(section: type[BaseModel], path: str = "") -> Iterator[str]:
    """Each key of a section and of those below it."""
    for name, field in section.model_fields.items():
        yield path + name
        for below in sections_in(field.annotation):
            yield from keys(below, f"{path}{name}.")


def sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from sections_in(part)


def names_read() -> set[str]:
    """The attributes and texts that stand in the code, besides the schema."""
    found: set[str] = set()
    for path in (p for room in ROOMS for p in (ROOT / room).rglob("*.py")):
        if path.name not in ("schema.py", "sections.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute):
                    found.add(node.attr)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    return found


@pytest.mark.slow
def test_every_key_is_read() -> None:
    read = names_read()
    assert [path for path in keys(ModelDeclaration) if path.rpartition(".")[2] not in read] == []
