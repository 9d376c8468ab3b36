"""A paused rollout keeps its traffic and its time, and is rolled back all the same where it is bad."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from everloop.functions.rollout.handler import act as handle
from everloop.instants import format_instant
from everloop.registry.exceptions import UnknownStatusError
from everloop.registry.trace import verify_audit
from everloop.rollout.conductor import Conductor
from everloop.rollout.pauses import LOOK_SECONDS, MOST_PAUSED
from tests.functions.rollout.test_handler import World, new_world
from tests.functions.rollout.test_rollback import all_but_promoted, bake, first_step
from tests.helpers.present import present

PERSON = "arn:aws:sts::123456789012:assumed-role/ops/ann"


def act(event: Any, using: Conductor) -> dict[str, Any]:
    """The handler's answer as the state machine reads it."""
    return {**handle(event, using)}


@pytest.fixture
def started() -> Iterator[World]:
    with new_world(World) as world:
        world.successor()
        yield world
        assert verify_audit(world.store).sound


def asked(world: World, action: str) -> None:
    rollout = {"rollout_id": world.rollout["rollout_id"]}
    event = {"action": action, "rollout": rollout, "reason": "look at it", "actor": PERSON}
    act({**event, "at": format_instant(world.now)}, world.conductor)


def looked(world: World, after: timedelta, phase: str = "canary") -> dict[str, Any]:
    world.minutes += after.total_seconds() / 60
    event = {"action": "check", "at": format_instant(world.now), "phase": phase, "rollout": world.rollout}
    return act(event, world.conductor)


def test_a_paused_step_does_not_end_and_goes_on_where_it_stood(started: World) -> None:
    first_step(started)
    seconds = started.conductor.declared.steps[0].minutes * 60
    started.traffic(100)
    asked(started, "pause")
    serving = started.function.serving()
    answer = looked(started, timedelta(seconds=3 * seconds))
    assert (answer["decision"], answer["reasons"][0]["code"]) == ("hold", "paused")
    assert answer["wait_seconds"] == LOOK_SECONDS
    assert started.function.serving() == serving
    asked(started, "resume")
    record = started.store.rollouts.get(started.rollout["rollout_id"])
    assert (record.paused_at, record.phase_paused_seconds, record.paused_seconds) == (None, 3 * seconds, 3 * seconds)
    # Nothing of the step passed meanwhile.
    assert looked(started, timedelta(seconds=seconds))["decision"] == "advance"


def test_what_is_bad_is_rolled_back_while_it_is_paused(started: World) -> None:
    first_step(started)
    asked(started, "pause")
    started.cloudwatch.requests(
        60,
        at=started.now + timedelta(minutes=1),
        version=started.rollout["lambda_version"],
        errors=60,
        weighted=True,
    )
    answer = looked(started, timedelta(minutes=5))
    assert (answer["decision"], answer["reasons"][0]["code"]) == ("rollback", "error_rate")


def test_nothing_is_promoted_while_it_is_paused_and_a_day_is_the_most(started: World) -> None:
    all_but_promoted(started)
    asked(started, "pause")
    assert looked(started, timedelta(hours=1))["decision"] == "hold"
    assert looked(started, MOST_PAUSED - timedelta(hours=1, seconds=30))["wait_seconds"] <= 31
    assert looked(started, timedelta(seconds=31))["decision"] == "promote"


@pytest.mark.slow
def test_a_paused_bake_keeps_the_version_before_warm(started: World) -> None:
    bake(started)
    asked(started, "pause")
    seconds = started.conductor.declared.bake_minutes * 60
    answer = looked(started, timedelta(seconds=min(seconds * 2, 80_000)), "bake")
    assert (answer["decision"], answer["reasons"][0]["code"]) == ("hold", "paused")
    asked(started, "resume")
    assert looked(started, timedelta(seconds=seconds), "bake")["decision"] == "ok"


def test_it_is_paused_once_and_audited_with_who_and_why(started: World) -> None:
    first_step(started)
    with pytest.raises(UnknownStatusError, match="is not paused"):
        asked(started, "resume")
    asked(started, "pause")
    started.minutes += 1
    with pytest.raises(UnknownStatusError, match="resume it first"):
        asked(started, "pause")
    asked(started, "resume")
    told = [r for r in started.store.ledger.audit_records() if r.action.startswith("rollout_") and r.actor == PERSON]
    assert [(r.action, r.reason) for r in told] == [
        ("rollout_paused", "look at it"),
        ("rollout_resumed", "look at it"),
    ]


def test_a_person_ends_a_canary_while_the_pipeline_goes_on(started: World) -> None:
    old = present(started.store.versions.champion()).lambda_version
    first_step(started)
    asked(started, "pause")
    why = [{"code": "taken_back", "sentence": "rolled back by hand: bad feeling"}]
    event = {"action": "rollback", "run": {"run_id": started.rollout["rollout_id"]}, "reasons": why, "actor": PERSON}
    act({**event, "only_canary": True, "at": format_instant(started.now)}, started.conductor)
    assert started.function.serving() == {old: 1}
    # The pipeline's next look finds it so, and its own rollback changes nothing.
    assert looked(started, timedelta(minutes=5))["decision"] == "rollback"
    assert started.act("rollback", rollout=started.rollout, reasons=[])["reasons"] == why
    assert started.function.serving() == {old: 1}
