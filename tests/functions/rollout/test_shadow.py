"""A rollout with a shadow: its candidate is asked before any caller meets it, and by callers alone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from everloop.cli.operations.stories import describe
from everloop.model_file.sections.rollout import Shadow
from everloop.registry.states import CANDIDATE, State
from everloop.registry.trace import verify_audit
from everloop.rollout.shadowing import Rows, Shadowing
from tests.functions.rollout.test_handler import World, new_world
from tests.helpers.declarations import binary_document, declare
from tests.helpers.present import present

SHADOW = {"minutes": 30, "minimum_rows": 20, "max_score_shift": 0.1}


class Unseen(World):
    """A world whose lake has what the champion answered."""

    def with_rows(self, probability: float, count: int = 20) -> list[str]:
        """Declare a shadow, with so many captured rows, and start a rollout; the queries that will be asked."""
        asked: list[str] = []
        row = {"key": "k", "prediction": "1.0", "probability": str(probability), "distance": None, "wind": "3.0"}
        row |= {"line": "north", "operator": None}

        def query(text: str) -> Rows:
            asked.append(text)
            return [{"prediction_id": f"r-{number}", **row} for number in range(count)]

        declared = self.conductor.declared.model_copy(update={"shadow": Shadow.model_validate(SHADOW)})
        shadowing = Shadowing(declare(binary_document(model="flights")), query)
        self.conductor = replace(self.conductor, declared=declared, shadowing=shadowing)
        self.from_nothing("a successor in its shadow", self._successor)
        return asked

    def state(self) -> State:
        """The candidate's."""
        state = self.store.versions.get(2).state
        pointed = {place for place in CANDIDATE if self.store.versions.place(place) == 2}
        assert pointed == {state} & set(CANDIDATE)
        return state


@pytest.fixture
def started() -> Iterator[Unseen]:
    with new_world(Unseen) as world:
        yield world
        assert verify_audit(world.store).sound


def test_a_candidate_meets_callers_once_it_has_answered_as_the_champion_did(started: Unseen) -> None:
    asked, champion = started.with_rows(probability=0.8), started.function.serving()
    # WHEN the shadow begins, THEN callers stay where they are, and nothing is asked before its time
    assert started.state() is State.SHADOW
    assert started.shift()["percent"] == 0
    assert started.state() is State.SHADOW
    assert describe(list(started.store.ledger.audit_records())[-1]) == "version 2: answers unseen"
    assert (started.check()["decision"], asked) == ("hold", [])
    # WHEN its time is over, THEN the candidate is asked what the champion answered
    started.minutes += 30
    invoked = started.function.calls.count("invoke")
    answer = started.check()
    assert (answer["decision"], answer["reasons"][0]["code"]) == ("advance", "shadow_kept")
    assert '"version" = 1' in asked[0]
    assert started.function.calls.count("invoke") == invoked + 21
    assert started.function.serving() == champion
    # WHEN the first step begins, THEN what the candidate was asked in that minute is not counted
    candidate = started.rollout["lambda_version"]
    started.cloudwatch.requests(50, at=started.now, version=candidate)
    assert started.shift()["percent"] == 10
    assert started.state() is State.STAGING
    assert started.function.serving()[candidate] == pytest.approx(0.1)
    started.minutes += 60
    assert started.check()["reasons"][0]["code"] == "waiting_for_traffic"
    started.traffic(100)
    assert started.check()["decision"] == "advance"


def test_one_that_scores_otherwise_never_meets_a_caller(started: Unseen) -> None:
    started.with_rows(probability=0.2)
    champion = started.function.serving()
    started.shift()
    started.minutes += 30
    answer = started.check()
    assert (answer["decision"], answer["reasons"][0]["code"]) == ("rollback", "shadow_score_shift")
    assert answer["reasons"][0]["value"] == pytest.approx(0.55)
    started.act("rollback", rollout=started.rollout, reasons=answer["reasons"])
    assert started.function.serving() == champion
    assert present(started.store.versions.champion()).version == 1
    assert started.state() is State.EXPERIMENTING


def test_a_shadow_without_steps_promotes_at_once(started: Unseen) -> None:
    started.conductor = replace(started.conductor, declared=started.conductor.declared.model_copy(update={"steps": []}))
    started.with_rows(probability=0.8)
    started.shift()
    started.minutes += 30
    assert started.check()["decision"] == "promote"
    started.act("promote", rollout=started.rollout)
    assert (present(started.store.versions.champion()).version, started.state()) == (2, State.PRODUCTION)


def test_one_without_enough_to_answer_waits_as_long_as_is_declared(started: Unseen) -> None:
    started.with_rows(probability=0.8, count=19)
    begun = len(started.function.calls)
    started.shift()
    started.minutes += 30
    assert started.check()["reasons"][0]["code"] == "waiting_for_traffic"
    started.minutes += started.conductor.declared.guardrail.max_hold_minutes
    answer = started.check()
    assert (answer["decision"], answer["reasons"][0]["code"]) == ("rollback", "too_little_traffic")
    assert started.function.calls[begun:].count("invoke") == 0
