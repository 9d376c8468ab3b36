"""How often a test's process looks for garbage: hooks of pytest, for whichever conftest imports them."""

from __future__ import annotations

import atexit
import gc

ALLOCATIONS = 20_000
"""More objects than that, made and not let go of, are looked through."""


def pytest_configure() -> None:
    """From now on: what is imported and collected is a million objects, and next to none of them are let go of."""
    gc.set_threshold(ALLOCATIONS, 20, 100)


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: a million objects that are looked through no more."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # some packages tell of what is left when Python ends


def pytest_sessionfinish() -> None:
    """What is still garbage is told of now. pytest looks five times over all that is left: it stays to the end too."""
    gc.collect()
    gc.freeze()
