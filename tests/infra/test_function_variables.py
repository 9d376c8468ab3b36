"""A function gets the variables it reads, and no others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from everloop.names import FUNCTIONS
from infra.function_catalogue import functions_of
from infra.packaging.imports import local_modules
from tests.helpers.declarations import binary_document, declare
from tests.helpers.synthesis import ROOT

SET_BY_ROLLOUT = {"EVERLOOP_VERSION", "EVERLOOP_ARTIFACT_PREFIX", "EVERLOOP_MANIFEST_SHA256"}
"""Of the prediction function; each published version has its own."""


def variables_in(path: Path) -> set[str]:
    """The names of Everloop's variables that stand in a file's code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    values = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return {v for v in values if v.startswith("EVERLOOP_") and v.isupper() and " " not in v}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_catalogue_agrees_with_the_handler(name: str) -> None:
    folder = ROOT / "functions" / name
    files = sorted(folder.glob("*.py"))
    read = set().union(*(variables_in(f) for f in files))
    if name == "predict":
        modules = local_modules(files, root=ROOT, package="everloop")
        read |= set().union(*(variables_in(ROOT / m) for m in modules)) & SET_BY_ROLLOUT
    facts = functions_of(declare(binary_document()))[name]
    given = {f"EVERLOOP_{v}" for v in facts.variables} | {"EVERLOOP_MODEL"}
    assert read - SET_BY_ROLLOUT == given
