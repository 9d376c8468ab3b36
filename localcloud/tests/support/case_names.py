"""Names of a test's cases: a hook of pytest, for whichever conftest imports it."""

from __future__ import annotations

LONGEST_NAME = 200
"""The most characters of a text that still names its case."""


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names a case of bytes or of a long text by its length.

    Two processes that compress the same text may write other bytes. And the workers send each other all names: with
    texts of megabytes in them, these would be most of what they send.
    """
    if isinstance(val, bytes):
        return f"{len(val)} bytes"
    if isinstance(val, str) and len(val) > LONGEST_NAME:
        return f"{len(val)} characters"
    return None
