"""A function's code and its packages are good for the deployed Python and for every Python the tools run on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from infra.packaging.requirements import Target, plain_pins, read_lines
from infra.settings import PYTHON_VERSION

ROOT = Path(__file__).parents[2]
PYTHONS = ["3.11", "3.12", "3.13"]
FUNCTIONS = sorted(path.name for path in (ROOT / "functions").iterdir() if (path / "handler.py").exists())
SHIPPED = sorted(str(p.relative_to(ROOT)) for room in ("everloop", "functions") for p in (ROOT / room).rglob("*.py"))


def names(pins: list[str]) -> list[str]:
    return [pin.split("==")[0].lower() for pin in pins]


def test_the_deployed_python_is_among_them():
    assert PYTHON_VERSION in PYTHONS


@pytest.mark.parametrize("file", SHIPPED)
def test_what_is_shipped_parses_on_each(file):
    """The newest Python that writes it is not the only one that reads it."""
    source = (ROOT / file).read_text()
    for python in PYTHONS:
        major, minor = map(int, python.split("."))
        ast.parse(source, filename=file, feature_version=(major, minor))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_its_requirements_name_each_package_once_on_each(function, architecture):
    """The same packages everywhere, each pinned, and pinned as the environment of the tools pins it."""
    lines = read_lines(ROOT / "functions" / function / "requirements.txt")
    constraints = read_lines(ROOT / "constraints.txt")
    found = {python: plain_pins(lines, Target(python, architecture)) for python in PYTHONS}
    for python, pins in found.items():
        assert len(names(pins)) == len(set(names(pins))), (python, pins)
        assert set(names(pins)) == set(names(found[PYTHON_VERSION])), (python, pins)
        pinned_here = {pin.lower() for pin in plain_pins(constraints, Target(python, architecture))}
        assert {pin.lower() for pin in pins} <= pinned_here, python
