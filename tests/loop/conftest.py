"""One local cloud for all tests of the whole loop: deployed once, replayed once, then left running.

Every test file that uses it belongs to the xdist group ``loop``, so that one worker runs them all; a file with a cloud
of its own is a group of its own. The cloud, and the environment that points at it, end with the last of them: other
tests of that worker have accounts of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from everloop.cli.operations.declarations import find_declaration
from everloop.cli.replay.stream import load
from everloop.infra.settings import Settings
from tests.helpers.once_a_run import once_a_run
from tests.helpers.synthesis import ROOT, synthesize
from tests.loop.models import FLIGHTS, write_flights, write_models
from tests.loop.standing_cloud import Loop, standing_cloud

HISTORY_ENDS = datetime(2013, 3, 1, tzinfo=UTC)
STREAM_ENDS = "2013-03-13"


@pytest.fixture(scope="package")
def models_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("declared") / "models")


@pytest.fixture(scope="package")
def assembly(models_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The templates of these models: several clouds begin with them."""
    settings = Settings.of(ROOT, models=str(models_directory))
    return once_a_run(tmp_path_factory, "flights-and-bakery", lambda folder: synthesize(settings, folder))


@pytest.fixture(scope="package")
def loop(models_directory: Path, assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """The cloud, after the flights of two weeks went through it with one retraining on the way."""
    folder = tmp_path_factory.mktemp("loop")
    declaration = find_declaration(FLIGHTS, models_directory)
    data = load(write_flights(folder / "flights.parquet", until=STREAM_ENDS), declaration, HISTORY_ENDS)
    with standing_cloud(folder, declaration, data, assembly) as loop:
        yield loop
