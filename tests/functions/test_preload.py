"""What the local cloud imports for functions beforehand is what each of them imports that has it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

import pytest

from everloop.cli.operations.jobs_here import SETTINGS
from tests.loop.models import ROOT

LIST = tomllib.loads(SETTINGS.read_text(encoding="utf-8"))["lambda"]["preload"]
WITHOUT = {"predict"}
"""Imports nothing of it but numpy, and is charged for its memory here: a request's first answer has no time for it."""
FUNCTIONS = sorted({path.parent.name for path in (ROOT / "functions").glob("*/handler.py")} - WITHOUT)
OF_SOME = ("numpy", "pydantic")
"""Packages that some functions have in their layers, and others have not."""


def imported_by(function: str) -> list[str]:
    """Those modules of the list that the function has."""
    requirements = (ROOT / "functions" / function / "requirements.txt").read_text(encoding="utf-8")
    missing = {package for package in OF_SOME if package not in requirements}
    return [name for name in LIST if name.partition(".")[0] not in missing]


ONE_OF_EACH = {tuple(imported_by(function)): function for function in FUNCTIONS}


@pytest.mark.slow
@pytest.mark.parametrize("function", ONE_OF_EACH.values())
def test_a_function_imports_all_of_it_by_itself(function: str) -> None:
    """So none finds a module imported that it would have to import itself, nor is charged for its memory."""
    program = (
        f"import importlib, json, sys, everloop.functions.{function}.handler\n"
        "there = set(sys.modules)\n"
        f"for name in {imported_by(function)}: importlib.import_module(name)\n"
        "print(json.dumps(sorted(set(sys.modules) - there)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_has_what_all_of_them_find_imported(function: str) -> None:
    source = (ROOT / "functions" / function / "handler.py").read_text(encoding="utf-8")
    assert "\nimport boto3\n" in source
    assert "\nfrom aws_lambda_powertools import Logger\n" in source
