"""Serve a version on this machine."""

from __future__ import annotations

import gc
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.cli.exceptions import CommandError
from everloop.environment import joined
from everloop.names import PREVIOUS_CHAMPION
from everloop.rollout.container_place import CALIBRATION_VARIABLE, DECLARED_VARIABLE
from everloop.serving.standby import STANDBY_VARIABLE

if TYPE_CHECKING:
    import socket

    from everloop.cli.account import Account
    from everloop.server.application import Application
    from everloop.serving.artifact import Artifact
    from everloop.serving.capture import RecordWriter
    from everloop.serving.fallback import Previous

CONTAINER_FOLDER = "/opt/ml/model"
"""Where SageMaker puts a container's model
(https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html)."""

INSTALL = "pip install 'everloop[serve]'"


@dataclass(frozen=True)
class Chosen:
    """What a person wants to be served, as typed."""

    artefact: str
    version: int | None = None
    manifest_sha256: str | None = None
    signed_by: str | None = None
    calibration: Path | None = None
    container: Mapping[str, str] = field(default_factory=dict)
    """The variables of a container of SageMaker's: a calibration and the declared features may be among them."""
    declaration: Any = None
    """The declaration as JSON values, where one is given."""

    def signer(self, known: str | None = None) -> str:
        """Whose signature is checked: who was named, or else who is ``known`` to have signed; empty for nobody's."""
        return self.signed_by or known or ""


@dataclass(frozen=True)
class Started:
    """A server that listens and answers nothing yet; ``facts`` say what it serves, and where."""

    application: Application
    listening: socket.socket
    facts: dict[str, Any]


@contextmanager
def uncollected() -> Iterator[None]:
    """What is made meanwhile is not looked through for garbage: modules stay, and hardly any of it is some."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def start(
    chosen: Chosen, *, host: str, port: int, queue: int, capture: Path | None, stream: str | None = None
) -> Started:
    """Load and verify what is to be served, and listen.

    Raises
    ------
    CommandError
        When the server is not installed, the artefact is refused, or the address is taken.
    """
    try:
        from everloop.server.application import Application
        from everloop.server.files import FileWriter
        from everloop.server.metrics import ServerMetrics
        from everloop.server.run import listen
        from everloop.serving.capture import CaptureWriter
        from everloop.serving.declared import WHOLE, declared_capturing, declared_fallback, declared_features
        from everloop.serving.service import PredictionService
        from everloop.serving.typed_rows import TypedReader  # noqa: F401  # asked for later, when none can say so
    except ModuleNotFoundError as error:
        raise CommandError(f"the package {error.name} is missing", INSTALL) from error
    artifact, signer = _artifact(chosen)
    model, version = artifact.manifest.model, artifact.manifest.version
    try:
        writer: RecordWriter | None = None if capture is None else FileWriter(capture)
    except OSError as error:
        raise CommandError(f"{capture} can't be written to: {error.strerror}", "choose another --capture") from error
    if stream:
        writer = CaptureWriter(_account().client("firehose"), stream)
    name = "" if artifact.calibration is None else _name_of(artifact)
    declared = joined(chosen.container, DECLARED_VARIABLE)
    document = chosen.declaration or (json.loads(declared) if declared else None)
    features = declared_features(document) if document else ()
    capturing = declared_capturing(document) if document else WHOLE
    if chosen.declaration and chosen.declaration["model"] != model:
        raise CommandError(
            f"{chosen.artefact} is a version of {model}, not of {chosen.declaration['model']}",
            "choose the model's own --declaration",
        )
    fallback = None
    if document and (told := declared_fallback(document)) is not None:
        from everloop.serving.fallback import Fallback

        previous = _previous(chosen)
        if previous is not None or told["use"] != PREVIOUS_CHAMPION:
            fallback = Fallback(model, told, document, version=version, source=None, previous=previous)
    service = PredictionService(model, lambda: artifact, writer, time.perf_counter, features, fallback, capturing)
    metrics = ServerMetrics(model, version, name, signer)
    application = Application(service, model, metrics, clock=partial(datetime.now, UTC), queue=queue)
    try:
        listening = listen(host, port)
    except OSError as error:
        raise CommandError(
            f"{host}:{port} can't be had: {error.strerror}", "choose another --host or --port"
        ) from error
    at = listening.getsockname()[1]
    facts = {
        "model": model,
        "version": version,
        "signed_by": signer or None,
        "calibration": name or None,
        "fallback": None if fallback is None else fallback.use,
        "capture": stream or (None if capture is None else str(capture)),
        "url": f"http://{f'[{host}]' if ':' in host else host}:{at}",
    }
    return Started(application, listening, facts)


def running(started: Started) -> None:
    """Answer until the process is told to stop."""
    from everloop.server.run import serve

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    serve(started.application, started.listening)


def _account() -> Account:
    """The account, where something of it is asked for: a folder that nobody captures needs none."""
    from everloop.cli.account import Account  # now: with the registry and the errors of AWS's SDK

    return Account()


def _previous(chosen: Chosen) -> Previous | None:
    """The version that a rollout told this container to have stand by; None elsewhere."""
    from everloop.serving.artifact import files_below
    from everloop.serving.fallback import Previous
    from everloop.serving.standby import Standby

    standby = Standby.from_text(joined(chosen.container, STANDBY_VARIABLE))
    if standby is None:
        return None
    bucket, _, prefix = standby.prefix.removeprefix("s3://").partition("/")
    # boto3 is imported when a file is first read: most containers never need one.
    return Previous(standby, lambda name: files_below(_account().client("s3"), bucket, prefix)(name))


def _name_of(artifact: Artifact) -> str:
    from everloop.recalibration.calibration import calibration_name

    return "" if artifact.calibration is None else calibration_name(artifact.calibration.sha256)


def _artifact(chosen: Chosen) -> tuple[Artifact, str]:
    """What is served, verified; and whose signature it has, empty where its hash alone was checked."""
    from everloop.server.files import files_of
    from everloop.serving.artifact import load_artifact, verified_artifact
    from everloop.serving.exceptions import ArtifactRefusedError

    folder, signer = Path(chosen.artefact), chosen.signer()
    try:
        if chosen.artefact.startswith("s3://"):
            bucket, _, prefix = chosen.artefact.removeprefix("s3://").partition("/")
            prefix = f"{prefix.rstrip('/')}/"
            s3, text = _account().client("s3"), _calibration(chosen)
            return load_artifact(s3, bucket, prefix, _hash(chosen), calibration=text, signer=signer), signer
        if folder.suffix == ".json" and folder.is_file():
            return _of_manifest(folder, chosen)
        if folder.is_dir() or chosen.artefact == CONTAINER_FOLDER or "/" in chosen.artefact:
            text = _calibration(chosen)
            return verified_artifact(files_of(folder), _hash(chosen), calibration=text, signer=signer), signer
        return _of_model(chosen)
    except ArtifactRefusedError as error:
        raise CommandError(
            f"{chosen.artefact} is not served: {error}", "`everloop trace MODEL` has the hashes of its versions"
        ) from error


def _of_manifest(path: Path, chosen: Chosen) -> tuple[Artifact, str]:
    """The version that a serving manifest names, with its calibration."""
    from everloop.serving.artifact import load_artifact

    if chosen.manifest_sha256 or chosen.calibration or chosen.version is not None:
        raise CommandError(
            f"{path} says which version is served, and with what calibration",
            "leave --version, --manifest-sha256 and --calibration out",
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        manifest = document.get("manifest", document)
        served, calibration = manifest["artifact"], manifest["calibration"]
        bucket, prefix, sha256 = (str(served[name]) for name in ("bucket", "prefix", "manifest_sha256"))
        model, version = str(manifest["model"]), int(manifest["version"])
        text = "" if calibration is None else str(calibration["text"])
        # A manifest of an earlier release does not say.
        signer = chosen.signer(served.get("signer"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandError(
            f"{path} is no serving manifest: {error!r}", "`everloop manifest MODEL --json` writes one"
        ) from error
    s3 = _account().client("s3")
    loaded = load_artifact(s3, bucket, prefix, sha256, model=model, version=version, calibration=text, signer=signer)
    return loaded, signer


def _of_model(chosen: Chosen) -> tuple[Artifact, str]:
    from everloop.serving.artifact import load_artifact

    if chosen.manifest_sha256:
        raise CommandError(
            f"{chosen.artefact!r} is no folder, and a model's hash is in its registry", "leave --manifest-sha256 out"
        )
    account, model = _account(), chosen.artefact
    account.model(model)
    store = account.registry(model)
    champion = store.versions.champion()
    if champion is None and chosen.version is None:
        raise CommandError(f"no version of {model} serves", f"`everloop train {model}`, or name one with --version")
    number = chosen.version if champion is None or chosen.version is not None else champion.version
    version = store.versions.get(int(number or 0))
    calibration = _calibration(chosen)
    if not calibration and champion is not None and champion.version == version.version:
        in_force = store.calibrations.in_force(champion)
        calibration = "" if in_force is None else in_force.calibration or ""
    signer = chosen.signer(version.signer)
    loaded = load_artifact(
        account.client("s3"),
        account.platform.artifact_bucket,
        version.artifact_prefix,
        version.manifest_sha256,
        model=model,
        version=version.version,
        calibration=calibration,
        signer=signer,
    )
    return loaded, signer


def _hash(chosen: Chosen) -> str:
    if chosen.version is not None:
        raise CommandError(
            f"{chosen.artefact} holds one version, and --version chooses among a model's", "leave --version out"
        )
    if not chosen.manifest_sha256:
        raise CommandError(
            f"nothing says which version {chosen.artefact} must hold",
            "pass --manifest-sha256 (or $EVERLOOP_MANIFEST_SHA256): `everloop trace MODEL` shows it",
        )
    return chosen.manifest_sha256


def _calibration(chosen: Chosen) -> str:
    if chosen.calibration is None:
        return joined(chosen.container, CALIBRATION_VARIABLE)
    return chosen.calibration.read_text(encoding="utf-8")
