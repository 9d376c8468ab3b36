"""Loads a model version from the artefact store, byte by byte what was evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from everloop.limits import largest_file
from everloop.manifest import CONTRACT, MANIFEST, MODEL, Manifest, require_hash, verify_files
from everloop.objects import ObjectTooLargeError, read_object
from everloop.recalibration.calibration import Calibration, group_places
from everloop.recalibration.exceptions import CalibrationFormatError
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.written import UNSPREAD
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import (
    ArtifactRefusedError,
    ContractFormatError,
    ManifestFormatError,
    ScorerError,
)
from everloop.serving.exchange import whole
from everloop.serving.rows import Rows
from everloop.serving.scorer import Scorer
from everloop.serving.scores import Scores
from everloop.shown import listed
from everloop.signature import SIGNATURE, require_signature

_AS_SAID = tuple(Scores._field_defaults.values())

CALIBRATION = "the function version's calibration"

# S3 answers 403 for a missing object to those who may not list the bucket.
_UNREADABLE = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "AccessDenied", "403", "404"})


@dataclass(frozen=True)
class Artifact:
    """A model version, ready to answer; without a calibration it serves what the model says.

    ``read`` gives the bytes of its other files by their names, where whoever loaded it can say them.
    """

    contract: ServingContract
    scorer: Scorer
    manifest: Manifest
    calibration: Calibration | None = None
    read: Callable[[str], bytes] | None = None

    def scores(self, raw: np.ndarray, rows: Rows) -> Scores:
        """What is served of the raw scores of a request's rows."""
        if self._serves_raw:
            return whole(Scores, (raw, raw, *_AS_SAID))
        places = None if self._places is None else self._places(rows)
        return Scores.of(raw, self.calibration, places, self.contract.interval)

    @cached_property
    def _serves_raw(self) -> bool:
        """Whether nothing is made of what the model says."""
        return self.calibration is None and self.contract.interval is None

    @cached_property
    def _places(self) -> Callable[[Rows], np.ndarray] | None:
        """The group of each row; None where all rows are served alike."""
        by = None if self.calibration is None else self.calibration.by
        column = None if by is None else group_column(self.contract, by)
        if by is None or column is None:
            return None
        array, place = column
        return lambda rows: group_places(by, getattr(rows, array)[:, place])


def group_column(contract: ServingContract, by: GroupBy) -> tuple[str, int] | None:
    """Which of a request's columns has the feature of the groups; None where the version has no such feature."""
    fields = contract.categories if by.values else contract.numbers
    names = [field.name for field in fields]
    return ("cat" if by.values else "num", names.index(by.feature)) if by.feature in names else None


def load_artifact(
    s3_client: Any,
    bucket: str,
    prefix: str,
    manifest_sha256: str,
    *,
    model: str | None = None,
    version: int | None = None,
    calibration: str = "",
    signer: str = "",
) -> Artifact:
    """Load and verify the artefact under ``prefix``.

    The chain starts at ``manifest_sha256``, which the function's own immutable configuration carries: it fixes the
    manifest, and the manifest fixes the files. With a ``signer``, the configuration says as well whose signature the
    manifest must have.

    Parameters
    ----------
    s3_client : boto3 S3 client
        Needs ``get_object``.
    prefix : str
        Ends with a slash.
    model, version : optional
        What the manifest and the contract must be of.
    calibration : str
        The text of the calibration it is served with; empty for none.
    signer : str
        The fingerprint of the key that must have signed the manifest; empty where the hash alone is checked.

    Raises
    ------
    ArtifactRefusedError
        When a file is absent, differs from its hash, or does not say what it has to, and for a calibration that is
        none of this model's. Any other failure of S3 (throttling, no
        network) is raised as it is: it says nothing about the artefact.
    """
    read = files_below(s3_client, bucket, prefix)
    return verified_artifact(
        read, manifest_sha256, model=model, version=version, calibration=calibration, signer=signer
    )


def files_below(s3_client: Any, bucket: str, prefix: str) -> Callable[[str], bytes]:
    """Reads the files of an artefact under ``prefix`` by their names.

    Raises
    ------
    ArtifactRefusedError
        The reader does, for a file that is not there or is too large.
    """
    return lambda name: _read(s3_client, bucket, f"{prefix}{name}")


def verified_artifact(
    read: Callable[[str], bytes],
    manifest_sha256: str,
    *,
    model: str | None = None,
    version: int | None = None,
    calibration: str = "",
    signer: str = "",
) -> Artifact:
    """Verify the artefact whose files ``read`` gives by their names; see :func:`load_artifact`.

    Raises
    ------
    ArtifactRefusedError
        As there, and whatever ``read`` raises.
    """
    manifest = verified_manifest(read, manifest_sha256, signer)
    try:
        _require(MANIFEST, "model", model, manifest.model)
        _require(MANIFEST, "version", version, manifest.version)
        files = verify_files(manifest, read, names=(CONTRACT, MODEL))
        contract = ServingContract.from_json(files[CONTRACT])
        _require(CONTRACT, "model", manifest.model, contract.model)
        scorer = Scorer.from_bytes(files[MODEL], contract)
        return Artifact(contract, scorer, manifest, _calibration(calibration, contract), read)
    except ContractFormatError as error:
        raise ArtifactRefusedError(CONTRACT, expected="a contract", found=str(error)) from error
    except ScorerError as error:
        raise ArtifactRefusedError(MODEL, expected="a model of its contract", found=str(error)) from error


def verified_manifest(read: Callable[[str], bytes], manifest_sha256: str, signer: str = "") -> Manifest:
    """The manifest of an artefact, which has this hash, and where a signer is named is signed by that key.

    Raises
    ------
    ArtifactRefusedError
    """
    content = read(MANIFEST)
    require_hash(MANIFEST, content, manifest_sha256)
    if signer:
        require_signature(content, read(SIGNATURE), signer, signed=MANIFEST)
    try:
        return Manifest.from_bytes(content)
    except ManifestFormatError as error:
        raise ArtifactRefusedError(MANIFEST, expected="a manifest", found=str(error)) from error


def _calibration(text: str, contract: ServingContract) -> Calibration | None:
    if not text:
        return None
    if contract.is_multiclass:
        raise ArtifactRefusedError(CALIBRATION, expected="none, since the version has several classes", found="one")
    wanted = "log_odds" if contract.is_classification else "value"
    try:
        calibration = Calibration.from_text(text)
    except CalibrationFormatError as error:
        raise ArtifactRefusedError(CALIBRATION, expected="a calibration", found=str(error)) from error
    if calibration.kind != wanted:
        raise ArtifactRefusedError(CALIBRATION, expected=f"kind {wanted!r}", found=f"kind {calibration.kind!r}")
    if contract.interval is None and calibration.spread != UNSPREAD:
        raise ArtifactRefusedError(
            CALIBRATION, expected="no spread, since the version has no interval", found=f"spread {calibration.spread}"
        )
    by = calibration.by
    if by is not None and group_column(contract, by) is None:
        kind = "category" if by.values else "number"
        names = [field.name for field in (contract.categories if by.values else contract.numbers)]
        raise ArtifactRefusedError(
            CALIBRATION, expected=f"groups of a {kind} feature of the version ({listed(names)})", found=repr(by.feature)
        )
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
