"""A refusal says in figures what would have shown the model to be better, and the figures are right."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from everloop.evaluation.gate import Expected, decide
from everloop.evaluation.metrics import estimate
from everloop.evaluation.significance import paired_difference
from everloop.reasons import Reason
from tests.everloop.evaluation.builders import DAYS, EXPECTED, labels_and_truth, policy, report_of

FIRST = Expected("delay", "train-0123", "abc", 1000, None)


def better_by_little(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores that know a little of the truth beside much that is none."""
    labels, truth = labels_and_truth(seed)
    noise = np.random.default_rng(seed + 1000).normal(0, 0.13, len(labels))
    return labels, np.clip(labels.mean() + 0.5 * (truth - truth.mean()) + noise, 0.02, 0.98)


def reason(code: str, labels: np.ndarray, scores: np.ndarray, confidence: float) -> Reason:
    verdict = decide(report_of(labels, scores, None), policy(confidence=confidence), FIRST)
    return next(r for r in verdict.reasons if r.code == code)


def refused(seed: int) -> tuple[np.ndarray, np.ndarray, Reason]:
    labels, scores = better_by_little(seed)
    return labels, scores, reason("better_than_baseline", labels, scores, 0.9999)


@pytest.mark.slow
def test_the_confidence_that_is_named_passes_and_a_higher_one_does_not() -> None:
    named = 0
    for seed in range(10):
        labels, scores, found = refused(seed)
        told = re.search(r"gate\.confidence of (0\.\d\d)", found.sentence)
        if found.passed or told is None:
            continue
        named += 1
        assert reason("better_than_baseline", labels, scores, float(told[1])).passed
        if told[1] != "0.99":
            assert not reason("better_than_baseline", labels, scores, float(told[1]) + 0.01).passed
    assert named >= 3


@pytest.mark.slow
def test_as_many_days_as_are_named_show_a_difference_that_stays_as_it_is() -> None:
    named = 0
    for seed in range(10):
        labels, scores, found = refused(seed)
        told = re.search(r"about ([\d,]+) days of test rows instead of 20", found.sentence)
        if found.passed or told is None:
            continue
        named += 1
        # GIVEN the same days over and over; THEN they are enough
        times = int(np.ceil(int(told[1].replace(",", "")) / 20))
        assert shown_by_days_repeated(labels, scores, times)
    assert named >= 3


def shown_by_days_repeated(labels: np.ndarray, scores: np.ndarray, times: int) -> bool:
    many, days = np.tile(labels, times), np.concatenate([DAYS + 20 * n for n in range(times)])
    rule = estimate("log_loss", many, np.full(len(many), labels.mean()))
    paired = paired_difference(estimate("log_loss", many, np.tile(scores, times)), rule, days)
    report = replace(report_of(labels, scores, None), paired_baseline=paired)
    reasons = decide(report, policy(confidence=0.9999), FIRST).reasons
    return next(r for r in reasons if r.code == "better_than_baseline").passed is True


def test_a_model_that_is_no_better_is_not_sent_for_more_rows() -> None:
    labels, _ = labels_and_truth(1)
    rng = np.random.default_rng(0)
    found = reason("better_than_baseline", labels, np.clip(rng.random(1000), 0.01, 0.99), 0.95)
    assert not found.passed
    assert found.sentence.endswith("more rows will not help, other features or another model may.")


def test_a_candidate_that_is_worse_than_allowed_is_told_alike() -> None:
    labels, truth = labels_and_truth(1)
    reasons = decide(report_of(labels, 0.5 * truth + 0.2, truth), policy(policy="not_worse"), EXPECTED).reasons
    found = next(r for r in reasons if r.code == "not_worse_than_champion")
    assert not found.passed
    assert "more rows will not help" in found.sentence


def test_too_few_test_rows_are_told_in_days() -> None:
    labels, truth = labels_and_truth(1)
    reasons = decide(report_of(labels, truth, None), policy(minimum_test_rows=2600), FIRST).reasons
    found = next(r for r in reasons if r.code == "minimum_test_rows")
    assert "That is about 52 days of such rows" in found.sentence


def limited(minimum: float, confidence: float) -> Reason:
    """The verdict on an AUC of 0.7 over 20 days, of which at least ``minimum`` is required."""
    labels, truth = labels_and_truth(1)
    gate = policy(confidence=confidence, absolute=[{"metric": "roc_auc", "min": minimum}])
    return next(
        r for r in decide(report_of(labels, truth, None), gate, FIRST).reasons if r.code == "absolute_threshold"
    )


def test_a_limit_that_is_kept_with_less_confidence_says_with_which() -> None:
    found = limited(0.685, 0.95)
    assert not found.passed
    told = re.search(r"gate\.confidence of (0\.\d\d)", found.sentence)
    assert told
    assert limited(0.685, float(told[1])).passed
    assert not limited(0.685, float(told[1]) + 0.01).passed
    days = re.search(r"about ([\d,]+) days of test rows instead of 20", found.sentence)
    assert days
    # The bound is 1.73 errors of 0.01 away, and the limit 1.5 of them: (1.73 / 1.5)² times as many days.
    assert 26 <= int(days[1]) <= 28


def test_a_limit_that_is_missed_on_the_rows_themselves_is_not_sent_for_more() -> None:
    found = limited(0.75, 0.95)
    assert not found.passed
    assert found.sentence.endswith("more rows will not help, other features or another model may.")


def test_a_loss_below_its_limit_says_what_would_show_it() -> None:
    labels, truth = labels_and_truth(1)
    report = report_of(labels, truth, None)
    value = report.candidate["log_loss"].value
    assert value is not None

    def at_most(confidence: float) -> Reason:
        gate = policy(confidence=confidence, absolute=[{"metric": "log_loss", "max": value + 0.01}])
        return next(r for r in decide(report, gate, FIRST).reasons if r.code == "absolute_threshold")

    found = at_most(0.99)
    assert not found.passed
    told = re.search(r"gate\.confidence of (0\.\d\d)", found.sentence)
    assert told
    assert at_most(float(told[1])).passed
    assert not at_most(float(told[1]) + 0.01).passed
