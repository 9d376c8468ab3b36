"""In which order the groups of tests begin, which one worker each runs: a hook of pytest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

GROUPS = (
    "loop",
    "loop that changes",
    "jobs",
    "wheel",
    "synthesis",
    "loop of an investment",
    "loop in a new account",
    "loop of bad versions",
    "going on",
    "loop of another model",
    "loop on an endpoint",
    "backtest",
    "toolkit",
    "try",
    "pipeline",
    "pointed at",
)
"""The longest first: one that began late would be run to its end by one worker, with nothing left for the others."""


class Marked(Protocol):
    """A test, as far as its place goes."""

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        """Its marker of a name."""


def place(item: Marked) -> int:
    """Where a test's group comes; tests without one last, for they fill what is left of each worker."""
    mark = item.get_closest_marker("xdist_group")
    return GROUPS.index(mark.args[0]) if mark is not None and mark.args[0] in GROUPS else len(GROUPS)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort them by their groups; within one they stay as they are. pytest-xdist begins in this order, if told so."""
    items.sort(key=place)


def are_in_order(items: Sequence[Marked]) -> bool:
    """Whether no group comes before a longer one."""
    places = [place(item) for item in items]
    return places == sorted(places)
