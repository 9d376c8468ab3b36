"""An endpoint to deploy into: moto's own server, as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.empty_cloud import empty_cloud
from support.workbench import ClientFactory, Workbench


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """Address of a server that lives as long as the tests."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def clients(moto_endpoint: str) -> Iterator[ClientFactory]:
    """Gives clients of an empty cloud, and leaves it empty."""
    with empty_cloud(moto_endpoint) as client:
        yield client


@pytest.fixture
def workbench(clients: ClientFactory, tmp_path: Path) -> Workbench:
    """A workbench on an empty cloud."""
    return Workbench(clients, tmp_path / "stacks")
