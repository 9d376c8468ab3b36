"""Registers what a run produced: the evaluated files, copied byte for byte, under a new version.

Where a refit serves, its files stand in their place, and the evaluated ones beside them: below ``evaluated/``.

Order: hash the evaluated files, take the number (state ``experimenting``), copy the files, write the manifest last,
and only then move to ``evaluated``. So a version that may go on always has all of its files, and a retry after a
crash finds its number and finishes the copy. The platform's key signs the manifest; the signature stands beside it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from everloop.documents.pipeline import GateState, RefitState
from everloop.documents.records import EnvironmentRecord, Files, GateVerdict, RefitChoice, TrainingUpdate
from everloop.documents.training import UpdateDocument
from everloop.json_text import read_json
from everloop.limits import largest_file
from everloop.manifest import (
    ESTIMATOR,
    EVALUATED,
    FILES,
    MANIFEST,
    MODEL,
    REFIT,
    REPORT,
    SIBLING,
    TRAINING,
    Manifest,
    file_entries,
    restored_report,
)
from everloop.objects import ObjectTooLargeError, read_object
from everloop.registry.exceptions import ArtifactMismatchError, ArtifactMissingError
from everloop.registry.records import Version
from everloop.registry.signing import SigningKey
from everloop.registry.store import RegistryStore
from everloop.shown import shown
from everloop.signature import SIGNATURE
from everloop.typed_json import JsonObject, read_as

_TYPES = {"onnx": "application/octet-stream", "zip": "application/zip", "json": "application/json"}


@dataclass(frozen=True)
class Candidate:
    """What there is to register.

    Attributes
    ----------
    evaluation_uri : str
        ``s3://bucket/prefix/`` the evaluation wrote to.
    gate : GateState
        The gate's answer.
    refit : RefitState or None
        The gate's answer on the refit; None where no refit was to be made.
    refit_uri : str or None
        ``s3://bucket/prefix/`` the check wrote to.
    """

    run_id: str
    snapshot_hash: str
    evaluation_uri: str
    gate: GateState
    refit: RefitState | None = None
    refit_uri: str | None = None


def recorded_verdict(gate: GateState) -> GateVerdict:
    """What a version's record keeps of the gate's answer."""
    kept = GateVerdict(verdict=gate["verdict"], reasons=gate["reasons"], report_sha256=gate["report_sha256"])
    money = gate.get("money")
    if money is not None:
        kept["money"] = money
    return kept


def register_candidate(
    candidate: Candidate,
    *,
    store: RegistryStore,
    s3: Any,
    artifact_bucket: str,
    key: SigningKey,
    at: datetime,
    actor: str,
) -> Version:
    """Register a candidate, sign its manifest and store its files. Once per run, repeatable.

    Parameters
    ----------
    s3
        A boto3 ``s3`` client.
    key : SigningKey
        Signs the manifest.

    Returns
    -------
    Version
        ``evaluated`` when the gate passed, else ``experimenting`` with the gate's reasons.

    Raises
    ------
    ArtifactMissingError
        When a file is not there.
    ArtifactMismatchError
        When the report is not the one the gate judged, the files are not what it says was evaluated, or they differ
        from what was registered before, or another key is to sign them than did then.
    SigningRefusedError
        When the key does not sign.
    """
    contents = {name: _read(s3, candidate.evaluation_uri, name) for name in FILES}
    check_judged(contents["report.json"], candidate.gate["report_sha256"], candidate.evaluation_uri)
    report = _document(contents["report.json"], f"{candidate.evaluation_uri}report.json")
    check_report(report, contents, model=store.model, candidate=candidate)
    contents = with_refit(_with_estimator(contents, report, candidate.evaluation_uri, s3), candidate, s3)
    files: Files = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in contents.items()
    }
    code_sha256 = str(report["code_sha256"])

    version = store.versions.register(
        run_id=candidate.run_id,
        snapshot_hash=candidate.snapshot_hash,
        code_sha256=code_sha256,
        files=files,
        metrics=candidate.gate["metrics"],
        gate=recorded_verdict(candidate.gate),
        refit=recorded_choice(candidate.refit),
        update=recorded_update(contents[TRAINING], candidate.evaluation_uri),
        environment=recorded_environment(report),
        signer=key.signer,
        at=at,
        actor=actor,
    )
    sealed = Manifest(
        model=store.model,
        version=version.version,
        run_id=candidate.run_id,
        snapshot_hash=candidate.snapshot_hash,
        code_sha256=code_sha256,
        created_at=version.created_at,
        files=file_entries(files),
        training_days=store.runs.get(candidate.run_id).training_days,
        parent_version=version.parent_version,
    )
    if sealed.sha256 != version.manifest_sha256:
        raise ArtifactMismatchError(
            f"run {candidate.run_id} is registered as version {version.version} with other files than"
            f" {candidate.evaluation_uri} has now; start a new run"
        )
    for name, data in [*contents.items(), *_signed(sealed, version, key), (MANIFEST, sealed.content)]:
        _write(s3, artifact_bucket, version.artifact_prefix + name, data)
    if candidate.gate["verdict"] != "pass":
        return version
    return store.versions.mark_evaluated(version.version, at=at, actor=actor)


def _signed(sealed: Manifest, version: Version, key: SigningKey) -> list[tuple[str, bytes]]:
    """The signature's file; none where a release before registered the version, and only its files are completed.

    Raises
    ------
    ArtifactMismatchError
        When another key is recorded as the one that signs it.
    """
    if version.signer is None:
        return []
    if version.signer != key.signer:
        raise ArtifactMismatchError(
            f"version {version.version} is registered as signed by key {version.signer}, and the platform's key is"
            f" {key.signer} now; start a new run"
        )
    return [(SIGNATURE, key.sign(sealed.content).to_bytes())]


def recorded_update(training: bytes, uri: str) -> TrainingUpdate | None:
    """What ``training.json`` says of a training that was asked to continue the champion, as the registry keeps it.

    Raises
    ------
    ArtifactMismatchError
        When it says so in another form.
    """
    document = _document(training, f"{uri}{TRAINING}")
    if "update" not in document:
        return None
    told = read_as(
        UpdateDocument, document["update"], f"{TRAINING}: update", "start a new run", refusal=ArtifactMismatchError
    )
    parent = told["parent"]
    return {
        "kind": told["kind"],
        "reason": told["reason"],
        "rows": told["rows"],
        "parent": None if parent is None else parent["version"],
        "parent_trees": None if parent is None else parent["trees"],
        "estimator_sha256": None if parent is None else parent["estimator_sha256"],
    }


def recorded_environment(report: Mapping[str, object]) -> EnvironmentRecord | None:
    """What an evaluation's report says of where it ran, as the registry keeps it.

    Raises
    ------
    ArtifactMismatchError
        When it says so in another form.
    """
    if report.get("environment") is None:
        return None
    return read_as(
        EnvironmentRecord,
        report["environment"],
        "report.json: environment",
        "start a new run",
        refusal=ArtifactMismatchError,
    )


def recorded_choice(refit: RefitState | None) -> RefitChoice:
    """The choice between the refit and the evaluated model, as the registry keeps it."""
    if refit is None:
        return {}
    return {"serves": refit["serves"], "reasons": refit["reasons"], "report_sha256": refit["report_sha256"]}


def with_refit(evaluated: dict[str, bytes], candidate: Candidate, s3: Any) -> dict[str, bytes]:
    """The files to register: the evaluated ones, with what there is of a refit.

    Raises
    ------
    ArtifactMissingError
        When a file of the refit is not there.
    ArtifactMismatchError
        When the check's report is not the one that was judged, or the files are not the ones it is about.
    """
    refit, uri = candidate.refit, candidate.refit_uri
    if refit is None or refit["report_sha256"] is None or uri is None:
        return evaluated
    judged = refit["report_sha256"]
    report = _read(s3, uri, REFIT)
    found = hashlib.sha256(report).hexdigest()
    if found != judged:
        raise ArtifactMismatchError(
            f"{uri}{REFIT} has sha256 {found}, and one with {judged} was judged: the file was replaced in between;"
            " find out who writes there, then start a new run"
        )
    if refit["serves"] != "refit":
        return {**evaluated, REFIT: report}
    document = _document(report, f"{uri}{REFIT}")
    hashes = _hashes_of(document)
    serving = _with_estimator({name: _read(s3, uri, name) for name in EVALUATED}, document, uri, s3)
    for name, data in serving.items():
        found = hashlib.sha256(data).hexdigest()
        if hashes.get(name) != found:
            raise ArtifactMismatchError(
                f"{uri}{REFIT} belongs to other files: {name} was checked with sha256 {shown(hashes.get(name))},"
                f" and is {found}; start a new run"
            )
    sibling = {SIBLING + name: evaluated[name] for name in EVALUATED}
    # Of the two estimators that of what serves is kept: the next training continues what serves.
    rest = {name: data for name, data in evaluated.items() if name != ESTIMATOR}
    return {**rest, **serving, **sibling, REFIT: report}


def _hashes_of(report: Mapping[str, object]) -> Mapping[str, object]:
    """The SHA-256 that a report has of each file that it is about."""
    hashes = report.get("files")
    return hashes if isinstance(hashes, dict) else {}


def _with_estimator(contents: dict[str, bytes], report: Mapping[str, object], uri: str, s3: Any) -> dict[str, bytes]:
    """The files with the kept estimator, where the report is about one.

    Raises
    ------
    ArtifactMissingError, ArtifactMismatchError
        When it is not there, or is another one.
    """
    expected = _hashes_of(report).get(ESTIMATOR)
    if expected is None:
        return contents
    kept = _read(s3, uri, ESTIMATOR)
    found = hashlib.sha256(kept).hexdigest()
    if found != expected:
        raise ArtifactMismatchError(
            f"{uri}{ESTIMATOR} was evaluated with sha256 {shown(expected)}, and is {found}; start a new run"
        )
    return {**contents, ESTIMATOR: kept}


def store_new_report(
    evaluation_uri: str, prefix: str, run_id: str, *, judged: str, s3: Any, artifact_bucket: str
) -> None:
    """Keep the report of a later evaluation of a registered version beside its files, once for each run.

    Parameters
    ----------
    evaluation_uri : str
        ``s3://bucket/prefix/`` the evaluation wrote to.
    prefix : str
        Of the version's artefact; the report stands below ``restored/<run>/``.
    judged : str
        SHA-256 of the report that the gate read.

    Raises
    ------
    ArtifactMissingError, ArtifactMismatchError
        When it is not there, or is another one.
    """
    report = _read(s3, evaluation_uri, REPORT)
    check_judged(report, judged, evaluation_uri)
    _write(s3, artifact_bucket, restored_report(prefix, run_id), report)


def check_judged(report: bytes, judged: str, evaluation_uri: str) -> None:
    """Refuse a report that is not, byte for byte, the one the gate judged.

    The report and what it is about lie in the lake, where they can be exchanged together.

    Raises
    ------
    ArtifactMismatchError
        Naming both hashes.
    """
    found = hashlib.sha256(report).hexdigest()
    if found != judged:
        raise ArtifactMismatchError(
            f"{evaluation_uri}report.json has sha256 {found}, and the gate judged one with {judged}: the file was"
            " replaced in between; find out who writes there, then start a new run"
        )


def check_report(report: Mapping[str, object], contents: dict[str, bytes], *, model: str, candidate: Candidate) -> None:
    """Refuse files that are not the ones the report is about.

    Raises
    ------
    ArtifactMismatchError
        Naming every field that does not match.
    """
    evaluated = {
        "model": model,
        "run_id": candidate.run_id,
        "snapshot_hash": candidate.snapshot_hash,
        "artifact_bytes": len(contents[MODEL]),
    }
    wrong = [
        f"{name} is {shown(report.get(name))}, not {expected!r}"
        for name, expected in evaluated.items()
        if report.get(name) != expected
    ]
    hashes = _hashes_of(report)
    for name in EVALUATED:
        found = hashlib.sha256(contents[name]).hexdigest()
        if hashes.get(name) != found:
            wrong.append(f"{name} was evaluated with sha256 {shown(hashes.get(name))}, and is {found}")
    if not report.get("code_sha256"):
        wrong.append("code_sha256 is missing")
    if wrong:
        raise ArtifactMismatchError(
            f"{candidate.evaluation_uri}report.json belongs to other files: {'; '.join(wrong)}; start a new run"
        )


def _document(content: bytes, place: str) -> JsonObject:
    try:
        document = read_json(content)
    except ValueError as error:
        raise ArtifactMismatchError(f"{place} is not JSON: {error}; start a new run") from error
    if not isinstance(document, dict):
        raise ArtifactMismatchError(f"{place} is not a JSON object; start a new run")
    return document


def _read(s3: Any, uri: str, name: str) -> bytes:
    parts = urlsplit(uri)
    key = f"{parts.path.strip('/')}/{name}"
    try:
        return read_object(s3, parts.netloc, key, largest_file(name))
    except ObjectTooLargeError as error:
        raise ArtifactMismatchError(
            f"{error}: an evaluation never writes such a large file; train a smaller model"
        ) from error
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
            raise
        raise ArtifactMissingError(
            f"s3://{parts.netloc}/{key} is missing; the evaluation should have written it: start a new run"
        ) from error


def _write(s3: Any, bucket: str, key: str, data: bytes) -> None:
    # With its checksum: S3 refuses the upload unless exactly these bytes arrive.
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    content_type = _TYPES[key.rsplit(".", 1)[-1]]
    s3.put_object(
        Bucket=bucket,
        Key=key,
        Body=data,
        ChecksumAlgorithm="SHA256",
        ChecksumSHA256=checksum,
        ContentType=content_type,
    )
