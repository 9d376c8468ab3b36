"""What may be absent, where a test says that it is there."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def present(found: T | None) -> T:
    """What was found; the test fails where nothing was."""
    assert found is not None
    return found
