"""What was altered behind the loop's back does not pass. These tests leave their mark: they run last."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from click.testing import CliRunner

from everloop.cli.main import everloop
from everloop.manifest import MANIFEST, Manifest, sha256_hex
from everloop.registry import keys
from everloop.registry.audit import link_hash
from everloop.registry.exceptions import LockedRecordDiffersError
from everloop.registry.records import Version
from everloop.registry.trace import verify_audit
from everloop.signature import SIGNATURE, fingerprint
from tests.fakes.signing_key import signing_key
from tests.helpers.present import present
from tests.loop.standing_cloud import ACTIVE, Loop

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


@contextmanager
def put_in_place(loop: Loop, files: dict[str, bytes]) -> Iterator[None]:
    """Other bytes in the place of files of the champion; put right again afterwards."""
    s3, bucket = loop.account.client("s3"), loop.account.platform.artifact_bucket
    prefix = champion_of(loop).artifact_prefix
    right = {name: s3.get_object(Bucket=bucket, Key=prefix + name)["Body"].read() for name in files}
    for name, content in files.items():
        s3.put_object(Bucket=bucket, Key=prefix + name, Body=content)
    try:
        yield
    finally:
        for name, content in right.items():
            s3.put_object(Bucket=bucket, Key=prefix + name, Body=content)


def champion_of(loop: Loop) -> Version:
    return loop.store.versions.get(present(loop.store.versions.champion()).version)


def manifest_in(loop: Loop) -> Manifest:
    key = champion_of(loop).artifact_prefix + MANIFEST
    found = loop.account.client("s3").get_object(Bucket=loop.account.platform.artifact_bucket, Key=key)
    return Manifest.from_bytes(found["Body"].read())


def test_what_serves_is_signed_by_the_platforms_key(loop: Loop) -> None:
    key = loop.account.client("kms").get_public_key(KeyId=loop.account.platform.signing_key)["PublicKey"]
    version = champion_of(loop)
    assert version.signer == fingerprint(key)
    found = loop.account.client("lambda").get_function_configuration(
        FunctionName=loop.model.predict_function, Qualifier=loop.model.alias
    )
    assert found["Environment"]["Variables"]["EVERLOOP_SIGNER"] == version.signer
    for command in ("trace", "status"):
        told = CliRunner().invoke(everloop, [command, loop.name]).output
        # A narrow table has the key on a line of its own.
        assert re.search(rf"by key[\s│]+{version.signer}", told), told


def test_a_signature_by_another_key_does_not_serve(loop: Loop) -> None:
    """Of the very bytes that were evaluated: the function version says whose signature it must be."""
    manifest, own = manifest_in(loop).content, signing_key("somebody else's")
    with put_in_place(loop, {SIGNATURE: own.sign(manifest).to_bytes()}):
        loop.end_workers()
        status, answer = loop.post({"instances": loop.instances(1)})
        assert (status, answer["error"]["code"]) == (503, "artifact_refused"), answer
    loop.end_workers()
    assert loop.post({"instances": loop.instances(1)})[0] == 200


@pytest.mark.parametrize(
    ("how", "refused"),
    [
        ("signed by the forger, who says so", "and the platform's key is"),
        ("signed by the forger, who says it was the platform", "signature.json: expected a signature by key"),
        ("with the signature that was there", "found one of other bytes"),
        ("not signed, as if it had been registered long ago", "the locked audit record"),
    ],
)
def test_who_writes_bucket_and_registry_serves_nothing(loop: Loop, how: str, refused: str) -> None:
    # GIVEN a forged manifest in the bucket, and a record that fits it in the table
    under_way = loop.store.runs.active()
    if under_way is not None:
        loop.finish(under_way.run_id)
    version, own = champion_of(loop), signing_key("somebody else's")
    forged = replace(manifest_in(loop), code_sha256="f" * 64).content
    files = {MANIFEST: forged}
    if "by the forger" in how:
        files[SIGNATURE] = own.sign(forged).to_bytes()
    signer = None if how.startswith("not signed") else own.signer if "says so" in how else version.signer
    record = replace(version, manifest_sha256=sha256_hex(forged), code_sha256="f" * 64, signer=signer)
    table, dynamodb = loop.account.platform.table, loop.account.client("dynamodb")
    serving = loop.account.client("lambda").get_alias(FunctionName=loop.model.predict_function, Name=loop.model.alias)
    dynamodb.put_item(TableName=table, Item=record.to_item())
    try:
        with put_in_place(loop, files):
            # WHEN what is registered is published again
            started = CliRunner().invoke(everloop, ["rollout", "start", loop.name, "--reason", "a test"])
            assert started.exit_code == 0, started.output
            # Nobody asks meanwhile: what starts now is refused as well.
            run_id = loop.wait_until(loop.store.runs.active).run_id
            loop.wait_until(
                lambda: loop.store.runs.get(run_id).status != "open" and loop.executions()[run_id] != ACTIVE
            )
            run = loop.store.runs.get(run_id)
            # THEN it is refused by name, and the traffic stays where it is
            assert run.status == "failed"
            assert refused in present(run.cause)
        found = loop.account.client("lambda").get_alias(FunctionName=loop.model.predict_function, Name=loop.model.alias)
        assert found["FunctionVersion"] == serving["FunctionVersion"]
        # AND the audit finds what was written
        audited = CliRunner().invoke(everloop, ["audit", "verify", loop.name])
        assert (audited.exit_code, "NOT intact" in audited.output) == (1, True), audited.output
    finally:
        dynamodb.put_item(TableName=table, Item=version.to_item())
    assert loop.post({"instances": loop.instances(1)})[0] == 200


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
