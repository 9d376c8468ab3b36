from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from everloop.model_file.schema import Guardrail
from everloop.problem_types import BINARY, MULTICLASS
from everloop.rollout.answer_measures import NOTHING_JUDGED, Judged, judge
from everloop.rollout.answered import Answered, ComparedRow
from everloop.rollout.business import differences
from everloop.rollout.looks import Look
from everloop.rollout.losses import Loss, loss_of
from everloop.rollout.measures import NOT_JUDGED
from tests.helpers.declarations import declare, multiclass_document, regression_document
from tests.helpers.present import present

LOOK = Look(rate=0.05, phases=3, ends=False, declared=1)


def guardrail(**declared: object) -> Guardrail:
    return Guardrail.model_validate({"max_error_rate": 0.02, "max_p99_latency_ms": 200, **declared})


BRIER = Loss("Brier score", BINARY)
SCORES = guardrail(scores={"max_distance": 0.1})


def rows(ours: np.ndarray, theirs: np.ndarray, *, in_a_request: int = 1, every_ms: int = 3000) -> list[ComparedRow]:
    """Rows one after the other, each so many milliseconds later."""
    return [
        ComparedRow(f"r{i // in_a_request}", i // in_a_request * every_ms, i % 2 == 0, float(a), float(b))
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True))
    ]


def judged(seen: list[ComparedRow], problem: str = "binary_classification") -> Judged:
    return judge(SCORES, LOOK, Answered(seen), Loss("", problem))


def drawn(count: int, shift: float = 0.0, noise: float = 0.0) -> list[ComparedRow]:
    rng = np.random.default_rng(3)
    theirs = np.clip(rng.normal(0.4, 0.1, count), 0, 1)
    return rows(theirs + shift + noise * rng.normal(size=count), theirs)


def test_nothing_is_judged_where_nothing_is_declared() -> None:
    assert judge(guardrail(), LOOK, None, BRIER) == NOTHING_JUDGED
    assert judge(guardrail(), LOOK, Answered(drawn(100)), BRIER) == NOTHING_JUDGED


def test_scores_that_are_shifted_break_the_limit_with_the_figures() -> None:
    found = judged(drawn(600, shift=0.07))
    (reason,) = found.broken
    assert (reason.code, found.told) == ("score_distance", ())
    assert 0.1 < present(reason.value) < 0.5
    assert reason.limit == 0.1
    assert "more of its scores lie above 0." in reason.sentence
    assert "requests that both answered; allowed is 10.0%: chance alone" in reason.sentence
    assert "at or below" in judged(drawn(600, shift=-0.07)).broken[0].sentence


@pytest.mark.parametrize("constant", [0.0, 0.4, 1.0])
def test_a_version_that_says_the_same_to_everybody_breaks_it(constant: float) -> None:
    theirs = np.random.default_rng(1).random(600)
    assert judged(rows(np.full(600, constant), theirs)).broken


def test_scores_that_differ_row_by_row_and_not_as_a_whole_are_kept() -> None:
    found = judged(drawn(2000, noise=0.02))
    assert (found.broken, found.told[0].code) == ((), "score_distance_kept")
    assert "would have been found" in found.told[0].sentence


@pytest.mark.parametrize("count", [0, 1, 50, 51, 60, 90])
def test_few_rows_say_that_they_are_too_few(count: int) -> None:
    found = judged(drawn(count))
    assert [reason.code for reason in found.told] == [NOT_JUDGED], found
    assert not judged(drawn(min(count, 55), shift=0.5)).broken, "a few rows that differ are no evidence yet"


def test_what_stood_in_the_way_is_said() -> None:
    found = judge(SCORES, LOOK, Answered(why_not="nothing served before to compare with"), BRIER)
    assert "can't be judged: nothing served before" in found.told[0].sentence
    assert "3 rows the other version did not answer" in judge(SCORES, LOOK, Answered([], 3), BRIER).told[0].sentence


def test_rows_of_one_request_are_one_piece_of_evidence() -> None:
    theirs = np.full(1050, 0.4)
    ours = np.concatenate([theirs[:50], np.full(1000, 0.9)])
    one = [*rows(ours[:50], theirs[:50]), *rows(ours[50:], theirs[50:], in_a_request=1000)]
    assert not judged(one).broken
    assert judged(rows(ours, theirs)).broken


def test_few_distinct_scores_that_move_by_little_are_kept() -> None:
    """GIVEN a champion of two scores, as a tree with one split has."""
    theirs = np.where(np.random.default_rng(9).random(600) < 0.3, 0.8, 0.2)
    assert not judged(rows(theirs + 0.001, theirs)).broken
    assert judged(rows(np.where(theirs > 0.5, 0.3, theirs), theirs)).broken


def test_values_and_classes_have_distributions_too() -> None:
    rng = np.random.default_rng(5)
    minutes = rng.normal(1000, 10, 800)
    assert judged(rows(minutes + 8, minutes), "regression").broken
    assert not judged(rows(minutes + 0.1, minutes), "regression").broken
    classes = rng.integers(0, 3, 800)
    (reason,) = judged(rows(np.where(classes == 2, 1, classes), classes), MULTICLASS).broken
    assert "of its answers are class" in reason.sentence
    assert not judged(rows(rng.permutation(classes), classes), MULTICLASS).broken


def test_a_version_at_the_limit_is_seldom_found_beyond_it() -> None:
    """GIVEN a tenth of the rows moved across the middle, which is allowed; WHEN it is looked at throughout."""
    rng, wrong = np.random.default_rng(8), 0
    for _ in range(8):
        theirs = rng.random(400)
        ours = np.where((theirs < 0.5) & (rng.random(400) < 0.2), theirs + 0.5, theirs)
        wrong += bool(judged(rows(ours, theirs)).broken)
    assert wrong <= 1


DISAGREEMENT = guardrail(disagreement={"max_share": 0.05})


def decided_otherwise(count: int, share: float, *, in_a_request: int = 1) -> Judged:
    rng = np.random.default_rng(4)
    theirs = rng.random(count)
    otherwise = rng.random(count) < share
    seen = [
        replace(row, disagree=bool(other))
        for row, other in zip(rows(theirs, theirs, in_a_request=in_a_request), otherwise, strict=True)
    ]
    return judge(DISAGREEMENT, LOOK, Answered(seen), BRIER)


@pytest.mark.parametrize(("count", "share"), [(40, 1.0), (200, 0.3), (3000, 0.1)])
def test_a_version_that_decides_otherwise_too_often_breaks_its_limit(count: int, share: float) -> None:
    """GIVEN scores that are distributed alike."""
    found = decided_otherwise(count, share)
    (reason,) = found.broken
    assert (reason.code, reason.limit, found.told) == ("disagreement", 0.05, ())
    assert present(reason.value) > 0.05
    assert "of rows are decided otherwise than by the champion, on" in reason.sentence


def test_one_that_decides_so_as_often_as_it_may_is_kept() -> None:
    found = decided_otherwise(3000, 0.05)
    assert (found.broken, found.told[0].code) == ((), "disagreement_kept")
    assert "would have been found" in found.told[0].sentence


@pytest.mark.parametrize("count", [0, 1, 5])
def test_few_decisions_say_that_they_are_too_few(count: int) -> None:
    found = decided_otherwise(count, 1.0)
    assert [reason.code for reason in found.told] == [NOT_JUDGED], found


def test_decisions_of_one_request_are_one_piece_of_evidence() -> None:
    assert not decided_otherwise(1000, 1.0, in_a_request=1000).broken


def test_at_the_limit_it_is_seldom_found_beyond_it() -> None:
    """GIVEN looks at all times, WHEN the share is the limit."""
    rng, wrong = np.random.default_rng(8), 0
    for _ in range(40):
        theirs = rng.random(400)
        seen = [replace(row, disagree=bool(rng.random() < 0.05)) for row in rows(theirs, theirs)]
        wrong += bool(judge(DISAGREEMENT, LOOK, Answered(seen), BRIER).broken)
    assert wrong <= 1


def test_what_is_judged_besides_takes_its_share_of_the_rate() -> None:
    few, more = Look(0.05, 3, True), Look(0.05, 3, True, declared=1)
    assert few.watching("error_rate") > more.watching("error_rate") > 0
    every = ("error_rate", "p99_latency", "refused_requests", "added_errors")
    used = sum(more.watching(name) + more.ending(name) for name in every) + more.watching("score_distance")
    assert used * 3 == pytest.approx(0.05)
    assert more.ending("score_distance") == 0


QUALITY = guardrail(quality={"max_added_loss": 0.01})


def labelled(ours: np.ndarray, theirs: np.ndarray, labels: np.ndarray) -> list[ComparedRow]:
    """Rows whose labels come in the reverse order, an hour after the last row, one each 3 seconds."""
    count = len(labels)
    whole = rows(ours, theirs)
    late = 3_600_000 + count * 3000
    return [replace(r, label=float(y), labelled_at=late - r.at) for r, y in zip(whole, labels, strict=True)]


def of_quality(seen: list[ComparedRow], loss: Loss = BRIER) -> Judged:
    return judge(QUALITY, LOOK, Answered(seen), loss)


def late_or_not(count: int, worse: float) -> list[ComparedRow]:
    """A champion whose probabilities are right, and a candidate whose are pulled so far to the middle."""
    rng = np.random.default_rng(6)
    chances = rng.beta(1, 3, count)
    ours = (1 - worse) * chances + worse * rng.permutation(chances)
    return labelled(ours, chances, rng.random(count) < chances)


def test_a_version_that_answers_worse_breaks_the_limit_once_labels_come() -> None:
    (reason,) = of_quality(late_or_not(3000, worse=0.9)).broken
    assert reason.code == "added_loss"
    assert present(reason.value) > present(reason.limit) == 0.01
    assert "labelled requests the Brier score is 0.0" in reason.sentence
    assert not of_quality(late_or_not(3000, worse=-0.0)).broken


def test_quality_that_is_kept_is_told_with_what_would_have_been_found() -> None:
    (kept,) = of_quality(late_or_not(3000, worse=0.1)).told
    assert kept.code == "added_loss_kept"
    assert "one of 0.0" in kept.sentence


@pytest.mark.parametrize("count", [0, 1, 10, 100])
def test_few_labels_say_that_they_are_too_few(count: int) -> None:
    found = of_quality(late_or_not(count, worse=0.1))
    assert (found.broken, found.told[0].code) == ((), NOT_JUDGED)


def test_rows_without_a_label_or_with_one_of_another_phase_are_no_evidence() -> None:
    unlabelled = [replace(row, label=None) for row in late_or_not(3000, worse=0.9)]
    before = [replace(row, labelled_at=-5) for row in late_or_not(3000, worse=0.9)]
    for seen in (unlabelled, before):
        assert "no label came" in of_quality(seen).told[0].sentence


def test_each_type_has_a_loss_with_a_bound() -> None:
    assert (BRIER.of(0.25, 1.0), BRIER.most) == (0.5625, 1.0)
    classes = loss_of(declare(multiclass_document()))
    assert (classes.of(2.0, 2.0), classes.of(1.0, 2.0)) == (0.0, 1.0)
    minutes = loss_of(declare(regression_document(data={"target_min": -60, "target_max": 540})))
    assert (minutes.of(10.0, 25.0), minutes.of(1e9, -1e9), minutes.most) == (15.0, 600.0, 600.0)
    rng = np.random.default_rng(2)
    late = rng.normal(20, 30, 2000)
    found = of_quality(labelled(late + rng.normal(0, 90, 2000), late + rng.normal(0, 5, 2000), late), minutes)
    assert "the mean absolute error is " in found.broken[0].sentence


MONEY = {"measure": "12 * prediction * label - 4 * prediction * (1 - label)", "min": -4, "max": 12, "max_drop": 0.5}
BUSINESS = guardrail(business=MONEY)


def brought(count: int, hits: float, *, share: float = 0.25, in_bake: bool = False) -> list[ComparedRow]:
    """Requests to both versions, each decided 1; so many of the candidate's are right, and half of the champion's."""
    rng = np.random.default_rng(7)
    ours = rng.random(count) < share
    labels = rng.random(count) < np.where(ours, hits, 0.5)
    return [
        ComparedRow(f"r{i}", i * 100 * (1 if not in_bake else -1) - in_bake, bool(by), 0.9, 0.9, float(y), i * 100, 1.0)
        for i, (by, y) in enumerate(zip(ours, labels, strict=True))
    ]


def of_business(seen: list[ComparedRow], *, bake: bool = False, drop: float = 0.5) -> Judged:
    return judge(guardrail(business={**MONEY, "max_drop": drop}), LOOK, Answered(seen), BRIER, bake=bake)


@pytest.mark.slow
def test_requests_that_bring_less_break_the_limit_with_the_figures() -> None:
    (reason,) = of_business(brought(4000, hits=0.3)).broken
    assert (reason.code, reason.limit) == ("business_drop", 0.5)
    assert 2 < present(reason.value) < 5
    assert "pairs of requests to both versions, 12 * prediction * label" in reason.sentence
    assert of_business(brought(4000, hits=0.3, in_bake=True), bake=True).broken, "labels of steps come in the bake"


@pytest.mark.slow
def test_requests_that_bring_as_much_are_kept_and_few_can_not_be_judged() -> None:
    assert of_business(brought(6000, hits=0.5), drop=1.0).told[0].code == "business_drop_kept"
    assert of_business(brought(60, hits=0.5)).told[0].code == NOT_JUDGED
    only_ours = brought(4000, hits=0.3, share=1.0)
    assert "no labels came of requests to both" in of_business(only_ours).told[0].sentence
    assert "no labels came" in of_business(brought(4000, hits=0.3), bake=True).told[0].sentence


def test_what_is_no_number_is_left_out_and_what_is_too_far_counts_as_the_bound() -> None:
    declared = present(BUSINESS.business).model_copy(update={"measure": "1000 / label"})
    rows_ = [ComparedRow(f"r{i}", i, i % 2 == 0, 0.5, 0.5, float(i % 4 < 2), i) for i in range(8)]
    assert [value for _, _, value in differences(declared, rows_, BINARY)] == [0.0, 0.0]
