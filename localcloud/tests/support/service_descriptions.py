"""The sessions of a test's process read the description of a service once: a hook of pytest.

Each command that a test types has an account, and so a session, of its own; each session would read again what is the
same file: 0.16 s of processor time for SSM, 0.09 s for SageMaker.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Before the first test: give all sessions from now on one loader for each path of descriptions."""
    session: Any = sys.modules.get("botocore.session")
    if session is not None and not hasattr(session.create_loader, "cache_info"):
        session.create_loader = cache(_adding_once(session.create_loader))


def _adding_once(create: Any) -> Any:
    def create_loader(path: str | None = None) -> Any:
        loader = create(path)
        loader._search_paths = _Paths(loader.search_paths)
        return loader

    return create_loader


class _Paths(list[str]):
    """Places to look: each session adds that of boto3."""

    def append(self, place: str) -> None:
        """Add one that is not there yet."""
        if place not in self:
            super().append(place)
