from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws

from everloop.registry import RegistryStore
from tests.fakes.registry_table import TABLE, UnreliableClient, dynamodb


@pytest.fixture
def client() -> Iterator[UnreliableClient]:
    with mock_aws():
        yield UnreliableClient(dynamodb())


@pytest.fixture
def store(client: UnreliableClient) -> RegistryStore:
    return RegistryStore(client, TABLE, "flights", pause=lambda _: None)
