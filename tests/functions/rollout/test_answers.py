"""A rollout whose answers are judged: both versions are asked what callers asked, in its steps and in its bake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from everloop.model_file.sections.rollout import ScoresGuardrail
from everloop.registry.trace import verify_audit
from everloop.rollout.answered import Answering, Captured
from tests.functions.rollout.test_handler import World, new_world
from tests.helpers.declarations import binary_document, declare


class Compared(World):
    """A world whose lake has what the champion answered; the other version answers 0.75."""

    def with_rows(self, probability: float) -> None:
        """Declare how far scores may lie apart, and let each quarter of an hour have a hundred rows."""
        row = {"version": "1", "key": "k", "prediction": "1.0", "_score": str(probability), "distance": None}
        row |= {"wind": "3.0", "line": "north", "operator": None}

        def query(text: str) -> list[Captured]:
            return [
                {"prediction_id": f"r-{i}", "request_id": f"r-{i}", "_at": str(i * 9000), **row} for i in range(400)
            ]

        guardrail = self.conductor.declared.guardrail.model_copy(update={"scores": ScoresGuardrail(max_distance=0.1)})
        declared = self.conductor.declared.model_copy(update={"guardrail": guardrail})
        answering = Answering(declare(binary_document(model="flights")), query, labelled=False)
        self.conductor = replace(self.conductor, declared=declared, answering=answering)


@pytest.fixture
def started() -> Iterator[Compared]:
    with new_world(Compared) as world:
        world.successor()
        yield world
        assert verify_audit(world.store).sound


@pytest.mark.slow
def test_a_version_whose_scores_lie_elsewhere_is_taken_back_in_its_step(started: Compared) -> None:
    started.with_rows(probability=0.2)
    champion = started.function.serving()
    started.shift()
    assert started.check()["decision"] == "hold", "nothing is in the lake yet"
    started.traffic(100)
    answer = started.check()
    assert (answer["decision"], answer["reasons"][0]["code"]) == ("rollback", "score_distance")
    assert answer["reasons"][0]["value"] == 1.0
    started.act("rollback", rollout=started.rollout, reasons=answer["reasons"])
    assert started.function.serving() == champion


@pytest.mark.slow
def test_and_in_its_bake(started: Compared) -> None:
    started.shift()
    started.traffic(100)
    assert started.check()["decision"] == "advance"
    started.promote()
    started.with_rows(probability=0.2)
    started.minutes += 60
    answer = started.check("bake")
    assert (answer["decision"], answer["reasons"][0]["code"]) == ("rollback", "score_distance")


def test_one_that_answers_alike_goes_on_and_the_figures_are_kept(started: Compared) -> None:
    started.with_rows(probability=0.75)
    started.shift()
    started.traffic(100)
    answer = started.check()
    assert [reason["code"] for reason in answer["reasons"][:2]] == ["guardrail_kept", "score_distance_kept"]
    assert answer["decision"] == "advance"
    kept = started.store.rollouts.get(started.rollout["rollout_id"]).last_check["reasons"]
    assert "on 350 requests, allowed is 0.1: one of 0." in kept[1]["sentence"]
