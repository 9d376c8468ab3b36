"""A rollout as the pipeline carries it: the record, and what is waited for."""

from __future__ import annotations

from typing import cast

from everloop.documents.pipeline import RolloutState
from everloop.registry.records import Rollout


def rollout_state(rollout: Rollout, *, wait_seconds: int = 0) -> RolloutState:
    """The state after an action; the next look comes after ``wait_seconds``."""
    return cast("RolloutState", {**rollout.to_json(), "wait_seconds": wait_seconds})
