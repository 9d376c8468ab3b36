"""What docs/change-a-model.md has people type is what the test of changes types."""

from __future__ import annotations

import re
from pathlib import Path

from tests.helpers import change_commands
from tests.helpers.pages import typed_blocks, without_blocks

PAGE = Path(__file__).parents[1] / "docs" / "change-a-model.md"
PROGRAMS = ("everloop", "npx", "aws", "cdk")


def typed_commands(page: str) -> list[str]:
    """The commands of a page: lines of its blocks up to the remark beside each, and what stands between backticks."""
    between = re.findall(r"`([^`\n]+)`", without_blocks(page))
    return [*typed_blocks(page), *(text for text in between if text.split()[0] in PROGRAMS)]


def is_typed(command: str) -> bool:
    """Whether the walk types a command, or one that goes on after it: the page also calls commands by their names."""
    words = command.split()
    return any(one.split()[: len(words)] == words for one in change_commands.ALL)


def test_page_and_walk_have_the_same_commands() -> None:
    found = typed_commands(PAGE.read_text(encoding="utf-8"))
    assert [command for command in found if not is_typed(command)] == []
    assert [command for command in change_commands.ALL if command not in found] == []


def test_a_command_that_nobody_walks_is_found() -> None:
    page = "Type `everloop train late_train --smoke`.\n\n```\neverloop forget late_train      all of it\n```\n"
    assert typed_commands(page) == ["everloop forget late_train", "everloop train late_train --smoke"]
    assert not any(map(is_typed, typed_commands(page)))
