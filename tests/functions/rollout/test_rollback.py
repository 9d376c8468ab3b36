"""A rollback restores what served in one conditional write and one alias update, from every point of a rollout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from everloop.functions.rollout.handler import act as handle
from everloop.instants import format_instant
from everloop.registry.states import SERVING, State
from everloop.registry.trace import verify_audit
from everloop.rollout.conductor import Conductor
from tests.functions.rollout.test_handler import World, new_world
from tests.helpers.present import present


def act(event: Any, using: Conductor) -> dict[str, Any]:
    """The handler's answer as the state machine reads it."""
    return {**handle(event, using)}


@pytest.fixture
def started() -> Iterator[World]:
    with new_world(World) as world:
        world.successor()
        yield world
        assert verify_audit(world.store).sound


def first_step(world: World) -> None:
    world.shift()


def second_step(world: World) -> None:
    world.shift()
    world.traffic(100)
    assert world.check()["decision"] == "advance"
    world.shift()


def all_but_promoted(world: World) -> None:
    second_step(world)
    world.traffic(100)
    assert world.check()["decision"] == "promote"


def half_promoted(world: World) -> None:
    """The registry has the new champion; the alias still divides the traffic."""
    all_but_promoted(world)
    world.function.crash_before = ["update_alias"]
    with pytest.raises(ConnectionError):
        world.act("promote", rollout=world.rollout)
    assert present(world.store.versions.champion()).version == 2
    assert len(world.function.serving()) == 2


def bake(world: World) -> None:
    all_but_promoted(world)
    world.promote()


POINTS = [first_step, second_step, all_but_promoted, half_promoted, bake]


@pytest.mark.slow
@pytest.mark.parametrize("reach", POINTS)
def test_one_conditional_write_and_one_alias_update_restore_what_served(
    started: World, reach: Callable[[World], None]
) -> None:
    old = present(started.store.versions.champion()).lambda_version
    reach(started)
    updates, written = started.function.calls.count("update_alias"), started.client.transactions
    why = [{"code": "error_rate", "sentence": "everything failed"}]
    assert started.act("rollback", rollout=started.rollout, reasons=why)["rolled_back"]
    assert started.function.calls.count("update_alias") - updates == 1
    assert started.client.transactions - written == 1
    assert started.function.serving() == {old: 1}
    assert present(started.store.versions.champion()).version == 1
    assert started.store.versions.get(1).state in SERVING
    assert started.store.versions.get(2).state is State.EXPERIMENTING
    # AND again changes nothing
    assert started.act("rollback", rollout=started.rollout, reasons=why)["rolled_back"]
    assert started.client.transactions - written == 1
    assert started.function.serving() == {old: 1}


@pytest.mark.slow
@pytest.mark.parametrize(("reach", "phase"), [(first_step, "canary"), (second_step, "canary"), (bake, "bake")])
def test_a_version_that_fails_is_found_by_the_next_look(
    started: World, reach: Callable[[World], None], phase: str
) -> None:
    """GIVEN one bad minute in the middle of a step or of the bake, THEN the look after it rolls back."""
    reach(started)
    begun = started.now
    for minute in range(1, 13):
        failing = 12 if minute == 12 else 0
        started.cloudwatch.requests(
            12,
            at=begun + timedelta(minutes=minute, seconds=1),
            version=started.rollout["lambda_version"],
            errors=failing,
            weighted=phase == "canary",
        )
    decisions: list[str] = []
    at = begun + timedelta(seconds=61)
    while not decisions or decisions[-1] == "hold":
        event = {"action": "check", "at": format_instant(at), "phase": phase, "rollout": started.rollout}
        answer = act(event, started.conductor)
        decisions.append(answer["decision"])
        before, at = at, at + timedelta(seconds=answer["wait_seconds"])
    assert decisions[-1] == "rollback"
    assert before - begun <= timedelta(minutes=14)
    assert started.store.rollouts.get(started.rollout["rollout_id"]).last_check["reasons"][0]["code"] == "error_rate"


def test_a_look_that_changes_nothing_writes_nothing(started: World) -> None:
    started.shift()
    head, written = started.store.ledger.audit_head(), started.client.transactions
    for _ in range(3):
        assert started.check()["decision"] == "hold"
    assert (started.store.ledger.audit_head(), started.client.transactions) == (head, written)


@pytest.mark.slow
def test_what_came_before_the_rollout_is_read_until_it_is_complete_and_then_no_more(started: World) -> None:
    bake(started)
    began = started.store.rollouts.get(started.rollout["rollout_id"]).started_at
    stretches = []
    for minutes in (58, 61, 62, 63):
        at, before = began + timedelta(minutes=minutes), len(started.cloudwatch.asked)
        event = {"action": "check", "at": format_instant(at), "phase": "bake", "rollout": started.rollout}
        assert act(event, started.conductor)["decision"] == "hold"
        stretches.append([end <= began + timedelta(minutes=1) for _, end in started.cloudwatch.asked[before:]])
    # Each look reads the version, and the first two also what was before it.
    assert stretches == [[False, True], [False, True], [False], [False]]
