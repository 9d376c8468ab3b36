"""A rollout as the pipeline carries it: the record, and what is waited for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from everloop.documents.pipeline import RolloutState
from everloop.instants import format_instant
from everloop.registry.records import Rollout


def rollout_state(rollout: Rollout) -> RolloutState:
    """The state after an action that nothing is waited for after."""
    return cast("RolloutState", {**rollout.to_json(), "wait_seconds": 0})


def watched_state(rollout: Rollout, *, at: datetime, wait_seconds: int, left_seconds: float) -> RolloutState:
    """The state after an action ``at``, when the next look comes after ``wait_seconds``.

    ``left_seconds`` is how long what is looked at lasts: the step, the bake, or the wait for traffic.
    """
    waits: RolloutState = {
        **rollout_state(rollout),
        "wait_seconds": wait_seconds,
        "wait_until": format_instant(at + timedelta(seconds=wait_seconds)),
        "phase_ends": format_instant(at + timedelta(seconds=left_seconds)),
    }
    return waits
