from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from everloop.manifest import Manifest, sha256_hex, verify_files
from everloop.serving.artifact import Artifact, load_artifact
from everloop.serving.exceptions import ArtifactRefusedError, ManifestFormatError
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, VERSION, StoredArtifact, small_contract
from tests.helpers.onnx_models import linear_model


def load(stored: StoredArtifact, **expected: Any) -> Artifact:
    s3 = FakeS3(stored.objects)
    return load_artifact(s3, "artifacts", PREFIX, stored.manifest_sha256, **expected)


def test_the_stored_version_is_loaded() -> None:
    artifact = load(StoredArtifact(), model=MODEL, version=VERSION)
    assert artifact.contract == small_contract()
    assert artifact.manifest.version == VERSION


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "contract.json"])
@pytest.mark.parametrize(
    "alter", [lambda d: d + b" ", lambda d: d[:-1] + bytes([d[-1] ^ 1]), lambda d: b""], ids=["more", "bit", "empty"]
)
def test_altered_bytes_are_refused_by_name(name: str, alter: Callable[[bytes], bytes]) -> None:
    stored = StoredArtifact()
    stored.objects[PREFIX + name] = alter(stored.objects[PREFIX + name])
    with pytest.raises(ArtifactRefusedError) as refused:
        load(stored)
    assert refused.value.file == name
    assert "sha256" in refused.value.expected
    assert refused.value.found != refused.value.expected


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "contract.json"])
def test_an_absent_file_is_refused_by_name(name: str) -> None:
    stored = StoredArtifact()
    del stored.objects[PREFIX + name]
    with pytest.raises(ArtifactRefusedError, match=name):
        load(stored)


def test_a_model_and_manifest_replaced_together_are_refused() -> None:
    # GIVEN other bytes under a manifest that fits them
    stored, other = StoredArtifact(), StoredArtifact(model=linear_model([1.0, 1.0], [{}, {}, {}]))
    stored.objects = other.objects
    # THEN the hash in the function's environment still says no
    with pytest.raises(ArtifactRefusedError, match=r"manifest\.json"):
        load(stored)


@pytest.mark.parametrize("expected", [{"model": "other"}, {"version": 8}])
def test_another_models_or_versions_artifact_is_refused(expected: dict[str, object]) -> None:
    with pytest.raises(ArtifactRefusedError, match=r"manifest\.json"):
        load(StoredArtifact(), **expected)


def test_a_signed_version_is_loaded_and_its_signature_read_once() -> None:
    stored = StoredArtifact()
    signer, s3 = stored.sign(), FakeS3(stored.objects)
    load_artifact(s3, "artifacts", PREFIX, stored.manifest_sha256, signer=signer)
    assert s3.reads.count(PREFIX + "signature.json") == 1


def test_without_a_signer_no_signature_is_read() -> None:
    stored = StoredArtifact()
    stored.objects[PREFIX + "signature.json"] = b"whatever it is"
    s3 = FakeS3(stored.objects)
    load_artifact(s3, "artifacts", PREFIX, stored.manifest_sha256)
    assert PREFIX + "signature.json" not in s3.reads


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda stored: stored.sign("another"), "one by key"),
        (lambda stored: stored.objects.pop(PREFIX + "signature.json"), "NoSuchKey"),
        (lambda stored: stored.objects.update({PREFIX + "signature.json": b""}), "Expecting value"),
        (lambda stored: stored.objects.update({PREFIX + "signature.json": b" " * (33 << 20)}), "more than"),
    ],
    ids=["by another key", "absent", "empty", "too large"],
)
def test_what_the_signer_did_not_sign_is_refused_by_name(spoil: Callable[[StoredArtifact], Any], found: str) -> None:
    stored = StoredArtifact()
    signer = stored.sign()
    spoil(stored)
    with pytest.raises(ArtifactRefusedError, match=found) as refused:
        load(stored, signer=signer)
    assert refused.value.file == "signature.json"


def test_a_manifest_and_the_hash_of_it_replaced_together_are_refused() -> None:
    """What the hash alone can not see: whoever says which hash it must be was deceived too."""
    stored, other = StoredArtifact(), StoredArtifact(model=linear_model([1.0, 1.0], [{}, {}, {}]))
    signer = stored.sign()
    other.objects[PREFIX + "signature.json"] = stored.objects[PREFIX + "signature.json"]
    with pytest.raises(ArtifactRefusedError, match="found one of other bytes"):
        load(other, signer=signer)


def test_a_model_that_does_not_fit_its_contract_is_refused() -> None:
    with pytest.raises(ArtifactRefusedError, match=r"model\.onnx"):
        load(StoredArtifact(model=linear_model([1.0])))


def test_a_store_in_trouble_says_nothing_about_the_artifact() -> None:
    stored = StoredArtifact()
    s3 = FakeS3(stored.objects)
    s3.failing = "SlowDown"
    with pytest.raises(ClientError, match="SlowDown"):
        load_artifact(s3, "artifacts", PREFIX, stored.manifest_sha256)


def test_every_listed_file_is_verified_by_default() -> None:
    stored = StoredArtifact()
    manifest = Manifest.from_bytes(stored.objects[PREFIX + "manifest.json"])
    files = verify_files(manifest, lambda name: stored.objects[PREFIX + name])
    assert sorted(files) == ["contract.json", "model.onnx", "report.json", "training.json"]
    with pytest.raises(ArtifactRefusedError, match=r"report\.json"):
        verify_files(manifest, lambda name: stored.objects[PREFIX + name] + b"\n", names=["report.json"])
    with pytest.raises(ArtifactRefusedError, match=r"card\.html"):
        verify_files(manifest, lambda name: b"", names=["card.html"])


@pytest.mark.parametrize(
    "changes",
    [
        {"files": []},
        {"files": {"a": {"sha256": "x", "bytes": 1}}},
        {"files": {"a": {"sha256": sha256_hex(b""), "bytes": -1}}},
        {"version": "7"},
        {"signed": True},
    ],
)
def test_a_manifest_of_another_form_is_refused(changes: dict[str, object]) -> None:
    document = json.loads(StoredArtifact().objects[PREFIX + "manifest.json"])
    with pytest.raises(ManifestFormatError):
        Manifest.from_bytes(json.dumps({**document, **changes}).encode())
