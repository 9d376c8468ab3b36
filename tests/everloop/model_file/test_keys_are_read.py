"""Every key of a declaration is read by a program, or marked as what people read, and said to be in the docs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from everloop.model_file.schema import READ_BY, ModelDeclaration

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("everloop", "functions", "training", "infra", "cli")
ELSEWHERE = {"data.split.strategy"}
"""Marked keys whose name is read somewhere as another thing's: of an estimator."""


def keys(section: type[BaseModel], path: str = "") -> Iterator[tuple[str, bool]]:
    """Each key of a section and of those below it, and whether it is marked as read by people."""
    for name, field in section.model_fields.items():
        extra = field.json_schema_extra
        yield path + name, isinstance(extra, dict) and extra.get(READ_BY) == "people"
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
def test_what_nothing_reads_is_for_people_and_the_rest_is_not() -> None:
    read = names_read()
    marked = {path for path, for_people in keys(ModelDeclaration) if for_people}
    unread = {path for path, _ in keys(ModelDeclaration) if path.rpartition(".")[2] not in read}
    whole = {path for path in unread if any(other.startswith(f"{path}.") for other in marked)}
    assert unread - whole == marked - ELSEWHERE


@pytest.mark.parametrize("path", sorted(path for path, marked in keys(ModelDeclaration) if marked))
def test_the_docs_say_so(path: str) -> None:
    text = (ROOT / "docs" / "add-a-model.md").read_text(encoding="utf-8")
    paragraph = text[text.index("people read `") :].split("\n\n")[0]
    section, _, name = path.rpartition(".")
    assert f"`{path}`" in paragraph or f"`{section}.*`" in paragraph, name
