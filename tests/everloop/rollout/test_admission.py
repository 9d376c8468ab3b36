"""What is published is what the platform's key signed, or what is locked as registered without a signature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws

from everloop.manifest import MANIFEST
from everloop.registry.locked_audit import LockedAudit
from everloop.registry.records import Version
from everloop.registry.remote import RemoteRegistry, invoking
from everloop.registry.signing import SigningKey
from everloop.registry.store import RegistryStore
from everloop.rollout.admission import Admission, AdmittingTarget
from everloop.rollout.exceptions import SignerRefusedError
from everloop.rollout.previous import standby
from everloop.rollout.served_artifact import ServedArtifact
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from everloop.serving.exceptions import ArtifactRefusedError
from everloop.signature import SIGNATURE
from tests.fakes.audit_bucket import BUCKET, FakeAuditBucket
from tests.fakes.lambda_function import FakeLambda, refusal
from tests.fakes.registry_function import FakeRegistryFunction
from tests.fakes.registry_table import TABLE, dynamodb
from tests.fakes.signing_key import ARN, FakeKms, signing_key
from tests.helpers.registry_scenes import close_run, manifest_of, open_run, register


class World:
    """A registry with its locked records, the artifact bucket's files, and a function to publish."""

    def __init__(self) -> None:
        self.client = dynamodb()
        self.writer = FakeRegistryFunction(self.client, "flights")
        send = invoking(self.writer, "registry:run")
        self.store: RegistryStore = RemoteRegistry(self.client, TABLE, "flights", send=send)
        self.files: dict[str, bytes] = {}
        self.kms = FakeKms()
        self.function = FakeLambda()
        bare = LambdaAliasTarget(self.function, function="predict", alias="live", pause=lambda _: None)
        locked = LockedAudit(self.writer.audit_bucket, BUCKET, "flights")
        admission = Admission("flights", SigningKey(self.kms, ARN), self.store.ledger, locked, self.files.get)
        self.target = AdmittingTarget(bare, admission)
        self.target.idle()

    def registered(self, run_id: str, *, signed: bool = True) -> Version:
        """A version with its files."""
        key = signing_key()
        writer = invoking(self.writer, "registry:run")
        open_run(RemoteRegistry(self.client, TABLE, "flights", send=writer), run_id)
        version = register(
            RemoteRegistry(self.client, TABLE, "flights", send=invoking(self.writer, "registry:register")),
            run_id,
            signer=key.signer if signed else None,
        )
        close_run(RemoteRegistry(self.client, TABLE, "flights", send=writer), run_id)
        manifest = manifest_of(version).content
        self.files[version.artifact_prefix + MANIFEST] = manifest
        if signed:
            self.files[version.artifact_prefix + SIGNATURE] = key.sign(manifest).to_bytes()
        return version

    def refuses(self, artifact: ServedArtifact, error: type[Exception], match: str) -> None:
        """Nothing is published by any way there is."""
        before = dict(self.function.versions)
        for publish in (self.target.publish, lambda one: self.target.publish_like(one, "1")):
            with pytest.raises(error, match=match):
                publish(artifact)
        assert self.function.versions == before


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        yield World()


def test_what_the_platform_signed_is_published_with_its_signer(world: World) -> None:
    version = world.registered("train-1")
    published = world.target.publish(ServedArtifact.of(version))
    assert world.function.variables(published.lambda_version)["EVERLOOP_SIGNER"] == signing_key().signer
    assert world.target.holds(published.lambda_version, ServedArtifact.of(version))
    assert not world.target.holds(published.lambda_version, replace(ServedArtifact.of(version), signer=""))
    world.target.publish(replace(ServedArtifact.of(version), calibration="{}"))
    assert world.kms.calls == ["GetPublicKey"], "it is asked once"


def test_what_was_registered_before_there_were_signatures_is_published_without_one(world: World) -> None:
    version = world.registered("train-1", signed=False)
    published = world.target.publish(ServedArtifact.of(version))
    assert "EVERLOOP_SIGNER" not in world.function.variables(published.lambda_version)
    assert world.target.holds(published.lambda_version, ServedArtifact.of(version))
    # AND after one with a signature
    signed = world.registered("train-2")
    world.target.publish(ServedArtifact.of(signed))
    again = world.target.publish(replace(ServedArtifact.of(version), calibration="{}"))
    assert world.function.variables(again.lambda_version)["EVERLOOP_SIGNER"] == ""


def test_another_signer_is_refused_by_name(world: World) -> None:
    artifact = replace(ServedArtifact.of(world.registered("train-1")), signer="f" * 64)
    world.refuses(artifact, SignerRefusedError, f"key {'f' * 64} signed it, and the platform's key is")


def test_a_signature_of_other_bytes_is_refused(world: World) -> None:
    version = world.registered("train-1")
    forged = replace(manifest_of(version), code_sha256="forged")
    world.files[version.artifact_prefix + MANIFEST] = forged.content
    world.refuses(ServedArtifact.of(version), ArtifactRefusedError, r"manifest\.json: expected sha256")
    artifact = replace(ServedArtifact.of(version), manifest_sha256=forged.sha256)
    world.refuses(artifact, ArtifactRefusedError, r"signature\.json: .* found one of other bytes")
    other = signing_key("another").sign(forged.content).to_bytes()
    world.files[version.artifact_prefix + SIGNATURE] = other
    world.refuses(artifact, ArtifactRefusedError, r"signature\.json: .* found one by key")


@pytest.mark.parametrize("name", [MANIFEST, SIGNATURE])
def test_a_missing_file_is_refused(world: World, name: str) -> None:
    version = world.registered("train-1")
    del world.files[version.artifact_prefix + name]
    world.refuses(ServedArtifact.of(version), ArtifactRefusedError, "no such object")


def test_a_signer_that_is_taken_away_is_asked_of_the_locked_record(world: World) -> None:
    version = world.registered("train-1")
    without = replace(ServedArtifact.of(version), signer="")
    world.refuses(without, SignerRefusedError, f"signer {signing_key().signer}")


def test_a_version_without_a_signature_keeps_its_manifest(world: World) -> None:
    version = world.registered("train-1", signed=False)
    forged = replace(ServedArtifact.of(version), manifest_sha256="f" * 64)
    world.refuses(forged, SignerRefusedError, version.manifest_sha256)


@pytest.mark.parametrize("known", [True, False])
def test_a_record_that_is_not_locked_proves_nothing(world: World, known: bool) -> None:
    """Whoever writes to the table can write an audit record too: what it says is asked of the locked one."""
    version = world.registered("train-1")
    record = next(r for r in world.store.ledger.audit_records() if r.action == "registered")
    told: dict[str, Any] = {**record.details, "signer": None}
    forged = replace(record, details={n: v for n, v in told.items() if v is not None})
    world.client.put_item(TableName=TABLE, Item=forged.to_item())
    if not known:
        world.writer.audit_bucket.versions.clear()
    without = replace(ServedArtifact.of(version), signer="")
    world.refuses(without, SignerRefusedError, "says otherwise .another record.")


def test_without_the_right_to_list_a_missing_record_is_refused_too(world: World) -> None:
    class Denied(FakeAuditBucket):
        def get_object(self, **_: Any) -> dict[str, Any]:
            raise refusal("AccessDenied", "no", "GetObject")

    version = world.registered("train-1", signed=False)
    locked = LockedAudit(Denied(), BUCKET, "flights")
    admission = Admission("flights", SigningKey(world.kms, ARN), world.store.ledger, locked, world.files.get)
    with pytest.raises(SignerRefusedError, match="another record"):
        admission.require(ServedArtifact.of(version))


def test_a_version_that_was_never_registered_is_refused(world: World) -> None:
    world.refuses(
        ServedArtifact(9, "artifacts/flights/000009/", "f" * 64),
        SignerRefusedError,
        "no audit record of its registration",
    )


def test_what_stands_by_is_held_to_the_same(world: World) -> None:
    before, version = world.registered("train-1"), world.registered("train-2")
    beside = standby(before, calibration="{}")
    assert world.target.publish(ServedArtifact.of(version, standby=beside))
    forged = ServedArtifact.of(version, standby=replace(beside, signer=""))
    world.refuses(forged, SignerRefusedError, "version 1")
    world.refuses(ServedArtifact.of(version, standby=replace(beside, signer="f" * 64)), SignerRefusedError, "version 1")


def test_all_else_is_the_targets_own(world: World) -> None:
    version = ServedArtifact.of(world.registered("train-1"))
    one = world.target.publish(version).lambda_version
    other = world.target.publish(replace(version, calibration="{}")).lambda_version
    assert world.target.settle(one)
    world.target.shift(primary=one, candidate=other, percent=5.0)
    assert (world.target.current().primary, world.target.current().candidate) == (one, other)
    assert world.target.unchanged_since(one)
    world.target.settle(one)
    world.target.release(other)
    assert other in world.target.prune({one})
    assert world.target.describe(world.target.publish(version))["lambda_version"] == one
