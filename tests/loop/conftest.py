"""One local cloud for all tests of the whole loop: deployed once, replayed once, then left running.

Every test file that uses it belongs to the xdist group ``loop``, so that one worker runs them all; a file with a cloud
of its own is a group of its own. The cloud, and the environment that points at it, end with the last of them: other
tests of that worker have accounts of their own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from everloop.cli.operations.declarations import find_declaration
from everloop.cli.operations.local_cloud import bring_up, free_port
from everloop.cli.replay.run import run_replay
from everloop.cli.replay.stream import load
from tests.helpers.synthesis import synthesize_models
from tests.loop.models import FLIGHTS, write_flights, write_models
from tests.loop.standing_cloud import Loop

HISTORY_ENDS = datetime(2013, 3, 1, tzinfo=UTC)
STREAM_ENDS = "2013-03-13"


@pytest.fixture(scope="package")
def models_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("declared") / "models")


@pytest.fixture(scope="package")
def loop(models_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """The cloud, after the flights of two weeks went through it with one retraining on the way."""
    folder, environment = tmp_path_factory.mktemp("loop"), dict(os.environ)
    declaration = find_declaration(FLIGHTS, models_directory)
    data = load(write_flights(folder / "flights.parquet", until=STREAM_ENDS), declaration, HISTORY_ENDS)
    assembly = synthesize_models(models_directory, folder)
    cloud = bring_up(
        port=free_port(),
        state_directory=folder / "state",
        say=print,
        start_at=data.starts_at,
        stop_with_parent=True,
        synthesize=lambda _: assembly,
    )
    try:
        result = run_replay(cloud, declaration, data, folder / "out", quiet=False, started=time.monotonic())
        yield Loop(cloud, declaration, data, result)
    finally:
        cloud.running.stop()
        os.environ.clear()
        os.environ.update(environment)
