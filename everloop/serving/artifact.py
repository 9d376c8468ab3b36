"""Loads a model version from the artefact store, byte by byte what was evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from everloop.limits import largest_file
from everloop.manifest import CONTRACT, MANIFEST, MODEL, Manifest, require_hash, verify_files
from everloop.objects import ObjectTooLargeError, read_object
from everloop.recalibration.calibration import Calibration
from everloop.recalibration.exceptions import CalibrationFormatError
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import (
    ArtifactRefusedError,
    ContractFormatError,
    ManifestFormatError,
    ScorerError,
)
from everloop.serving.scorer import Scorer

CALIBRATION = "the function version's calibration"

# S3 answers 403 for a missing object to those who may not list the bucket.
_UNREADABLE = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "AccessDenied", "403", "404"})


@dataclass(frozen=True)
class Artifact:
    """A model version, ready to answer; without a calibration it serves what the model says."""

    contract: ServingContract
    scorer: Scorer
    manifest: Manifest
    calibration: Calibration | None = None


def load_artifact(
    s3_client: Any,
    bucket: str,
    prefix: str,
    manifest_sha256: str,
    *,
    model: str | None = None,
    version: int | None = None,
    calibration: str = "",
) -> Artifact:
    """Load and verify the artefact under ``prefix``.

    The chain starts at ``manifest_sha256``, which the function's own immutable configuration carries: it fixes the
    manifest, and the manifest fixes the files.

    Parameters
    ----------
    s3_client : boto3 S3 client
        Needs ``get_object``.
    prefix : str
        Ends with a slash.
    model, version : optional
        What the manifest and the contract have to be of.
    calibration : str
        The text of the calibration it is served with; empty for none.

    Raises
    ------
    ArtifactRefusedError
        When a file is absent, differs from its hash, or does not say what it has to, and for a calibration that is
        none of this model's. Any other failure of S3 (throttling, no
        network) is raised as it is: it says nothing about the artefact.
    """

    def read(name: str) -> bytes:
        return _read(s3_client, bucket, f"{prefix}{name}")

    manifest_bytes = read(MANIFEST)
    require_hash(MANIFEST, manifest_bytes, manifest_sha256)
    try:
        manifest = Manifest.from_bytes(manifest_bytes)
        _require(MANIFEST, "model", model, manifest.model)
        _require(MANIFEST, "version", version, manifest.version)
        files = verify_files(manifest, read, names=(CONTRACT, MODEL))
        contract = ServingContract.from_json(files[CONTRACT])
        _require(CONTRACT, "model", manifest.model, contract.model)
        scorer = Scorer.from_bytes(files[MODEL], contract)
        return Artifact(contract, scorer, manifest, _calibration(calibration, contract))
    except ManifestFormatError as error:
        raise ArtifactRefusedError(MANIFEST, expected="a manifest", found=str(error)) from error
    except ContractFormatError as error:
        raise ArtifactRefusedError(CONTRACT, expected="a contract", found=str(error)) from error
    except ScorerError as error:
        raise ArtifactRefusedError(MODEL, expected="a model of its contract", found=str(error)) from error


def _calibration(text: str, contract: ServingContract) -> Calibration | None:
    if not text:
        return None
    wanted = "log_odds" if contract.is_classification else "value"
    try:
        calibration = Calibration.from_text(text)
    except CalibrationFormatError as error:
        raise ArtifactRefusedError(CALIBRATION, expected="a calibration", found=str(error)) from error
    if calibration.kind != wanted:
        raise ArtifactRefusedError(CALIBRATION, expected=f"kind {wanted!r}", found=f"kind {calibration.kind!r}")
    return calibration


def _require(file: str, what: str, expected: Any, found: Any) -> None:
    if expected is not None and expected != found:
        raise ArtifactRefusedError(file, expected=f"{what} {expected!r}", found=f"{what} {found!r}")


def _read(s3_client: Any, bucket: str, key: str) -> bytes:
    try:
        return read_object(s3_client, bucket, key, largest_file(key))
    except ObjectTooLargeError as error:
        name = key.rsplit("/", 1)[-1]
        raise ArtifactRefusedError(name, expected=f"at most {error.most:,} bytes", found=error.found) from error
    except Exception as error:
        # botocore's ClientError, recognised by its shape so that this package does not import the SDK.
        code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
        if code in _UNREADABLE:
            place = f"s3://{bucket}/{key}"
            raise ArtifactRefusedError(key.rsplit("/", 1)[-1], expected=place, found=code) from error
        raise
