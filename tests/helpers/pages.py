"""What pages of the docs have people type."""

from __future__ import annotations

import re

FENCED, FLAGS = r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL


def typed_blocks(page: str) -> list[str]:
    """The commands of a page's blocks in their order: each line up to the remark beside it."""
    blocks = [text for language, text in re.findall(FENCED, page, FLAGS) if not language]
    lines = re.sub(r"\\\n\s*", "", "\n".join(blocks)).splitlines()
    return [command for line in lines if (command := re.split(r"  |\s#\s", line)[0].rstrip())]


def without_blocks(page: str) -> str:
    """The rest of the page."""
    return re.sub(FENCED, "", page, flags=FLAGS)
