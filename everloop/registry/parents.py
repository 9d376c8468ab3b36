"""Which version a training continues that was asked to: the champion, if its estimator was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.documents.pipeline import ParentState
from everloop.documents.records import TrainingUpdate, Trigger
from everloop.manifest import ESTIMATOR
from everloop.reasons import Reason
from everloop.registry.records import Version
from everloop.registry.store import RegistryStore
from everloop.retraining.update import trained_in_full

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

WARM = "warm"


def champion_of(store: RegistryStore) -> Version | None:
    """The version that serves."""
    champion = store.versions.champion()
    return None if champion is None else store.versions.get(champion.version)


def no_estimator(champion: Version | None) -> Reason | None:
    """Why there is nothing to continue; None where there is."""
    if champion is None:
        return Reason("warm_start_no_champion", "nothing serves yet, so there is no version to continue.")
    if ESTIMATOR not in champion.files:
        told = (
            f"version {champion.version} keeps no estimator to continue: training.warm_start was not declared when it"
            " was trained, or the estimator was too large, which its training's log says."
        )
        return Reason("warm_start_no_estimator", told)
    return None


def parent_state(version: Version, bucket: str) -> ParentState:
    """Where the kept estimator of a version stands, and what it has to be."""
    return {
        "version": version.version,
        "estimator_uri": f"s3://{bucket}/{version.artifact_prefix}{ESTIMATOR}",
        "estimator_sha256": version.files[ESTIMATOR]["sha256"],
    }


def update_of(trigger: Trigger, champion: Version | None, declaration: ModelDeclaration) -> TrainingUpdate | None:
    """How a training is to learn; None where it was not asked to continue anything."""
    if trigger.get("update") != WARM:
        return None
    against = no_estimator(champion)
    if declaration.training.warm_start is None:
        against = Reason("warm_start_undeclared", "training.warm_start is not declared.")
    if against is not None or champion is None:
        assert against is not None  # without a champion there is a reason
        return {"kind": "full", "reason": trained_in_full(against).as_dict(), "parent": None}
    told = Reason("warm_start_asked", f"Version {champion.version} is to be continued.")
    return {
        "kind": "warm",
        "reason": told.as_dict(),
        "parent": champion.version,
        "estimator_sha256": champion.files[ESTIMATOR]["sha256"],
    }
