"""The version that served before another one, and stands by for it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from everloop.recalibration.written import LONGEST_GROUPED_TEXT
from everloop.registry.records import Rollout, Version
from everloop.registry.store import RegistryStore
from everloop.serving.standby import Standby


def previous_champion(store: RegistryStore, number: int) -> Version | None:
    """The version to which the rollout that brought version ``number`` would have given the traffic back."""
    brought = _brought(store, number)
    if brought is None or brought.previous_version is None:
        return None
    return store.versions.get(brought.previous_version)


def stood_by(store: RegistryStore, number: int) -> Standby | None:
    """The version that ``number`` followed, with the calibration that it served with when that one was rolled out."""
    brought, version = _brought(store, number), previous_champion(store, number)
    if brought is None or version is None:
        return None
    published = store.calibrations.of(version.version)
    served = (one.calibration for one in published if one.lambda_version == brought.previous_lambda_version)
    return standby(version, calibration=next(served, ""))


def standby(version: Version, refused_until: datetime | None = None, calibration: str = "") -> Standby:
    """What a version that stands by is known by."""
    return Standby(
        version.version,
        version.artifact_prefix,
        version.manifest_sha256,
        refused_until,
        calibration,
        version.signer or "",
    )


def beside(found: Standby | None, own: str) -> Standby | None:
    """What stands by for a version with the calibration ``own``: without its own where there is no room for both.

    A function's variables have room for one calibration of the longest kind.
    """
    if found is None or len(json.dumps(found.calibration)) + len(own) <= LONGEST_GROUPED_TEXT:
        return found
    return replace(found, calibration="")


def _brought(store: RegistryStore, number: int) -> Rollout | None:
    rollouts = (one for one in store.rollouts.all() if one.kind == "version")
    return next((one for one in rollouts if one.version == number and one.promoted_at), None)
