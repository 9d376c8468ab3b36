"""A rollout as the pipeline carries it: the record, and what is waited for."""

from __future__ import annotations

from datetime import datetime

from everloop.documents.pipeline import PreviousVersion, RolloutState
from everloop.instants import instant_text
from everloop.registry.records import Rollout
from everloop.typed_json import as_json


def rollout_state(rollout: Rollout, *, wait_seconds: int = 0) -> RolloutState:
    """The state after an action; the next look comes after ``wait_seconds``."""
    previous: PreviousVersion | None = None
    if rollout.previous_version is not None:
        previous = {"version": rollout.previous_version, "lambda_version": rollout.previous_lambda_version}
    return {
        "model": rollout.model,
        "rollout_id": rollout.rollout_id,
        "run_id": rollout.run_id,
        "kind": rollout.kind,
        "version": rollout.version,
        "lambda_version": rollout.lambda_version,
        "code_sha256": rollout.code_sha256,
        "fallback_lambda_version": rollout.fallback_lambda_version,
        "started_at": instant_text(rollout.started_at),
        "status": rollout.status,
        "previous_version": rollout.previous_version,
        "previous_lambda_version": rollout.previous_lambda_version,
        "previous_code_sha256": rollout.previous_code_sha256,
        "step_index": rollout.step_index,
        "percent": rollout.percent,
        "step_started_at": _text(rollout.step_started_at),
        "promoted_at": _text(rollout.promoted_at),
        "ended_at": _text(rollout.ended_at),
        "last_check": as_json(rollout.last_check),
        "reasons": rollout.reasons,
        "previous": previous,
        "first": previous is None,
        "shifted_at": _text(rollout.step_started_at),
        "wait_seconds": wait_seconds,
    }


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)
