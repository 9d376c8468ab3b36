"""Groups of people are compared as fairlearn compares them, with bounds that hold, and limits that refuse."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from everloop.evaluation.dimensions import dimension_of_category
from everloop.evaluation.fairness import Terms, fairness_of, reliability
from everloop.evaluation.fairness_report import Gap
from everloop.evaluation.gate import decide
from everloop.evaluation.group_rates import wilson
from everloop.evaluation.multiclass_report import ClassFacts, Multiclass
from everloop.evaluation.report import Report
from everloop.reasons import Reason
from tests.everloop.evaluation.builders import DAYS, EXPECTED, labels_and_truth, policy, report_of
from tests.everloop.evaluation.record_fairlearn import FIGURES, drawn

LABELS, TRUTH = labels_and_truth(1)
ROWS = len(LABELS)
GROUP = np.array(["blue", "green"], dtype=object)[np.arange(ROWS) % 2]
FAVOURED = np.where(GROUP == "blue", np.minimum(TRUTH + 0.3, 1), TRUTH)
TERMS = Terms(threshold=0.5, minimum_rows=30, confidence=0.95, limits=1)


def gaps(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, days: np.ndarray, **terms: Any) -> dict[str, Gap]:
    dimension = dimension_of_category("group", groups, None)
    found = fairness_of([dimension], labels, scores, days, replace(TERMS, **terms))
    return {gap.measure: gap for gap in found.by[0].gaps}


def report(scores: np.ndarray, groups: np.ndarray = GROUP, days: np.ndarray = DAYS, **terms: Any) -> Report:
    dimension = dimension_of_category("group", groups, None)
    fairness = fairness_of([dimension], LABELS, scores, days, replace(TERMS, **terms))
    return replace(report_of(LABELS, np.clip(scores, 0, 1), None), fairness=fairness)


def reasons(found: Report, **fairness: Any) -> list[Reason]:
    asked = policy(fairness={"by": [{"by": "group"}], **fairness})
    expected = replace(EXPECTED, champion_version=None)
    return [r for r in decide(found, asked, expected).reasons if r.code.startswith("fairness")]


@pytest.mark.parametrize("case", range(24))
def test_figures_are_fairlearns(case: int) -> None:
    theirs = json.loads(FIGURES.read_text(encoding="utf-8"))[case]
    labels, acts, group = drawn(case)
    names = np.array([f"group {number}" for number in group], dtype=object)
    dimension = dimension_of_category("group", names, sorted(set(names)))
    days = np.arange(len(labels)) % 10
    terms = replace(TERMS, minimum_rows=1)
    [by] = fairness_of([dimension], labels, acts.astype(float), days, terms).by
    for place, facts in enumerate(by.groups):
        for name in ("selection_rate", "true_positive_rate", "false_positive_rate"):
            assert getattr(facts, name).value == pytest.approx(theirs["by_group"][name][place], abs=1e-12)
    for gap in by.gaps:
        if gap.measure in theirs:
            assert gap.value == pytest.approx(theirs[gap.measure], abs=1e-12), gap.measure


def test_calibration_is_the_mean_score_less_the_share_of_ones() -> None:
    [by] = report(FAVOURED).fairness.by  # type: ignore[union-attr]  # it is there
    for facts in by.groups:
        rows = facts.name == GROUP
        assert facts.calibration.value == pytest.approx(FAVOURED[rows].mean() - LABELS[rows].mean())
        assert sum(one.rows for one in facts.reliability) == facts.rows == 500
    assert reliability(LABELS[:49], TRUTH[:49]) == ()


def test_wilson_agrees_with_the_book() -> None:
    # R. G. Newcombe (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20.
    for ones, rows, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        assert wilson(ones / rows, rows, 0.975) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.slow
def test_bounds_hold_at_their_rate_where_days_differ() -> None:
    """GIVEN three groups treated alike, whose days share luck WHEN measured 200 times THEN few bounds exclude 0."""
    rng, wrong, ratios = np.random.default_rng(11), 0, 0
    for _ in range(200):
        days = np.repeat(np.arange(15), 40)
        chance = np.clip(rng.normal(0.3, 0.15, 15), 0.02, 0.98)[days]
        acts = (rng.random(600) < chance).astype(float)
        groups = np.array(["a", "b", "c"], dtype=object)[rng.choice(3, 600, p=[0.6, 0.3, 0.1])]
        found = gaps(np.arange(600) % 2, acts, groups, days)
        least, most = found["selection_rate_gap"].at_least, found["selection_rate_ratio"].at_most
        assert least is not None
        assert most is not None
        wrong += least > 0
        ratios += most < 1
    assert wrong <= 18  # of 200 at 5%: more come with a probability under 1%
    assert ratios <= 18


def test_a_fair_model_passes_and_an_unfair_one_is_refused_by_name() -> None:
    assert all(r.passed for r in reasons(report(TRUTH), max_selection_rate_gap=0.1))
    [refused] = reasons(report(FAVOURED), max_selection_rate_gap=0.1)
    assert (refused.code, refused.passed) == ("fairness_selection_rate_gap", False)
    assert "By group, acting from a score of 0.5 on, groups differ in selection rate by 0." in refused.sentence
    assert "green (lowest) and blue (highest); at most 0.1 is allowed." in refused.sentence


@pytest.mark.parametrize(
    ("key", "limit"),
    [
        ("max_true_positive_rate_gap", 0.1),
        ("max_false_positive_rate_gap", 0.1),
        ("max_equalized_odds_gap", 0.1),
        ("max_calibration_gap", 0.1),
        ("min_selection_rate_ratio", 0.8),
    ],
)
@pytest.mark.parametrize("require", ["estimate", "not_broken", "kept"])
def test_every_limit_refuses_what_breaks_it(key: str, limit: float, require: str) -> None:
    assert not all(r.passed for r in reasons(report(FAVOURED), **{key: limit}, require=require))
    loose = 0.5 if key == "min_selection_rate_ratio" else 0.3
    assert all(r.passed for r in reasons(report(TRUTH), **{key: loose}, require=require))


def test_what_is_not_shown_either_way_depends_on_what_is_declared() -> None:
    few = report(np.where((GROUP == "blue") & (np.arange(ROWS) < 150), TRUTH + 0.2, TRUTH))
    gap = {gap.measure: gap for gap in few.fairness.by[0].gaps}["selection_rate_gap"]  # type: ignore[union-attr]  # it is there
    assert gap.value is not None
    assert gap.at_least is not None
    limit = (gap.value + gap.at_least) / 2
    found = {
        require: [r.passed for r in reasons(few, max_selection_rate_gap=limit, require=require)]
        for require in ("not_broken", "estimate", "kept")
    }
    assert found == {"not_broken": [True], "estimate": [False], "kept": [False]}


def test_a_group_of_three_rows_is_refused_or_told_as_declared() -> None:
    groups = np.where(np.arange(ROWS) < 3, "grey", GROUP).astype(object)
    found = reasons(report(TRUTH, groups), max_selection_rate_gap=0.1)
    [small] = [r for r in found if r.code == "fairness_too_few_rows"]
    assert small.passed is False
    assert "grey (3 rows), so the limit is judged without them" in small.sentence
    assert "Declare more data.split.test_days" in small.sentence
    assert all(r.passed for r in reasons(report(TRUTH, groups), max_selection_rate_gap=0.1, too_few="tell"))


def test_one_group_alone_can_not_be_judged() -> None:
    alone = np.full(ROWS, "blue", dtype=object)
    [refused] = [r for r in reasons(report(TRUTH, alone), max_selection_rate_gap=0.1) if not r.passed]
    assert refused.code == "fairness_selection_rate_gap"
    assert "fewer than two groups" in refused.sentence


def test_a_group_without_positives_has_no_true_positive_rate() -> None:
    groups = np.where(LABELS == 0, GROUP, "blue").astype(object)
    found = reasons(report(TRUTH, groups), max_equalized_odds_gap=0.5)
    assert [r.passed for r in found if r.code == "fairness_too_few_rows"] == [False]
    assert "green (0 rows), so its limit can't be judged" in found[0].sentence


def test_rows_of_one_day_show_nothing() -> None:
    one_day = report(TRUTH, days=np.zeros(ROWS, dtype=int))
    gap = one_day.fairness.by[0].gaps[0]  # type: ignore[union-attr]  # it is there
    assert gap.value is not None
    assert (gap.low, gap.at_most) == (None, None)
    [refused] = reasons(one_day, max_selection_rate_gap=0.9, require="not_broken")
    assert refused.passed is False
    assert "all rows are of one day" in refused.sentence


def test_nobody_selected_is_equal_treatment() -> None:
    found = gaps(LABELS, np.zeros(ROWS), GROUP, DAYS)
    assert found["selection_rate_ratio"].value == 1.0
    assert found["selection_rate_gap"].value == 0.0
    assert found["selection_rate_gap"].high > 0  # type: ignore[operator]  # it has an interval


def test_a_regression_has_calibration_alone() -> None:
    values = np.random.default_rng(3).normal(10, 2, ROWS)
    found = gaps(values, values + np.where(GROUP == "blue", 1.0, 0.0), GROUP, DAYS, threshold=None)
    assert set(found) == {"calibration_gap"}
    gap = found["calibration_gap"]
    assert gap.value == pytest.approx(1.0)
    assert (gap.lowest, gap.highest) == ("green", "blue")
    assert gap.low is not None
    assert math.isclose(gap.low, 1.0, abs_tol=0.2)


def test_a_report_without_groups_or_with_other_ones_is_refused() -> None:
    [silent] = reasons(report_of(LABELS, TRUTH, None), max_selection_rate_gap=0.1)
    assert silent.passed is False
    [other] = reasons(report(TRUTH, minimum_rows=50), max_selection_rate_gap=0.1)
    assert "evaluate again" in other.sentence


def test_fairness_survives_the_report() -> None:
    found = report(TRUTH, np.where(np.arange(ROWS) < 3, "grey", GROUP).astype(object))
    assert Report.from_json(found.to_json()) == found


def test_intervals_of_shares_stay_between_nothing_and_everything() -> None:
    """GIVEN three days that differ as much as they can THEN no share is told to lie outside of 0 to 1."""
    days, acts = np.repeat(np.arange(3), [800, 100, 100]), np.repeat([0.0, 1.0, 1.0], [800, 100, 100])
    dimension = dimension_of_category("group", GROUP, None)
    [by] = fairness_of([dimension], LABELS, acts, days, TERMS).by
    for group in by.groups:
        for rate in (group.selection_rate, group.true_positive_rate, group.false_positive_rate):
            assert rate is not None
            assert rate.low is not None
            assert rate.high is not None
            assert 0 <= rate.low <= rate.high <= 1
    assert all(gap.high is None or 0 <= gap.high <= 1 for gap in by.gaps if gap.measure != "calibration_gap")


class TestSeveralClasses:
    """GIVEN three classes, of which one is answered more often in one group."""

    RNG = np.random.default_rng(5)
    NAMES = ("on_time", "late", "cancelled")
    SCORES = RNG.dirichlet([4, 2, 1], ROWS) * 0.7 + 0.3 * np.eye(3)[np.where(GROUP == "blue", 1, 0)]
    OUTCOMES = (SCORES.cumsum(axis=1) < RNG.random((ROWS, 1))).sum(axis=1).clip(0, 2)

    def report(self) -> Report:
        dimension = dimension_of_category("group", GROUP, None)
        terms = replace(TERMS, threshold=None, classes=self.NAMES)
        fairness = fairness_of([dimension], self.OUTCOMES, self.SCORES, DAYS, terms)
        facts = tuple(ClassFacts(name, 300, 10, 300, 200, 0.3) for name in self.NAMES)
        return replace(report(TRUTH), fairness=fairness, multiclass=Multiclass(facts, ((1, 0), (0, 1))))

    def test_each_is_held_against_all_others_by_fairlearns_definitions(self) -> None:
        fairness = self.report().fairness
        assert fairness is not None
        assert [one.of_class for one in fairness.by] == list(self.NAMES)
        answers = self.SCORES.argmax(axis=1)
        for place, by in enumerate(fairness.by):
            came = (place == self.OUTCOMES).astype(float)
            beside = gaps(came, (answers == place).astype(float), GROUP, DAYS)
            assert [gap for gap in by.gaps if gap.measure != "calibration_gap"] == [
                gap for measure, gap in beside.items() if measure != "calibration_gap"
            ]
            for facts in by.groups:
                rows = facts.name == GROUP
                assert facts.calibration.value == pytest.approx((self.SCORES[:, place] - came)[rows].mean())

    def test_a_limit_is_of_every_class_and_names_the_one_that_breaks_it(self) -> None:
        told = reasons(self.report(), max_selection_rate_gap=0.15)
        assert [r.passed for r in told] == [False, False, True]
        assert "By group, late against all others, groups differ in selection rate by 0." in told[1].sentence
        assert Report.from_json(self.report().to_json()) == self.report()

    def test_a_report_without_one_of_the_classes_is_refused(self) -> None:
        found = self.report()
        assert found.fairness is not None
        fewer = replace(found, fairness=replace(found.fairness, by=found.fairness.by[:2]))
        for silent in (fewer, replace(found, multiclass=None), replace(report(TRUTH), multiclass=found.multiclass)):
            [refused] = reasons(silent, max_selection_rate_gap=0.15)
            assert (refused.passed, "evaluate again" in refused.sentence) == (False, True)
