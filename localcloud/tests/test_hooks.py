"""Every change to moto says what it replaces, why, and when it is no longer needed."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from localcloud.hooks import service_hooks

SOURCE = Path(__file__).parents[1] / "src" / "localcloud"
LABELS = ("Replaces", "Why", "Obsolete")
MODULES = ("localcloud.core.patching", "localcloud.core.constraints")
CHANGING = {"wrap", "replace", "add", "wrap_in_holders", "replace_in_holders", "constrain"}
"""What of these changes moto."""


def changes_moto(path: Path) -> bool:
    names = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module in ("localcloud.core.patching", "localcloud.core.constraints")
        for alias in node.names
    }
    return bool(names & CHANGING)


HOOKS = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if changes_moto(path))


def test_no_hook_is_overlooked() -> None:
    installed = {
        Path(inspect.getfile(cast(ModuleType, hook))).relative_to(SOURCE).as_posix() for hook in service_hooks()
    }
    assert installed <= set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_its_docstring_has_the_three_parts(hook: str) -> None:
    text = ast.get_docstring(ast.parse((SOURCE / hook).read_text())) or ""
    parts = {label: re.findall(rf"^{label}: (.+(?:\n    .+)*)$", text, re.MULTILINE) for label in LABELS}

    assert [len(found) for found in parts.values()] == [1, 1, 1]
    assert all(len(found[0].split()) >= 4 for found in parts.values())
    assert parts["Obsolete"][0].startswith("once ")
