"""Registers what a run produced: the evaluated files, copied byte for byte, under a new version.

Where a refit serves, its files stand in their place, and the evaluated ones beside them: below ``evaluated/``.

Order: hash the evaluated files, take the number (state ``experimenting``), copy the files, write the manifest last,
and only then move to ``evaluated``. So a version that may go on always has all of its files, and a retry after a
crash finds its number and finishes the copy.
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
from everloop.documents.records import Files, GateVerdict, RefitChoice
from everloop.json_text import read_json
from everloop.limits import largest_file
from everloop.manifest import EVALUATED, FILES, MANIFEST, MODEL, REFIT, SIBLING, Manifest, file_entries
from everloop.objects import ObjectTooLargeError, read_object
from everloop.registry.exceptions import ArtifactMismatchError, ArtifactMissingError
from everloop.registry.records import Version
from everloop.registry.store import RegistryStore
from everloop.shown import shown
from everloop.typed_json import JsonObject

_TYPES = {"onnx": "application/octet-stream", "json": "application/json"}


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


def register_candidate(
    candidate: Candidate, *, store: RegistryStore, s3: Any, artifact_bucket: str, at: datetime, actor: str
) -> Version:
    """Register a candidate and store its files. Once per run, repeatable.

    Parameters
    ----------
    s3
        A boto3 ``s3`` client.

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
        from what was registered before.
    """
    contents = {name: _read(s3, candidate.evaluation_uri, name) for name in FILES}
    check_judged(contents["report.json"], candidate)
    report = _document(contents["report.json"], f"{candidate.evaluation_uri}report.json")
    check_report(report, contents, model=store.model, candidate=candidate)
    contents = with_refit(contents, candidate, s3)
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
        gate=GateVerdict(
            verdict=candidate.gate["verdict"],
            reasons=candidate.gate["reasons"],
            report_sha256=candidate.gate["report_sha256"],
        ),
        refit=recorded_choice(candidate.refit),
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
    )
    if sealed.sha256 != version.manifest_sha256:
        raise ArtifactMismatchError(
            f"run {candidate.run_id} is registered as version {version.version} with other files than"
            f" {candidate.evaluation_uri} holds now; start a new run"
        )
    for name, data in [*contents.items(), (MANIFEST, sealed.content)]:
        _write(s3, artifact_bucket, version.artifact_prefix + name, data)
    if candidate.gate["verdict"] != "pass":
        return version
    return store.versions.mark_evaluated(version.version, at=at, actor=actor)


def recorded_choice(refit: RefitState | None) -> RefitChoice:
    """The choice between two siblings as the registry keeps it."""
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
            f"{uri}{REFIT} has sha256 {found}, and one with {judged} was judged: it was exchanged in between; find out"
            " who writes there, then start a new run"
        )
    if refit["serves"] != "refit":
        return {**evaluated, REFIT: report}
    hashes = _document(report, f"{uri}{REFIT}").get("files")
    hashes = hashes if isinstance(hashes, dict) else {}
    serving = {name: _read(s3, uri, name) for name in EVALUATED}
    for name, data in serving.items():
        found = hashlib.sha256(data).hexdigest()
        if hashes.get(name) != found:
            raise ArtifactMismatchError(
                f"{uri}{REFIT} is not about these files: {name} was checked with sha256 {shown(hashes.get(name))}, and"
                f" is {found}; start a new run"
            )
    sibling = {SIBLING + name: evaluated[name] for name in EVALUATED}
    return {**evaluated, **serving, **sibling, REFIT: report}


def check_judged(report: bytes, candidate: Candidate) -> None:
    """Refuse a report that is not, byte for byte, the one the gate judged.

    The report and what it is about lie in the lake, where they can be exchanged together.

    Raises
    ------
    ArtifactMismatchError
        Naming both hashes.
    """
    judged, found = candidate.gate["report_sha256"], hashlib.sha256(report).hexdigest()
    if found != judged:
        raise ArtifactMismatchError(
            f"{candidate.evaluation_uri}report.json has sha256 {found}, and the gate judged one with {judged}: it was"
            " exchanged in between; find out who writes there, then start a new run"
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
    hashes = report.get("files")
    hashes = hashes if isinstance(hashes, dict) else {}
    for name in EVALUATED:
        found = hashlib.sha256(contents[name]).hexdigest()
        if hashes.get(name) != found:
            wrong.append(f"{name} was evaluated with sha256 {shown(hashes.get(name))}, and is {found}")
    if not report.get("code_sha256"):
        wrong.append("code_sha256 is missing")
    if wrong:
        raise ArtifactMismatchError(
            f"{candidate.evaluation_uri}report.json is not about these files: {'; '.join(wrong)}; evaluate again"
        )


def _document(content: bytes, place: str) -> JsonObject:
    try:
        document = read_json(content)
    except ValueError as error:
        raise ArtifactMismatchError(f"{place} is not JSON: {error}; evaluate again") from error
    if not isinstance(document, dict):
        raise ArtifactMismatchError(f"{place} is no JSON object; evaluate again")
    return document


def _read(s3: Any, uri: str, name: str) -> bytes:
    parts = urlsplit(uri)
    key = f"{parts.path.strip('/')}/{name}"
    try:
        return read_object(s3, parts.netloc, key, largest_file(name))
    except ObjectTooLargeError as error:
        raise ArtifactMismatchError(f"{error}: no evaluation passes on as much; train a smaller model") from error
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
            raise
        raise ArtifactMissingError(f"s3://{parts.netloc}/{key} is missing; the evaluation writes it") from error


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
