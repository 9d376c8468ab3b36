"""A candidate that has forgotten the standing set is refused, at the declared rate, and silence refuses too."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pytest

from everloop.evaluation import restoration
from everloop.evaluation.gate import decide
from everloop.evaluation.metrics import estimate
from everloop.evaluation.report import Report
from everloop.evaluation.significance import metric_value, paired_difference
from everloop.evaluation.standing_gate import on_standing
from everloop.evaluation.standing_report import StandingFacts
from everloop.evaluation.waivers import may_be_waived
from everloop.reasons import Reason
from tests.everloop.evaluation.builders import DAYS, EXPECTED, labels_and_truth, policy, report_of

LABELS, TRUTH = labels_and_truth(1)
SHA256 = "5" * 64
POLICY = policy(standing={"max_increase": 0.02})
FORGOTTEN = np.full(len(LABELS), 0.5)


def facts(
    candidate: np.ndarray, champion: np.ndarray | None = TRUTH, labels: np.ndarray = LABELS, days: np.ndarray = DAYS
) -> StandingFacts:
    ours = estimate("log_loss", labels, candidate)
    first, last = datetime(2012, 1, 1, tzinfo=UTC), datetime(2012, 1, 20, tzinfo=UTC)
    found = StandingFacts("log_loss", SHA256, len(labels), len(np.unique(days)), first, last, metric_value(ours, days))
    if champion is None:
        return found
    theirs = estimate("log_loss", labels, champion)
    return found.beside(3, metric_value(theirs, days), paired_difference(ours, theirs, days))


@cache
def _beside() -> Report:
    """What a report says besides; the gate looks at none of it here."""
    return report_of(LABELS, TRUTH, TRUTH)


def report(standing: StandingFacts | None) -> Report:
    return replace(_beside(), standing=standing)


def judged(standing: StandingFacts | None, chosen: str | None = SHA256, champion: int | None = 3) -> Reason:
    (reason,) = on_standing(report(standing), POLICY, chosen, champion)
    return reason


def test_a_candidate_that_knows_what_the_champion_knows_passes() -> None:
    reason = judged(facts(TRUTH))
    assert (reason.code, reason.passed, reason.limit) == ("standing_worse_than_champion", True, 0.02)
    assert (
        "On the standing set (1,000 rows of 20 days, 2012-01-01T00:00:00Z to 2012-01-20T00:00:00Z)" in reason.sentence
    )
    assert "is +0, and at least" in reason.sentence


def test_one_that_has_forgotten_is_refused_and_a_person_may_waive_it() -> None:
    reason = judged(facts(FORGOTTEN))
    assert not reason.passed
    assert reason.sentence.endswith("at most 0.02 is allowed: it has forgotten what the champion still answers.")
    assert reason.value is not None
    assert reason.value > 0.02
    assert may_be_waived(reason.as_dict())
    # AND so are the candidate, and an older version that would come back
    expected = replace(EXPECTED, standing_sha256=SHA256)
    assert reason in decide(report(facts(FORGOTTEN)), POLICY, expected).reasons
    back = restoration.Expected("delay", "train-0123", "abc", 2, "m", 1000, 3, True, standing_sha256=SHA256)
    assert reason in restoration.decide(report(facts(FORGOTTEN)), POLICY, back).reasons


def test_an_increase_that_is_allowed_or_not_shown_refuses_nobody() -> None:
    slightly = np.clip(TRUTH + 0.05, 0.01, 0.99)
    paired = facts(slightly).paired
    assert paired is not None
    assert 0 < paired.difference < 0.02
    assert judged(facts(slightly)).passed
    # 40 rows of four days say too little of the same model
    few = np.arange(0, 200, 5)
    reason = judged(facts(np.clip(TRUTH + 0.3, 0.01, 0.99)[few], TRUTH[few], LABELS[few], DAYS[few]))
    assert reason.passed


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (np.arange(40), "all rows are of one day"),
        (np.flatnonzero(LABELS == 0)[:100], "0 rows of class 1 are too few"),
    ],
)
def test_too_little_to_judge_is_said(rows: np.ndarray, why: str) -> None:
    reason = judged(facts(FORGOTTEN[rows], TRUTH[rows], LABELS[rows], DAYS[rows]))
    assert (reason.code, reason.passed) == ("standing_set", True)
    assert f"Whether it forgets can't be judged: {why}" in reason.sentence


def test_what_the_champion_may_have_learned_is_not_held_against_the_candidate() -> None:
    reason = judged(facts(FORGOTTEN, None).with_why("the champion, version 3, may have learned from them"))
    assert reason.passed
    assert reason.sentence.endswith("can't be judged: the champion, version 3, may have learned from them.")


@pytest.mark.parametrize(
    ("standing", "told"),
    [
        (None, "The report does not say"),
        (replace(facts(TRUTH), sha256="6" * 64), "about a standing set with sha256 6666"),
        (replace(facts(TRUTH), metric="brier"), "to be judged in log_loss"),
        (facts(TRUTH, None), "the report does not compare the candidate with version 3 there"),
        (replace(facts(TRUTH), champion_version=2), "does not compare the candidate with version 3"),
    ],
)
def test_silence_refuses(standing: StandingFacts | None, told: str) -> None:
    reason = judged(standing)
    assert (reason.code, reason.passed) == ("standing_set", False)
    assert told in reason.sentence
    assert not may_be_waived(reason.as_dict())


def test_a_first_version_and_a_run_before_the_choice_pass() -> None:
    assert judged(facts(TRUTH, None), champion=None).passed
    assert judged(None, chosen=None).sentence == "No standing set is chosen yet: the next training chooses it."
    assert not list(on_standing(report(None), policy(), SHA256, 3))


@pytest.mark.slow
def test_a_candidate_at_the_limit_is_refused_no_more_often_than_declared() -> None:
    """GIVEN models whose true increase is the limit; THEN at most 5% are refused (here of 400)."""
    refused = 0
    for seed in range(400):
        labels, truth = labels_and_truth(seed)
        worse = np.clip(truth + 0.1, 0.01, 0.99)
        increase = float(np.mean(-truth * np.log(worse / truth) - (1 - truth) * np.log((1 - worse) / (1 - truth))))
        (reason,) = on_standing(
            report(facts(worse, truth, labels)), policy(standing={"max_increase": increase}), SHA256, 3
        )
        refused += not reason.passed
    assert refused <= 32  # of 400 at 5%, the 99.5% point


def read_back(found: Report) -> Any:
    return Report.from_json(found.to_json()).standing


def test_the_report_keeps_it() -> None:
    found = report(facts(TRUTH))
    assert read_back(found) == found.standing
    assert read_back(report(None)) is None
