"""Every departure that ``docs/local-cloud.md`` tells is shown by a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parents[1] / "docs" / "local-cloud.md"
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


def section(title: str) -> list[str]:
    """The lines below a heading of the page, up to the next one."""
    lines = PAGE.read_text(encoding="utf-8").split("\n")
    begin = lines.index(title) + 1
    return lines[begin : next((n for n in range(begin, len(lines)) if lines[n].startswith("## ")), len(lines))]


def rows_of(lines: list[str]) -> list[list[str]]:
    """The cells of the rows of a table: service (empty as in the row above), difference, tests."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]
    return rows[2:]


DEPARTURES = rows_of(section("## Differences from AWS"))


@pytest.mark.parametrize(("difference", "tests"), [row[1:] for row in DEPARTURES], ids=lambda text: text[:50])
def test_a_difference_is_shown_by_a_test(difference: str, tests: str) -> None:
    named = _TEST.findall(tests)
    assert named, f"no test shows: {difference}"
    for file, function in named:
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, function


def test_differences_are_told_in_the_table_alone() -> None:
    assert len(DEPARTURES) > 30
    assert not [line for line in section("## Differences from AWS") if line.startswith(("- ", "* "))]


def test_a_line_without_a_test_is_found() -> None:
    ((_, _, tests),) = rows_of(["| service | difference | test |", "|---|---|---|", "| X | Y | none |"])
    assert _TEST.findall(tests) == []
