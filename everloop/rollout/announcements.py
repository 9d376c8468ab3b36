"""The events that tell the world what serves."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from everloop import __version__
from everloop.documents.records import Files
from everloop.names import CHAMPION_CALIBRATED, CHAMPION_PROMOTED, REGISTRY_SOURCE, VERSION_ROLLED_BACK
from everloop.reasons import ReasonDocument
from everloop.registry.records import Champion, Rollout, Version
from everloop.rollout.exceptions import EventNotAcceptedError


class ServedFrom(TypedDict):
    """Where the registered files stand, and the fingerprint of the key that signed their manifest; None for none."""

    bucket: str
    prefix: str
    manifest_sha256: str
    signer: str | None
    files: Files


class TrainedBy(TypedDict):
    """How they came to be."""

    run_id: str
    snapshot_hash: str
    code_sha256: str


class ServedWith(TypedDict):
    """The calibration between raw and served scores: its hash and its text, which is a file for `everloop serve`."""

    sha256: str
    text: str


class ServingManifest(TypedDict):
    """What serves, declared so that a repository can take it over, and another place serve the same.

    ``calibration`` is None where what the model says is served. ``declaration_sha256`` is the hash of the normalised
    declaration, which stands beside the archived manifest; ``release`` that of Everloop.
    """

    apiVersion: str
    kind: str
    model: str
    version: int
    artifact: ServedFrom
    calibration: ServedWith | None
    declaration_sha256: str
    release: str
    target: dict[str, str]
    trained_by: TrainedBy


class RolloutDetail(TypedDict):
    """The detail of an event: what serves from now on, if anything does; of a rollback also the reasons."""

    model: str
    version: int
    previous: int | None
    kind: str
    rollout_id: str
    manifest: NotRequired[ServingManifest]
    reasons: NotRequired[list[ReasonDocument]]


def serving_manifest(
    version: Version,
    *,
    bucket: str,
    target: dict[str, str],
    calibration: ServedWith | None = None,
    declaration_sha256: str = "",
) -> ServingManifest:
    """What serves, declared so that a repository can take it over."""
    return {
        "apiVersion": "everloop/v1",
        "kind": "ServingManifest",
        "model": version.model,
        "version": version.version,
        "artifact": {
            "bucket": bucket,
            "prefix": version.artifact_prefix,
            "manifest_sha256": version.manifest_sha256,
            "signer": version.signer,
            "files": version.files,
        },
        "calibration": calibration,
        "declaration_sha256": declaration_sha256,
        "release": __version__,
        "target": target,
        "trained_by": {
            "run_id": version.run_id,
            "snapshot_hash": version.snapshot_hash,
            "code_sha256": version.code_sha256,
        },
    }


class Announcer:
    """Puts the registry's events on the bus. Delivery is at least once: ``rollout_id`` tells repetitions.

    Parameters
    ----------
    client
        A boto3 ``events`` client.
    bus : str
        The bus's name.
    """

    def __init__(self, client: Any, bus: str) -> None:
        self.client = client
        self.bus = bus

    def promoted(self, rollout: Rollout, manifest: ServingManifest, *, at: datetime) -> None:
        """Say that a champion was promoted, or serves under new code."""
        self._put(CHAMPION_PROMOTED, {**_about(rollout), "manifest": manifest}, at)

    def rolled_back(self, rollout: Rollout, manifest: ServingManifest | None, *, at: datetime) -> None:
        """Say that a version was rolled back, why, and what serves now, if anything does."""
        detail: RolloutDetail = {**_about(rollout), "reasons": rollout.reasons}
        if manifest is not None:
            detail["manifest"] = manifest
        self._put(VERSION_ROLLED_BACK, detail, at)

    def calibrated(self, champion: Champion, manifest: ServingManifest, *, at: datetime) -> None:
        """Say that the champion serves with another calibration, or with none."""
        detail: RolloutDetail = {
            "model": champion.model,
            "version": champion.version,
            "previous": champion.version,
            "kind": "calibration",
            "rollout_id": champion.rollout_id,
            "manifest": manifest,
        }
        self._put(CHAMPION_CALIBRATED, detail, at)

    def _put(self, detail_type: str, detail: RolloutDetail, at: datetime) -> None:
        entry = {
            "Time": at,
            "Source": REGISTRY_SOURCE,
            "DetailType": detail_type,
            "Detail": json.dumps(detail, sort_keys=True),
            "EventBusName": self.bus,
        }
        answer = self.client.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            refused = answer["Entries"][0]
            raise EventNotAcceptedError(
                f"bus {self.bus} refused {detail_type!r} of rollout {detail['rollout_id']}:"
                f" {refused.get('ErrorCode')}: {refused.get('ErrorMessage')}"
            )


def _about(rollout: Rollout) -> RolloutDetail:
    return {
        "model": rollout.model,
        "version": rollout.version,
        "previous": rollout.previous_version,
        "kind": rollout.kind,
        "rollout_id": rollout.rollout_id,
    }
