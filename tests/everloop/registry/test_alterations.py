"""Whatever is altered in the table, `everloop audit verify` says so, and never ends with a crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from everloop.registry import keys
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from tests.fakes.registry_table import TABLE, alter, dynamodb
from tests.helpers.registry_scenes import champion_and_rejected

ALTERATIONS: list[tuple[str, str, dict[str, Any] | None, str]] = [
    # Of the chain. Record 3 moves version 1 to evaluated, record 6 promotes it.
    (
        keys.audit(3),
        "details",
        {"S": '{"from":"experimenting","to":"production"}'},
        "record 3 was changed after it was written",
    ),
    (keys.audit(3), "details", {"S": "{}"}, "record 3 was changed after it was written"),
    (keys.audit(3), "details", {"S": "[]"}, "'details' is list, not dict"),
    (keys.audit(3), "details", {"S": "null"}, "'details' is NoneType, not dict"),
    (keys.audit(3), "details", {"S": "{"}, "AUDIT#000000000003 is not a valid AuditRecord"),
    (keys.audit(3), "details", {"S": '{"to":NaN}'}, "AUDIT#000000000003 is not a valid AuditRecord"),
    (keys.audit(3), "details", {"S": '{"to":1e999}'}, "AUDIT#000000000003 is not a valid AuditRecord"),
    (keys.audit(3), "details", {"S": "[" * 100_000}, "AUDIT#000000000003 is not a valid AuditRecord"),
    (keys.audit(3), "details", None, "record 3 was changed after it was written"),
    (keys.audit(3), "version", {"N": "2"}, "record 3 was changed after it was written"),
    (keys.audit(3), "version", {"S": "1"}, "'version' is str, not int"),
    (keys.audit(3), "sequence", {"N": "4"}, "its sk is"),
    (keys.audit(3), "hash", {"S": "0" * 64}, "record 3 was changed after it was written"),
    (keys.audit(3), "previous_hash", None, "it has no 'previous_hash'"),
    (keys.audit(2), "actor", {"S": "somebody else"}, "record 2 was changed after it was written"),
    (keys.audit(2), "details", {"S": '{"to":"experimenting"}'}, "record 2 was changed after it was written"),
    (keys.audit(6), "action", {"S": "traffic_shifted"}, "record 6 was changed after it was written"),
    (keys.audit(6), "details", {"S": '{"rollout_id":["train-1"]}'}, "record 6 was changed after it was written"),
    (keys.AUDIT_HEAD, "hash", {"S": "0" * 64}, "its head has"),
    (keys.AUDIT_HEAD, "sequence", {"N": "2"}, "its head has 2"),
    (keys.AUDIT_HEAD, "sequence", {"S": "2"}, "'sequence' is str, not int"),
    (keys.AUDIT_HEAD, "hash", None, "its head is missing"),
    # Of what it is about.
    (keys.version(1), "manifest_sha256", {"S": "another artefact"}, "version 1: manifest_sha256 is another artefact"),
    (keys.version(1), "code_sha256", {"S": "other code"}, "version 1: code_sha256 is other code"),
    (keys.version(1), "artifact_prefix", {"S": "artifacts/loans/000001/"}, "version 1: artifact_prefix is"),
    (keys.version(1), "run_id", {"S": "train-2"}, "version 1: run_id is train-2"),
    (keys.version(1), "metrics", {"S": '{"log_loss":0.1}'}, "version 1: metrics is {'log_loss': 0.1}"),
    (keys.version(1), "files", {"S": "{}"}, "version 1: files is {}"),
    (keys.version(1), "created_at", {"S": "2012-01-01T00:00:00Z"}, "version 1: created_at is 2012"),
    (keys.version(1), "state_since", {"S": "2012-01-01T00:00:00Z"}, "version 1: state_since is 2012"),
    (keys.version(1), "model", {"S": "loans"}, "its pk is"),
    (keys.version(1), "version", {"N": "2"}, "its sk is"),
    (keys.version(1), "snapshot_hash", {"S": "s2"}, "its snapshot_pk is"),
    (keys.version(1), "snapshot_pk", {"S": "SNAPSHOT#s2"}, "its snapshot_pk is"),
    (keys.version(1), "manifest_sha256", None, "it has no 'manifest_sha256'"),
    (keys.version(2), "state", {"S": "evaluated"}, "VERSION#000002 is not a valid Version"),
    (keys.version(2), "state", {"S": "flying"}, "VERSION#000002 is not a valid Version"),
    (keys.version(2), "gate", {"S": '{"reasons":[],"verdict":"pass"}'}, "version 2: gate is"),
    (keys.version(2), "reason", None, "version 2: reason is None"),
    (keys.CHAMPION, "version", {"N": "2"}, "the champion pointer: version is 2"),
    (keys.CHAMPION, "version", {"S": "1"}, "'version' is str, not int"),
    (keys.CHAMPION, "lambda_version", {"S": "11"}, "the champion pointer: lambda_version is 11"),
    (keys.CHAMPION, "code_sha256", {"S": "other code"}, "the champion pointer: code_sha256 is other code"),
    (keys.CHAMPION, "since", {"S": "2012-01-01T00:00:00Z"}, "the champion pointer: since is 2012"),
    (keys.CHAMPION, "rollout_id", {"S": "train-2"}, "the champion pointer: rollout_id is train-2"),
    (keys.CHAMPION, "rollout_id", None, "CHAMPION is not a valid Champion"),
]
"""Sort key, attribute, its new value (None takes it away), and what the check has to say."""


@pytest.fixture(scope="module")
def registry() -> Iterator[RegistryStore]:
    """One registry for all of them: each puts back what it altered."""
    with mock_aws():
        store = champion_and_rejected(RegistryStore(dynamodb(), TABLE, "flights"))
        yield store
        assert verify_audit(store).problems == []


@pytest.mark.slow
@pytest.mark.parametrize(("sort_key", "name", "value", "named"), ALTERATIONS)
def test_altering_any_record_is_found(
    registry: RegistryStore, sort_key: str, name: str, value: dict[str, Any] | None, named: str
) -> None:
    key = {"pk": {"S": "MODEL#flights"}, "sk": {"S": sort_key}}
    before = registry.ledger.client.get_item(TableName=TABLE, Key=key)["Item"]
    alter(registry.ledger.client, sort_key, name, value)
    try:
        verdict = verify_audit(registry)
    finally:
        registry.ledger.client.put_item(TableName=TABLE, Item=before)
    assert not verdict.sound
    assert named in "\n".join(verdict.problems)
