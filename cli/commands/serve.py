"""``everloop serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from everloop.cli.operations.serving import CONTAINER_FOLDER, Chosen, running, start, uncollected
from everloop.cli.options import json_option
from everloop.cli.output import Output
from everloop.rollout.container_place import ARTEFACT_VARIABLE
from everloop.server.container import container_variables


@click.command()
@click.argument("artefact", default=CONTAINER_FOLDER, envvar=ARTEFACT_VARIABLE)
@click.option("--version", type=int, help="The version of the model, where ARTEFACT is a model. [the champion]")
@click.option(
    "--manifest-sha256",
    envvar="EVERLOOP_MANIFEST_SHA256",
    help="The hash of manifest.json, where ARTEFACT is a folder or an S3 address. [$EVERLOOP_MANIFEST_SHA256]",
)
@click.option(
    "--signed-by",
    envvar="EVERLOOP_SIGNER",
    metavar="FINGERPRINT",
    help="Whose signature the manifest must have: SHA-256 of the key. [$EVERLOOP_SIGNER, the registry's or serving"
    " manifest's; for a folder or an S3 address none is checked]",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The calibration to serve with, a file. [the one in use, where ARTEFACT is a model; else none]",
)
@click.option(
    "--declaration",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="The model.yaml: features that the version does not use are taken, and its fallback answers.",
)
@click.option(
    "--host", default="127.0.0.1", envvar="EVERLOOP_HOST", show_default=True, help="The address to listen at."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, envvar="SAGEMAKER_BIND_TO_PORT", show_default=True,
    help="The port to listen at; 0 takes a free one.",
)  # fmt: skip
@click.option(
    "--queue", type=click.IntRange(min=1), default=64, show_default=True,
    help="Requests that may wait; one more is refused with 429.",
)  # fmt: skip
@click.option(
    "--capture", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Append each predicted row to FILE, a JSON line each. [nothing is captured]",
)  # fmt: skip
@click.option(
    "--stream", envvar="EVERLOOP_PREDICTIONS_STREAM", metavar="NAME",
    help="Put each predicted row on a Firehose stream before it is answered. [$EVERLOOP_PREDICTIONS_STREAM]",
)  # fmt: skip
@json_option
def serve(
    artefact: str,
    version: int | None,
    manifest_sha256: str | None,
    signed_by: str | None,
    calibration: Path | None,
    declaration: Path | None,
    host: str,
    port: int,
    queue: int,
    capture: Path | None,
    stream: str | None,
    as_json: bool,
) -> None:
    """Serve a version on this machine until it is stopped, by all protocols.

    ARTEFACT is a deployed model (its champion, or --version), a folder with a version's files, their S3 address, or a
    file with a serving manifest (`everloop manifest`). By default it is $EVERLOOP_ARTEFACT, or /opt/ml/model, where
    SageMaker puts a container's model. Each file is held against its hash before it is served, and the manifest
    against its signature where it is known who signed. /metrics has what Prometheus reads. `everloop docs serve` says
    more.
    """
    output = Output(as_json)
    if capture is not None and stream:
        raise click.UsageError("rows are captured in one place: leave --capture or --stream out")
    declared = None if declaration is None else _as_json(declaration)
    chosen = Chosen(artefact, version, manifest_sha256, signed_by, calibration, container_variables(), declared)
    with uncollected():
        started = start(chosen, host=host, port=port, queue=queue, capture=capture, stream=stream)
    output.document(started.facts)
    output.say(f"{started.facts['model']}, version {started.facts['version']}, at {started.facts['url']}")
    signer = started.facts["signed_by"]
    output.say(f"signed by key {signer}" if signer else "not signed, or no --signed-by: the hash alone was checked")
    output.say(
        f"calibration: {started.facts['calibration'] or 'none'}; captured: {started.facts['capture'] or 'nothing'}"
    )
    running(started)


def _as_json(path: Path) -> dict[str, Any]:
    from everloop.model_file.reader import read_model_file  # now: few servers are told of one

    return read_model_file(path).model_dump(mode="json")
