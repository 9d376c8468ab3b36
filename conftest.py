"""Loaded before any test."""

from hypothesis import HealthCheck, settings

# The folder localcloud/ has the package's name: pytest would take it for a namespace when it names the tests in it.
import localcloud  # noqa: F401

# How long an example takes says how busy the machine is. The rest stays as Hypothesis chooses it, in CI and elsewhere.
settings.register_profile("whatever the machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("whatever the machine")

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
