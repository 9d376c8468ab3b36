"""Each test leaves the variables of its process as it found them: a fixture, for whichever conftest imports it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

OF_PYTEST = "PYTEST_CURRENT_TEST"
"""pytest names the test in it, and the phase."""


@contextlib.contextmanager
def variables_kept() -> Iterator[None]:
    """What is set, altered or removed within is as before afterwards."""
    before = dict(os.environ)
    try:
        yield
    finally:
        after = dict(os.environ)
        for name in (before.keys() | after.keys()) - {OF_PYTEST}:
            if name not in before:
                del os.environ[name]
            elif after.get(name) != before[name]:
                os.environ[name] = before[name]


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """A command that points its process at a local cloud would else point all later tests of the worker there.

    What fixtures of a module, a package or the session set stands: they are set up before.
    """
    with variables_kept():
        yield
