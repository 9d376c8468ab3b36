from __future__ import annotations

import numpy as np
import pytest

from everloop.model_file.schema import Guardrail
from everloop.problem_types import MULTICLASS
from everloop.rollout.answer_measures import NOTHING_JUDGED, Judged, judge
from everloop.rollout.answered import Answered, ComparedRow
from everloop.rollout.looks import Look
from everloop.rollout.measures import NOT_JUDGED

LOOK = Look(rate=0.05, phases=3, ends=False, of_answers=1)


def guardrail(**declared: object) -> Guardrail:
    return Guardrail.model_validate({"max_error_rate": 0.02, "max_p99_latency_ms": 200, **declared})


SCORES = guardrail(scores={"max_distance": 0.1})


def rows(ours: np.ndarray, theirs: np.ndarray, *, in_a_request: int = 1, every_ms: int = 3000) -> list[ComparedRow]:
    """Rows one after the other, each so many milliseconds later."""
    return [
        ComparedRow(f"r{i // in_a_request}", i // in_a_request * every_ms, i % 2 == 0, float(a), float(b))
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True))
    ]


def judged(seen: list[ComparedRow], problem: str = "binary_classification") -> Judged:
    return judge(SCORES, LOOK, Answered(seen), problem=problem)


def drawn(count: int, shift: float = 0.0, noise: float = 0.0) -> list[ComparedRow]:
    rng = np.random.default_rng(3)
    theirs = np.clip(rng.normal(0.4, 0.1, count), 0, 1)
    return rows(theirs + shift + noise * rng.normal(size=count), theirs)


def test_nothing_is_judged_where_nothing_is_declared():
    assert judge(guardrail(), LOOK, None, problem="regression") == NOTHING_JUDGED
    assert judge(guardrail(), LOOK, Answered(drawn(100)), problem="regression") == NOTHING_JUDGED


def test_scores_that_are_shifted_break_the_limit_with_the_figures():
    found = judged(drawn(600, shift=0.07))
    (reason,) = found.broken
    assert (reason.code, found.told) == ("score_distance", ())
    assert 0.1 < reason.value < 0.5
    assert reason.limit == 0.1
    assert "more of its scores lie above 0." in reason.sentence
    assert "requests that both answered; allowed is 10.0%: chance alone" in reason.sentence
    assert "at or below" in judged(drawn(600, shift=-0.07)).broken[0].sentence


@pytest.mark.parametrize("constant", [0.0, 0.4, 1.0])
def test_a_version_that_says_the_same_to_everybody_breaks_it(constant: float):
    theirs = np.random.default_rng(1).random(600)
    assert judged(rows(np.full(600, constant), theirs)).broken


def test_scores_that_differ_row_by_row_and_not_as_a_whole_are_kept():
    found = judged(drawn(2000, noise=0.02))
    assert (found.broken, found.told[0].code) == ((), "score_distance_kept")
    assert "would have been found" in found.told[0].sentence


@pytest.mark.parametrize("count", [0, 1, 50, 51, 60, 90])
def test_few_rows_say_that_they_are_too_few(count: int):
    found = judged(drawn(count))
    assert [reason.code for reason in found.told] == [NOT_JUDGED], found
    assert not judged(drawn(min(count, 55), shift=0.5)).broken, "a few rows that differ are no evidence yet"


def test_what_stood_in_the_way_is_said():
    found = judge(SCORES, LOOK, Answered(why_not="nothing served before to compare with"), problem="regression")
    assert "can't be judged: nothing served before" in found.told[0].sentence
    assert (
        "3 rows the other version did not answer" in judge(SCORES, LOOK, Answered([], 3), problem="x").told[0].sentence
    )


def test_rows_of_one_request_are_one_piece_of_evidence():
    theirs = np.full(1050, 0.4)
    ours = np.concatenate([theirs[:50], np.full(1000, 0.9)])
    one = [*rows(ours[:50], theirs[:50]), *rows(ours[50:], theirs[50:], in_a_request=1000)]
    assert not judged(one).broken
    assert judged(rows(ours, theirs)).broken


def test_values_and_classes_have_distributions_too():
    rng = np.random.default_rng(5)
    minutes = rng.normal(1000, 10, 800)
    assert judged(rows(minutes + 8, minutes), "regression").broken
    assert not judged(rows(minutes + 0.1, minutes), "regression").broken
    classes = rng.integers(0, 3, 800)
    (reason,) = judged(rows(np.where(classes == 2, 1, classes), classes), MULTICLASS).broken
    assert "of its answers are class" in reason.sentence
    assert not judged(rows(rng.permutation(classes), classes), MULTICLASS).broken


def test_a_version_at_the_limit_is_seldom_found_beyond_it():
    """GIVEN a tenth of the rows moved across the middle, which is allowed; WHEN it is looked at throughout."""
    rng, wrong = np.random.default_rng(8), 0
    for _ in range(8):
        theirs = rng.random(400)
        ours = np.where((theirs < 0.5) & (rng.random(400) < 0.2), theirs + 0.5, theirs)
        wrong += bool(judged(rows(ours, theirs)).broken)
    assert wrong <= 1


def test_what_is_judged_besides_takes_its_share_of_the_rate():
    few, more = Look(0.05, 3, True), Look(0.05, 3, True, of_answers=1)
    assert few.watching("error_rate") > more.watching("error_rate") > 0
    every = ("error_rate", "p99_latency", "refused_requests", "added_errors")
    used = sum(more.watching(name) + more.ending(name) for name in every) + more.watching("score_distance")
    assert used * 3 == pytest.approx(0.05)
    assert more.ending("score_distance") == 0
