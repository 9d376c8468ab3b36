"""A function gets the variables it reads, and no others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from everloop.environment import variable
from everloop.infra.function_catalogue import functions_of
from everloop.names import FUNCTIONS, PROBE_FUNCTION
from tests.helpers.declarations import binary_document, declare
from tests.helpers.synthesis import ROOT

SET_BY_ROLLOUT = {"version", "artifact_prefix", "manifest_sha256", "calibration"}
"""Of the prediction function; each published version has its own."""


def fields_of_the_environment(path: Path) -> set[str]:
    """The fields of a handler's class ``Environment``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (found,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Environment")
    return {n.target.id for n in found.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}


@pytest.mark.parametrize("name", [*FUNCTIONS, PROBE_FUNCTION])
def test_the_catalogue_agrees_with_the_handler(name: str) -> None:
    read = fields_of_the_environment(ROOT / "functions" / name / "handler.py")
    assert (read & SET_BY_ROLLOUT == SET_BY_ROLLOUT) is (name == "predict")
    document = binary_document()
    document["retraining"]["investment"] = {}
    facts = functions_of(declare(document))[name]
    assert {variable(field) for field in read - SET_BY_ROLLOUT} == {f"EVERLOOP_{v}" for v in facts.variables}


@pytest.mark.parametrize("name", [*FUNCTIONS, PROBE_FUNCTION])
def test_a_handler_reads_its_environment_and_nothing_beside_it(name: str) -> None:
    code = (ROOT / "functions" / name / "handler.py").read_text(encoding="utf-8")
    assert code.count("os.environ") == code.count("Environment.read(os.environ)") == 1
