"""The gate lets nothing through that is not shown to be good."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from everloop.evaluation.bounds import FEWEST_OF_A_CLASS, days_needed, rarest_seen, rows_needed
from everloop.evaluation.gate import Expected, decide
from everloop.evaluation.metrics import estimate
from everloop.evaluation.report import ClassCounts, PairedDifference, ParityFacts, ProbeFacts, Report
from everloop.evaluation.significance import metric_value, paired_difference
from everloop.reasons import Reason
from tests.everloop.evaluation.builders import EXPECTED, as_served_of, labels_and_truth, policy, report_of
from tests.helpers.present import present

LABELS, TRUTH = labels_and_truth(1)
BLURRED = 0.5 * TRUTH + 0.5 * LABELS.mean()
"""Better than the baseline, worse than the truth."""
CONFIDENCES = st.floats(0.5, 1, exclude_max=True)
"""All that a declaration may say; see :func:`test_less_confidence_than_a_half_can_not_be_declared`."""


def reason(report: Report, code: str, expected: Expected = EXPECTED, **gate: Any) -> Reason:
    verdict = decide(report, policy(**gate), expected)
    return next(r for r in verdict.reasons if r.code == code)


def test_a_better_candidate_passes_every_check() -> None:
    verdict = decide(report_of(LABELS, TRUTH, BLURRED), policy(), EXPECTED)
    assert verdict.passed
    assert {r.code for r in verdict.reasons} == {
        "parity_rows",
        "parity_flips",
        "probes",
        "minimum_test_rows",
        "rarest_fault",
        "rows_of_each_class",
        "better_than_baseline",
        "champion_rows",
        "champion_scores",
        "better_than_champion",
        "money",
    }
    assert all(r.sentence.endswith(".") for r in verdict.reasons)


class TestScoresAsTheyAreServed:
    """GIVEN models that are recalibrated, THEN the champion is compared as its callers get its scores."""

    SERVED = replace(EXPECTED, scores="served")

    def report(self, raw: tuple[np.ndarray, np.ndarray], served: tuple[np.ndarray, np.ndarray]) -> Report:
        return replace(report_of(LABELS, *raw), as_served=as_served_of(LABELS, *served))

    def test_a_candidate_that_recalibration_makes_superfluous_is_refused(self) -> None:
        """GIVEN a champion whose level alone is off, which recalibration puts right."""
        found = self.report((TRUTH, BLURRED), (BLURRED, TRUTH))
        assert decide(found, policy(), EXPECTED).passed
        verdict = decide(found, policy(), self.SERVED)
        assert [r.code for r in verdict.reasons if not r.passed] == ["better_than_champion"]

    def test_a_candidate_that_is_better_only_as_served_passes(self) -> None:
        found = self.report((TRUTH, TRUTH), (TRUTH, BLURRED))
        assert not decide(found, policy(), EXPECTED).passed
        assert decide(found, policy(), self.SERVED).passed

    @pytest.mark.parametrize("of", ["better", "not_worse"])
    def test_the_reasons_say_which_scores_were_judged_and_what_the_raw_ones_say(self, of: str) -> None:
        found = self.report((TRUTH, BLURRED), (BLURRED, TRUTH))
        raw = found.paired_champion
        assert raw is not None
        told = reason(found, "champion_scores", self.SERVED).sentence
        assert told == (
            "The two are compared by the scores that callers would have got: each recalibrated over 20 windows,"
            " starting with what was learned until 2012-12-31T00:00:00Z, with labels 1 window late. By raw scores the"
            f" difference in log_loss is {raw.difference:+.4g}."
        )
        verdict = reason(found, f"{of}_than_champion", self.SERVED, policy=of)
        assert verdict.sentence.startswith("On the same rows, as served, the candidate's log_loss minus the champion's")
        assert reason(found, f"{of}_than_champion", policy=of).sentence.startswith("On the same rows the candidate's")
        assert "raw scores, because raw scores are served" in reason(found, "champion_scores").sentence
        assert reason(found, "better_than_baseline", self.SERVED).sentence.startswith("On the same rows the candidate")

    def test_a_report_that_does_not_say_it_is_refused(self) -> None:
        verdict = decide(report_of(LABELS, TRUTH, BLURRED), policy(), self.SERVED)
        failed = {r.code: r.sentence for r in verdict.reasons if not r.passed}
        assert set(failed) == {"champion_scores", "better_than_champion"}
        assert "no comparison with the champion" in failed["better_than_champion"]

    def test_without_a_champion_nothing_is_compared(self) -> None:
        expected = replace(self.SERVED, champion_version=None)
        assert decide(report_of(LABELS, TRUTH, None), policy(), expected).passed


def test_the_first_candidate_has_only_the_baseline_to_beat() -> None:
    expected = replace(EXPECTED, champion_version=None)
    assert decide(report_of(LABELS, BLURRED, None), policy(), expected).passed


def test_the_reason_tells_a_person_what_was_found() -> None:
    found = reason(report_of(LABELS, BLURRED, TRUTH), "better_than_champion")
    assert not found.passed
    assert "log_loss" in found.sentence
    assert "95% confidence" in found.sentence
    assert found.value is not None
    assert found.value > 0


def test_failed_reasons_come_first() -> None:
    verdict = decide(report_of(LABELS, BLURRED, TRUTH), policy(), EXPECTED)
    passed = [bool(r.passed) for r in verdict.reasons]
    assert passed == sorted(passed)
    assert not passed[0]


@pytest.mark.parametrize("confidence", [math.nextafter(0.5, 0), 0.05, 0.0, 1.0, math.nan])
def test_less_confidence_than_a_half_can_not_be_declared(confidence: float) -> None:
    """With it the bound lies on the candidate's side of the estimate, and `better` would let a worse model pass."""
    with pytest.raises(ValidationError, match="confidence"):
        policy(confidence=confidence)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    noise=st.floats(0.0, 3.0),
    margin=st.floats(0, 0.2),
    confidence=CONFIDENCES,
)
def test_a_candidate_that_is_worse_on_the_same_rows_never_passes(
    seed: int, noise: float, margin: float, confidence: float
) -> None:
    """Whatever the margin and confidence: `better` refuses it, and `not_worse` beyond its margin."""
    labels, truth = labels_and_truth(seed)
    rng = np.random.default_rng(seed + 1)
    candidate = np.clip(truth + noise * rng.normal(0, 0.2, len(truth)), 0.01, 0.99)
    report = report_of(labels, candidate, np.clip(truth, 0.01, 0.99), priced=False, interval=False)
    difference = present(report.paired_champion).difference
    if difference >= 0:
        assert not decide(report, policy(margin=margin, confidence=confidence), EXPECTED).passed
    if difference > margin:
        lenient = policy(policy="not_worse", margin=margin, confidence=confidence)
        assert not decide(report, lenient, EXPECTED).passed


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), confidence=CONFIDENCES)
def test_the_same_model_again_is_never_better_and_never_worse(seed: int, confidence: float) -> None:
    labels, truth = labels_and_truth(seed)
    report = report_of(labels, truth, truth.copy(), priced=False, interval=False)
    assert not reason(report, "better_than_champion", confidence=confidence).passed
    same = reason(report, "not_worse_than_champion", policy="not_worse", confidence=confidence)
    assert same.passed


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), margins=st.tuples(st.floats(0, 0.1), st.floats(0, 0.1)))
def test_a_larger_margin_is_harder_to_be_better_by_and_easier_to_stay_within(
    seed: int, margins: tuple[float, float]
) -> None:
    small, large = sorted(margins)
    labels, truth = labels_and_truth(seed)
    report = report_of(labels, truth, 0.7 * truth + 0.3 * labels.mean(), priced=False, interval=False)

    def passes(kind: str, margin: float) -> bool:
        return decide(report, policy(policy=kind, margin=margin), EXPECTED).passed

    assert passes("better", small) or not passes("better", large)
    assert passes("not_worse", large) or not passes("not_worse", small)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), confidences=st.tuples(CONFIDENCES, CONFIDENCES))
def test_more_confidence_is_harder_to_reach(seed: int, confidences: tuple[float, float]) -> None:
    low, high = sorted(confidences)
    labels, truth = labels_and_truth(seed)
    report = report_of(labels, truth, 0.7 * truth + 0.3 * labels.mean(), priced=False, interval=False)
    assert (
        decide(report, policy(confidence=low), EXPECTED).passed
        or not decide(report, policy(confidence=high), EXPECTED).passed
    )


GOOD = report_of(LABELS, TRUTH, BLURRED)
PAIRED = GOOD.paired_champion
MISSING: dict[str, tuple[Report, str]] = {
    "no parity": (replace(GOOD, parity=None), "parity"),
    "parity of some rows": (replace(GOOD, parity=ParityFacts(999, 0.0, 0)), "parity_rows"),
    "a flipped label": (replace(GOOD, parity=ParityFacts(1000, 0.0, 1)), "parity_flips"),
    "no probes": (replace(GOOD, probes=None), "probes"),
    "a possibility not probed": (replace(GOOD, probes=ProbeFacts(20, 19, 8, 152)), "probes"),
    "probes in no row": (replace(GOOD, probes=ProbeFacts(20, 20, 0, 0)), "probes"),
    "probes in some rows": (replace(GOOD, probes=ProbeFacts(20, 20, 8, 159)), "probes"),
    "nothing to probe": (replace(GOOD, probes=ProbeFacts(0, 0, 8, 0)), "probes"),
    "no baseline": (replace(GOOD, paired_baseline=None), "better_than_baseline"),
    "an unlearned number of rows": (replace(GOOD, champion_rows=None), "champion_rows"),
    "no word on what the champion learned": (replace(GOOD, champion_learned_until=None), "champion_rows"),
    "too few rows that are new to the champion": (replace(GOOD, champion_rows=499), "champion_rows"),
    "no row that is new to the champion": (replace(GOOD, champion_rows=0, paired_champion=None), "champion_rows"),
    "no comparison": (replace(GOOD, paired_champion=None), "better_than_champion"),
    "another metric": (
        replace(GOOD, paired_champion=replace(present(PAIRED), metric="brier")),
        "better_than_champion",
    ),
    "one day": (
        replace(GOOD, paired_champion=PairedDifference("log_loss", -0.2, None, 0, None, None, None)),
        "better_than_champion",
    ),
    "no error": (
        replace(GOOD, paired_champion=replace(present(PAIRED), standard_error=float("nan"))),
        "better_than_champion",
    ),
    "no difference": (
        replace(GOOD, paired_champion=replace(present(PAIRED), difference=float("nan"))),
        "better_than_champion",
    ),
    "another champion": (replace(GOOD, champion_version=2), "report_mismatch"),
    "no champion in the report": (replace(GOOD, champion_version=None), "report_mismatch"),
    "another run": (replace(GOOD, run_id="train-ffff"), "report_mismatch"),
    "another snapshot": (replace(GOOD, snapshot_hash="abd"), "report_mismatch"),
    "another model": (replace(GOOD, model="fraud"), "report_mismatch"),
    "other rows": (replace(GOOD, rows=1001), "report_mismatch"),
    "no latency": (replace(GOOD, latency_ms=None), "latency"),
    "no size": (replace(GOOD, artifact_bytes=None), "artifact_size"),
    "an undefined metric": (
        replace(GOOD, candidate={**GOOD.candidate, "roc_auc": replace(GOOD.candidate["roc_auc"], value=None)}),
        "absolute_threshold",
    ),
    "no metric": (replace(GOOD, candidate={}), "absolute_threshold"),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_the_report_does_not_show_is_refused(name: str) -> None:
    report, code = MISSING[name]
    gate = policy(max_latency_ms=10, max_artifact_mb=5, absolute=[{"metric": "roc_auc", "min": 0.5}])
    assert decide(GOOD, gate, EXPECTED).passed
    verdict = decide(report, gate, EXPECTED)
    assert not verdict.passed
    assert code in {r.code for r in verdict.reasons if not r.passed}


@pytest.mark.parametrize(
    ("gate", "code"),
    [
        ({"minimum_test_rows": 1001}, "minimum_test_rows"),
        ({"baseline_margin": 0.5}, "better_than_baseline"),
        ({"margin": 0.5}, "better_than_champion"),
        ({"absolute": [{"metric": "roc_auc", "min": 0.71}]}, "absolute_threshold"),
        ({"absolute": [{"metric": "log_loss", "max": 0.1}]}, "absolute_threshold"),
        ({"max_latency_ms": 0.2}, "latency"),
        ({"max_artifact_mb": 0.4}, "artifact_size"),
    ],
)
def test_each_declared_limit_holds(gate: dict[str, Any], code: str) -> None:
    verdict = decide(GOOD, policy(**gate), EXPECTED)
    failed = [r for r in verdict.reasons if not r.passed]
    assert [r.code for r in failed] == [code]
    assert failed[0].limit is not None


def test_the_verdict_is_plain_json() -> None:
    document = decide(replace(GOOD, paired_champion=None), policy(), EXPECTED).as_dict()
    assert document["verdict"] == "fail"
    assert set(document["reasons"][0]) == {"code", "passed", "sentence"}


class TestFewOfAClass:
    """Positives so rare that a test part has hardly any, or none; and zeros just so."""

    @staticmethod
    def drawn(rng: np.random.Generator, *, expected: float, factor: float, rare: int = 1) -> Report:
        """A candidate that answers ``factor`` times the true odds, and a champion that answers the truth."""
        z = rng.normal(np.log(expected / 1000) - 0.5, 1, 1000)
        labels = (rng.random(1000) < 1 / (1 + np.exp(-z))).astype(np.int64)
        answers = [1 / (1 + np.exp(-(z + np.log(f)))) for f in (factor, 1.0)]
        if not rare:
            labels, answers = 1 - labels, [1 - a for a in answers]
        return report_of(labels, np.clip(answers[0], 1e-9, 1 - 1e-9), answers[1], priced=False, interval=False)

    @pytest.mark.parametrize("rare", [0, 1])
    def test_without_any_nothing_passes_and_the_remedy_is_told(self, rare: int) -> None:
        report = self.drawn(np.random.default_rng(1), expected=1e-6, factor=0.1, rare=rare)
        assert report.classes in (ClassCounts(0, 1000, 0, 20), ClassCounts(1000, 0, 20, 0))
        for kind in ("better", "not_worse"):
            verdict = decide(report, policy(policy=kind, margin=0.5), EXPECTED)
            few = next(r for r in verdict.reasons if r.code == "too_few_of_a_class")
            assert not few.passed
            assert f"0 rows of class {rare}, on 0 of 20 days" in few.sentence
            assert "data.split.test_days" in few.sentence
            assert (few.value, few.limit) == (0, FEWEST_OF_A_CLASS)

    def test_enough_is_told_too(self) -> None:
        assert reason(GOOD, "rows_of_each_class").passed

    def test_a_report_that_does_not_say_is_refused(self) -> None:
        assert not reason(replace(GOOD, classes=None), "rows_of_each_class").passed

    def test_a_comparison_on_too_few_of_a_class_is_refused_by_name(self) -> None:
        few = replace(present(PAIRED), parts=replace(present(present(PAIRED).parts), counted=3))
        verdict = decide(replace(GOOD, paired_champion=few), policy(), EXPECTED)
        failed = {r.code: r for r in verdict.reasons if not r.passed}
        assert set(failed) == {"too_few_of_a_class", "better_than_champion"}
        assert "The part on which the champion is compared has 3 rows" in failed["too_few_of_a_class"].sentence

    @pytest.mark.slow
    @pytest.mark.parametrize("rare", [0, 1])
    @pytest.mark.parametrize("expected", [2.2, 10, 25])
    @pytest.mark.parametrize("factor", [0.1, 0.5, 10])
    def test_a_worse_candidate_passes_no_more_often_than_declared(
        self, rare: int, expected: float, factor: float
    ) -> None:
        rng = np.random.default_rng(2)
        passed = sum(
            decide(self.drawn(rng, expected=expected, factor=factor, rare=rare), policy(), EXPECTED).passed
            for _ in range(60)
        )
        # The chance of more with the declared 5% is below one in a thousand.
        assert passed <= 9

    def test_of_a_regression_no_classes_are_asked(self) -> None:
        verdict = decide(replace(GOOD, problem_type="regression", classes=None), policy(), EXPECTED)
        assert verdict.passed


def test_an_absolute_limit_is_kept_with_the_declared_confidence() -> None:
    """An area of 0.7 with an error of 0.01 over twenty days is above 0.68 with 95% confidence, and not above 0.69."""
    for limit, kept in ((0.68, True), (0.69, False)):
        gate = policy(absolute=[{"metric": "roc_auc", "min": limit}])
        found = next(r for r in decide(GOOD, gate, EXPECTED).reasons if r.code == "absolute_threshold")
        assert found.passed is kept
        assert "at least 0.6824 with 95% confidence" in found.sentence


class TestWhatMayNotHaveHappened:
    """A kind of row, or a day, that the test part has none of."""

    def test_few_rows_are_refused_whatever_is_declared(self) -> None:
        few = reason(replace(GOOD, rows=182), "too_few_rows", minimum_test_rows=30)
        assert not few.passed
        assert (few.value, few.limit) == (182, 183)
        assert "183 are required at 95% confidence" in few.sentence
        assert "data.split.test_days" in few.sentence
        codes = {r.code for r in decide(replace(GOOD, rows=183), policy(minimum_test_rows=30), EXPECTED).reasons}
        assert "too_few_rows" not in codes

    def test_few_rows_to_compare_with_the_champion_on_are_refused(self) -> None:
        few = reason(replace(GOOD, champion_rows=182), "too_few_rows", minimum_test_rows=30)
        assert not few.passed
        assert "The champion has not learned from 182 rows" in few.sentence

    def test_a_rarer_fault_takes_more_rows(self) -> None:
        few = reason(GOOD, "too_few_rows", rarest_fault=0.003)
        assert not few.passed
        assert (few.value, few.limit) == (1000, 1228)
        assert "An error that hits 3 in 1,000 rows (gate.rarest_fault 0.003) may be missing" in few.sentence
        assert "too_few_rows" not in {r.code for r in decide(GOOD, policy(rarest_fault=0.004), EXPECTED).reasons}

    def test_a_verdict_that_passes_says_what_the_test_part_can_miss(self) -> None:
        told = reason(GOOD, "rarest_fault")
        assert told.passed
        assert told.sentence == (
            "An error that hits fewer than 3.7 in 1,000 rows can be missed by this test part of 1,000 rows "
            "(95% confidence). gate.rarest_fault 0.02 requires 183."
        )

    def test_what_the_comparison_with_the_champion_can_miss_is_told(self) -> None:
        told = reason(replace(GOOD, champion_rows=400), "rarest_fault", minimum_test_rows=30)
        assert "fewer than 9.2 in 1,000 rows can be missed by what the champion has not learned" in told.sentence
        assert told.value == 400

    def test_a_million_rows_are_told_in_a_million(self) -> None:
        told = reason(replace(GOOD, rows=1_000_000, champion_rows=900_000), "rarest_fault")
        assert "fewer than 4.1 in 1,000,000 rows" in told.sentence

    @pytest.mark.parametrize("share", [0, 0.051, -0.02, 1e-7])
    def test_a_share_that_no_test_part_could_promise_is_no_declaration(self, share: float) -> None:
        with pytest.raises(ValidationError, match="rarest_fault"):
            policy(rarest_fault=share)

    def test_few_days_are_refused(self) -> None:
        few = reason(replace(GOOD, days=4), "too_few_days")
        assert not few.passed
        assert (few.value, few.limit) == (4, 5)
        assert not [r for r in decide(replace(GOOD, days=5), policy(), EXPECTED).reasons if r.code == "too_few_days"]

    def test_few_days_to_compare_with_the_champion_on_are_refused(self) -> None:
        few = reason(replace(GOOD, paired_champion=replace(present(PAIRED), days=4)), "too_few_days")
        assert not few.passed
        assert "that the champion has not learned are of 4 days" in few.sentence

    @pytest.mark.parametrize("confidence", [0.5, 0.6, 0.9, 0.95, 0.99])
    @pytest.mark.parametrize("share", [0.05, 0.02, 0.001, 1e-6])
    def test_a_kind_of_row_is_seen_as_declared(self, confidence: float, share: float) -> None:
        rows = rows_needed(confidence, share)
        assert math.log1p(-share) * rows <= math.log((1 - confidence) / 2) < math.log1p(-share) * (rows - 1)
        assert rarest_seen(confidence, rows) <= share < rarest_seen(confidence, rows - 1)
        days = days_needed(confidence)
        assert 0.5**days <= 1 - confidence + 1e-9


class TestTailsThatAreTooHeavy:
    """A single row decides what the mean is."""

    DAYS = np.arange(2100) % 7

    def judged(self, differences: np.ndarray, **gate: Any) -> dict[str, Reason]:
        """The reasons about a regression whose rows differ by that from the champion's, on losses of a thousand."""
        ours, theirs = (estimate("mae", np.zeros(2100), 1000 + part) for part in (differences, 0 * differences))
        theirs_and_ten = np.full(2100, 1010.0)
        report = replace(
            GOOD,
            problem_type="regression",
            classes=None,
            rows=2100,
            days=7,
            champion_rows=2100,
            candidate={"mae": metric_value(ours, self.DAYS)},
            paired_baseline=paired_difference(ours, estimate("mae", np.zeros(2100), theirs_and_ten), self.DAYS),
            paired_champion=paired_difference(ours, theirs, self.DAYS),
            parity=ParityFacts(rows=2100, max_abs_difference=0.0, label_flips=0),
        )
        verdict = decide(report, policy(metric="mae", **gate), replace(EXPECTED, test_rows=2100))
        return {r.code: r for r in verdict.reasons}

    def with_one_row(self, of: float, size: float) -> np.ndarray:
        """Rows that are better by ``of``, with noise, but for one that is worse by ``size``."""
        differences = np.random.default_rng(3).normal(-of, 1, 2100)
        differences[17] = size
        return differences

    def test_the_row_is_the_reason(self) -> None:
        """GIVEN a difference that the rows but one show, and one that a Pareto tail's largest could be like."""
        found = self.judged(self.with_one_row(0.1, 50))
        assert not found["better_than_champion"].passed
        heavy = found["too_heavy_tails"]
        assert not heavy.passed
        assert heavy.limit == pytest.approx(2100**-0.25)
        assert "One row alone makes up 71% of the squares of the differences to the champion" in heavy.sentence
        assert "with 2,100 rows at most 15%" in heavy.sentence
        assert "data.target_max" in heavy.sentence

    def test_what_is_better_by_far_more_passes_all_the_same(self) -> None:
        found = self.judged(self.with_one_row(2, 50))
        assert found["better_than_champion"].passed
        assert "too_heavy_tails" not in found

    def test_differences_at_the_last_digits_keep_a_margin(self) -> None:
        differences = np.zeros(2100)
        differences[5] = 1e-10
        found = self.judged(differences, policy="not_worse", margin=0.01)
        assert found["not_worse_than_champion"].passed
        assert found["rarest_fault"].passed

    def test_what_is_not_better_at_all_has_that_for_its_reason(self) -> None:
        found = self.judged(self.with_one_row(-0.1, 50))
        assert not found["better_than_champion"].passed
        assert "too_heavy_tails" not in found

    def test_an_absolute_limit_is_refused_by_name(self) -> None:
        threshold = [{"metric": "mae", "max": 1000.02}]
        # The difference is shown here, and the limit is not.
        found = self.judged(self.with_one_row(0.1, 50), absolute=threshold, policy="not_worse", margin=1)
        assert found["not_worse_than_champion"].passed
        assert not found["absolute_threshold"].passed
        assert "of the losses that mae is the mean of" in found["too_heavy_tails"].sentence
        assert self.judged(self.with_one_row(0.1, 3), absolute=threshold)["absolute_threshold"].passed
