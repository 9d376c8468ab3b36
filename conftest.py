"""Loaded before any test."""

# The folder localcloud/ has the package's name: pytest would take it for a namespace when it names the tests in it.
import localcloud  # noqa: F401


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names a case of bytes by their number: two processes that compress the same text may write other bytes."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
