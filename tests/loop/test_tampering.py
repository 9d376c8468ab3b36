"""What was altered behind the loop's back does not pass. These tests leave their mark: they run last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner

from everloop.cli.main import everloop
from everloop.registry import keys
from everloop.registry.audit import link_hash
from everloop.registry.exceptions import LockedRecordDiffersError
from everloop.registry.trace import verify_audit
from tests.helpers.present import present
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")


@pytest.fixture
def altered_model(loop: Loop) -> Iterator[str]:
    """The champion's model file with other bytes in its place, once it is in memory; put right again afterwards."""
    assert loop.post({"instances": loop.instances(1)})[0] == 200
    s3, bucket = loop.account.client("s3"), loop.account.platform.artifact_bucket
    key = loop.store.versions.get(present(loop.store.versions.champion()).version).artifact_prefix + "model.onnx"
    right = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    altered = bytearray(right)
    altered[len(altered) // 2] ^= 1
    s3.put_object(Bucket=bucket, Key=key, Body=bytes(altered))
    yield key
    s3.put_object(Bucket=bucket, Key=key, Body=right)
    loop.end_workers()
    assert loop.post({"instances": loop.instances(1)})[0] == 200


def test_a_model_altered_after_its_evaluation_does_not_serve(loop: Loop, altered_model: str) -> None:
    loop.advance(minutes=30)
    assert loop.alarm("faults") == "OK"
    before = loop.counted("ArtifactRefused")
    assert loop.post({"instances": loop.instances(1)})[0] == 200, "what is in memory is what was verified"
    assert loop.end_workers()
    status, answer = loop.post({"instances": loop.instances(1)})
    assert status == 503, answer
    assert answer["error"]["code"] == "artifact_refused"
    assert "predictions" not in answer
    assert loop.raises("faults")
    assert loop.counted("ArtifactRefused") == before + 1


def test_a_chain_that_was_forged_and_sealed_anew_is_found(loop: Loop) -> None:
    """By whoever holds the registry function's role, or may write to the table: every hash fits, and the head too."""
    store, table, dynamodb = loop.store, loop.account.platform.table, loop.account.client("dynamodb")
    records, head = list(store.ledger.audit_records()), present(store.ledger.audit_head())
    forged, previous = [], records[0].previous_hash
    for record in records:
        actor = "somebody else" if record.action == "promoted" else record.actor
        unsealed = replace(record, actor=actor, previous_hash=previous, hash="")
        previous = link_hash(unsealed.to_json(), previous)
        forged.append(replace(unsealed, hash=previous))
    for item in (*forged, replace(head, hash=previous)):
        dynamodb.put_item(TableName=table, Item=present(item).to_item())
    try:
        assert verify_audit(store).chain.intact
        found = CliRunner().invoke(everloop, ["audit", "verify", loop.name])
        assert found.exit_code == 1
        first = next(record.sequence for record in records if record.action == "promoted")
        assert f"audit record {first} of the table is not the locked one" in found.output
        traced = CliRunner().invoke(everloop, ["trace", loop.name])
        assert isinstance(traced.exception, LockedRecordDiffersError)
    finally:
        for item in (*records, head):
            dynamodb.put_item(TableName=table, Item=present(item).to_item())


def test_an_altered_audit_record_is_found(loop: Loop) -> None:
    verify = ["audit", "verify", loop.name]
    sound = CliRunner().invoke(everloop, verify)
    assert sound.exit_code == 0, sound.output
    record = next(r for r in loop.store.ledger.audit_records() if r.action == "promoted")
    table, dynamodb = loop.account.platform.table, loop.account.client("dynamodb")
    place = {"pk": {"S": keys.partition(loop.name)}, "sk": {"S": keys.audit(record.sequence)}}
    dynamodb.update_item(
        TableName=table,
        Key=place,
        UpdateExpression="SET actor = :actor",
        ExpressionAttributeValues={":actor": {"S": "somebody else"}},
    )
    found = CliRunner().invoke(everloop, verify)
    assert found.exit_code == 1
    assert "NOT intact" in found.output
    assert str(record.sequence) in found.output
