"""The registry function as Lambda calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws

from everloop.environment import MissingSettingError
from everloop.functions.registry import handler
from everloop.registry.commands import OpenRun, encoded
from everloop.registry.locked_audit import LockedAudit
from everloop.registry.store import RegistryStore
from tests.fakes.audit_bucket import BUCKET
from tests.fakes.aws import aws_client
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.registry_scenes import TRIGGER, at

OPEN = encoded(OpenRun("train-1", "train", TRIGGER, at(0), "pipeline train-1", 10, 7))


def context(alias: str) -> Any:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:everloop-flights-registry"
    return SimpleNamespace(
        function_name="everloop-flights-registry",
        memory_limit_in_mb=512,
        invoked_function_arn=f"{arn}:{alias}" if alias else arn,
        aws_request_id="request-1",
    )


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryStore]:
    handler.store_for.cache_clear()
    handler.locked_audit.cache_clear()
    handler.environment.cache_clear()
    with mock_aws():
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("EVERLOOP_TABLE", TABLE)
        monkeypatch.setenv("EVERLOOP_MODEL", "flights")
        monkeypatch.setenv("EVERLOOP_AUDIT_BUCKET", BUCKET)
        aws_client("s3").create_bucket(Bucket=BUCKET)
        yield RegistryStore(dynamodb(), TABLE, "flights")
    handler.environment.cache_clear()
    handler.store_for.cache_clear()
    handler.locked_audit.cache_clear()


@pytest.mark.slow
def test_writes_what_its_caller_may_have_written(store: RegistryStore) -> None:
    assert handler.handle(OPEN, context("run")) == {"record": store.runs.get("train-1").to_json()}
    (record,) = store.ledger.audit_records()
    assert (record.action, record.details["via"]) == ("run_opened", "run")
    (locked,) = LockedAudit(aws_client("s3"), BUCKET, "flights").stored()
    assert json.loads(locked.content) == record.to_json()


@pytest.mark.slow
@pytest.mark.parametrize("alias", ["rollout", "register", "release", "monitor", "$LATEST", "7", ""])
def test_writes_it_for_nobody_else(store: RegistryStore, alias: str) -> None:
    refused = handler.handle(OPEN, context(alias))["refused"]
    assert refused["error"] == "CommandRefusedError"
    assert store.ledger.audit_head() is None


def test_without_its_variables_it_says_which(store: RegistryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVERLOOP_TABLE")
    with pytest.raises(MissingSettingError, match="EVERLOOP_TABLE"):
        handler.handle(OPEN, context("run"))
