from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws

from everloop.registry.locked_audit import LockedAudit
from everloop.registry.store import RegistryStore
from tests.fakes.audit_bucket import BUCKET, FakeAuditBucket
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import TABLE, UnreliableClient, dynamodb


@pytest.fixture
def client() -> Iterator[UnreliableClient]:
    with mock_aws():
        yield UnreliableClient(dynamodb())


@pytest.fixture
def direct(client: UnreliableClient) -> RegistryStore:
    """The store as the registry function has it."""
    return RegistryStore(client, TABLE, "flights", pause=lambda _: None)


@pytest.fixture
def bucket() -> FakeAuditBucket:
    return FakeAuditBucket()


@pytest.fixture
def locked(bucket: FakeAuditBucket) -> LockedAudit:
    """Where the registry function locks audit records."""
    return LockedAudit(bucket, BUCKET, "flights")


@pytest.fixture(params=["direct", "remote"])
def store(request: pytest.FixtureRequest, client: UnreliableClient, direct: RegistryStore) -> RegistryStore:
    """One contract for the store itself, and for the one that sends commands to the registry function."""
    return direct if request.param == "direct" else remote_registry(client, "flights")
