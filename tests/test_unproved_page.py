"""What was never seen on AWS is told with the command that would show it, and Everloop's commands are real ones."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from everloop.cli.main import everloop

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "unproved.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.split("\n") if line.startswith("| ")][
    1:
]
TYPED = re.compile(r"`((?:[A-Z_]+=\S+ )?(?:everloop|aws|npx) [^`]+)`")


@pytest.mark.parametrize(("what", "checked", "command"), ROWS, ids=lambda text: text[:40])
def test_a_line_says_how_it_was_checked_and_what_proves_it(what: str, checked: str, command: str) -> None:
    assert what
    assert checked
    assert TYPED.findall(command), f"nothing to type for: {what}"


@pytest.mark.parametrize(
    "typed", [typed for row in ROWS for typed in TYPED.findall(row[2]) if " everloop " in f" {typed}"]
)
def test_a_command_of_everloop_is_one_with_these_options(typed: str) -> None:
    words = typed.split("everloop ", 1)[1].split()
    command: click.Command = everloop
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, typed
        command = found
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
