"""What was altered behind the loop's back does not pass. These tests leave their mark: they run last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from everloop.cli.main import everloop
from everloop.registry import keys
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")


@pytest.fixture
def altered_model(loop: Loop) -> Iterator[str]:
    """The champion's model file with other bytes in its place; put right again afterwards."""
    s3, bucket = loop.account.client("s3"), loop.account.platform.artifact_bucket
    key = loop.store.versions.get(loop.store.versions.champion().version).artifact_prefix + "model.onnx"
    right = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    altered = bytearray(right)
    altered[len(altered) // 2] ^= 1
    s3.put_object(Bucket=bucket, Key=key, Body=bytes(altered))
    yield key
    s3.put_object(Bucket=bucket, Key=key, Body=right)
    loop.end_workers()
    assert loop.post({"instances": loop.instances(1)})[0] == 200


def test_a_model_altered_after_its_evaluation_does_not_serve(loop: Loop, altered_model: str) -> None:
    assert loop.alarm("artifact-refused") != "ALARM"
    assert loop.post({"instances": loop.instances(1)})[0] == 200, "what is in memory is what was verified"
    assert loop.end_workers()
    status, answer = loop.post({"instances": loop.instances(1)})
    assert status == 503, answer
    assert answer["error"]["code"] == "artifact_refused"
    assert "predictions" not in answer
    assert loop.raises("artifact-refused")


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
