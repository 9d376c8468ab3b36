"""A shadow is decided on once: each kind of bad candidate is refused, and a good one passes as often as is declared."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from everloop.model_file.schema import Rollout
from everloop.reasons import Reason
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.shadow import Pair, ShadowSeen, decide_shadow, wait_in_shadow
from everloop.rollout.shadowing import LONGEST_SECONDS, Shadowing, captured_rows_query
from everloop.rollout.targets import AskedAnswer, Question
from tests.helpers.declarations import binary_document, declare, multiclass_document, regression_document
from tests.helpers.registry_scenes import at

PLAN = RolloutPlan((Step(0.0, 3600), Step(50.0, 600)), 600)


def rollout(**shadow: Any) -> Rollout:
    declared = {"minutes": 60, "minimum_rows": 50, "max_disagreement": 0.1, "max_score_shift": 0.05, **shadow}
    return declare(binary_document(rollout={"shadow": declared})).rollout


def decided(pairs: list[Pair], declared: Rollout | None = None, **changes: Any) -> tuple[str, list[Reason]]:
    given: dict[str, Any] = {"step_index": 0, "overtime_seconds": 0.0, **changes}
    verdict = decide_shadow(declared or rollout(), PLAN, seen=ShadowSeen(len(pairs), pairs), **given)
    return verdict.decision, list(verdict.reasons)


GOOD = Pair(200, 20.0, False, 0.01)


def test_before_its_time_nothing_is_asked() -> None:
    verdict = wait_in_shadow(rollout(), PLAN, left_seconds=3000)
    assert (verdict.decision, verdict.wait_seconds) == ("hold", 900)
    assert wait_in_shadow(rollout(), PLAN, left_seconds=30.5).wait_seconds == 31
    # GIVEN a month of it, THEN looks are so far apart that the execution's history has room for them
    month = RolloutPlan((Step(0.0, 30 * 86_400),), 0)
    assert wait_in_shadow(rollout(), month, left_seconds=20 * 86_400).wait_seconds == 1440


def test_a_good_candidate_goes_on_and_says_what_was_found() -> None:
    decision, (kept,) = decided([GOOD] * 100)
    assert (decision, kept.code) == ("advance", "shadow_kept")
    assert "decided 0.0% of them otherwise, and scored them +0.01 on average" in kept.sentence
    alone = RolloutPlan((Step(0.0, 3600),), 600)
    found = decide_shadow(rollout(), alone, step_index=0, overtime_seconds=0, seen=ShadowSeen(100, [GOOD] * 100))
    assert found.decision == "promote"


@pytest.mark.parametrize(
    ("bad", "share", "code"),
    [
        (Pair(500, 20.0), 0.2, "shadow_errors"),
        (Pair(400, 20.0), 0.2, "shadow_refused"),
        (Pair(200, 5000.0, False, 0.01), 0.2, "shadow_latency"),
        (Pair(200, 20.0, True, 0.01), 0.4, "shadow_disagreement"),
        (Pair(200, 20.0, False, 0.2), 1.0, "shadow_score_shift"),
        (Pair(200, 20.0, False, -0.2), 1.0, "shadow_score_shift"),
    ],
)
def test_each_kind_of_bad_one_is_refused_with_its_reason(bad: Pair, share: float, code: str) -> None:
    count = round(100 * share)
    decision, reasons = decided([bad] * count + [GOOD] * (100 - count))
    assert (decision, [reason.code for reason in reasons]) == ("rollback", [code])
    assert reasons[0].limit is not None


def test_what_chance_may_do_is_no_evidence() -> None:
    # GIVEN two of a hundred that failed, where 2% may, and 12% that are decided otherwise, where 10% may
    pairs = [Pair(500, 20.0)] * 2 + [Pair(200, 20.0, True, 0.01)] * 12 + [GOOD] * 86
    assert decided(pairs)[0] == "advance"


def test_what_few_rows_can_not_show_is_said() -> None:
    few = rollout(minimum_rows=2, max_disagreement=0.9)
    decision, reasons = decided([GOOD] * 2, few)
    assert decision == "advance"
    assert [reason.code for reason in reasons] == ["shadow_kept", "not_judged"]
    assert "shadow_disagreement can't be judged" in reasons[1].sentence


def test_too_few_rows_are_waited_for_and_then_refused() -> None:
    hold = rollout().guardrail.max_hold_minutes * 60
    decision, (reason,) = decided([GOOD] * 49, overtime_seconds=hold - 60)
    assert (decision, reason.code) == ("hold", "waiting_for_traffic")
    decision, (reason,) = decided([GOOD] * 49, overtime_seconds=hold)
    assert (decision, reason.code, reason.value, reason.limit) == ("rollback", "too_little_traffic", 49, 50)


def test_a_candidate_that_does_not_get_through_enough_rows_in_time_is_too_slow() -> None:
    verdict = decide_shadow(rollout(), PLAN, step_index=0, overtime_seconds=0, seen=ShadowSeen(100, [GOOD] * 49))
    assert (verdict.decision, verdict.reasons[0].code) == ("rollback", "shadow_latency")


@pytest.mark.slow
def test_one_that_keeps_every_limit_just_so_is_refused_no_more_often_than_is_declared() -> None:
    """GIVEN each limit exactly reached, THEN of 400 shadows no more are refused than their share, beyond chance."""
    rng, declared, refused = np.random.default_rng(3), rollout(), 0
    for _ in range(400):
        failed, slow, otherwise = rng.random((3, 200)) < [[0.02], [0.01], [0.1]]
        shifts = rng.normal(0.05, 0.1, 200)
        pairs = [
            Pair(500, 20.0) if f else Pair(200, 5000.0 if s else 20.0, bool(o), float(shift))
            for f, s, o, shift in zip(failed, slow, otherwise, shifts, strict=True)
        ]
        refused += decided(pairs, declared)[0] == "rollback"
    # 0.05 over three phases: 1.7% of 400 are 6.7; 16 or more come with a probability below 0.1%.
    assert refused < 16


class Answers:
    """A target whose versions answer from a list, and say how long that took by moving the timer."""

    def __init__(self, *documents: Any, seconds: float = 0.02, status: int = 200) -> None:
        self.documents, self.seconds, self.status, self.now = list(documents), seconds, status, 0.0
        self.asked: list[Question] = []

    def ask(self, lambda_version: str, question: Question) -> AskedAnswer:
        self.asked.append(question)
        self.now += self.seconds
        return AskedAnswer(self.status, {"predictions": [self.documents[len(self.asked) % len(self.documents)]]})


def captured(count: int, **values: str | None) -> list[dict[str, str | None]]:
    row = {"key": "k", "prediction": "1.0", "probability": "0.5", "distance": "3.5E1", "wind": None}
    row |= {"line": "north", "operator": None, **values}
    return [{"prediction_id": f"r-{number}", **row} for number in range(count)]


def seen(target: Answers, rows: list[dict[str, str | None]], document: dict[str, Any], least: int = 2) -> ShadowSeen:
    shadowing = Shadowing(declare(document), lambda _: rows, timer=lambda: target.now)
    found: Any = target
    return shadowing.seen(found, "7", champion=3, least=least, begin=at(1), end=at(2))


def test_a_candidate_is_asked_what_was_captured_each_row_once() -> None:
    target = Answers({"prediction": 0, "probability": 0.25})
    found = seen(target, [*captured(3), *captured(1)], binary_document())
    assert found.captured == 3
    assert [(p.status, p.otherwise, p.shift) for p in found.pairs] == [(200, True, -0.25)] * 3
    assert [round(p.milliseconds) for p in found.pairs] == [20] * 3
    # The first request of all waits for the version's start, so the first row is asked once more.
    assert [q.request_id for q in target.asked] == ["shadow-r-0", "shadow-r-0", "shadow-r-1", "shadow-r-2"]
    assert target.asked[0].body == '{"instances": [{"train_id": "k", "distance": 35.0, "line": "north"}]}'


def test_other_types_are_compared_by_what_they_answer() -> None:
    value = seen(Answers({"prediction": 4.5}), captured(2), regression_document()).pairs[0]
    assert (value.otherwise, value.shift) == (None, 3.5)
    chosen = seen(Answers({"prediction": "late", "probability": 0.4}), captured(2), multiclass_document()).pairs[0]
    assert (chosen.otherwise, chosen.shift) == (False, None)
    refused = seen(Answers({}, status=400), captured(2), binary_document()).pairs[0]
    assert refused.milliseconds == pytest.approx(20)
    assert refused == Pair(400, refused.milliseconds)


def test_too_few_rows_ask_nobody_and_a_slow_candidate_is_left_after_a_while() -> None:
    target = Answers({"prediction": 0, "probability": 0.25}, seconds=10)
    assert seen(target, captured(5), binary_document(), least=6) == ShadowSeen(5)
    assert target.asked == []
    found = seen(target, captured(30), binary_document())
    assert (found.captured, len(found.pairs)) == (30, LONGEST_SECONDS / 10 + 1)


def test_only_what_the_champion_answered_in_that_time_is_read() -> None:
    query = captured_rows_query(declare(binary_document()), version=3, begin=at(0), end=at(0) + timedelta(hours=2))
    assert '"version" = 3' in query
    assert query.count("TIMESTAMP") == 2
    assert '"date" BETWEEN' in query
    assert '"line"' in query
