"""One empty local cloud for all tests of commands that need one: those of the xdist group ``pointed at``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.running_cloud import RunningCloud, running_cloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """On real time, with nothing deployed."""
    folder = tmp_path_factory.mktemp("cloud")
    with running_cloud(folder / "state", folder / "cache") as running:
        yield running
