from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.environment import clients_python
from tests.helpers.server import Server, stored_in


@pytest.fixture(scope="session")
def python() -> Path:
    return clients_python()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("artefact")
    stored_in(folder)
    with Server(folder) as server:
        yield server
