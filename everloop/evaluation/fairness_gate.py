"""The gate on fairness: whether groups of people are further apart than is declared.

``gate.fairness.require`` says what counts, as of slices (:mod:`everloop.evaluation.slice_gate`): by default the figures
on the test rows keep every limit. A group with too few rows is not compared. Then the limit is not judged, and with
``too_few: refuse`` nothing passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from everloop.evaluation.fairness_report import Fairness, FairnessBy, Gap, Measure
from everloop.evaluation.report import Report
from everloop.reasons import Reason, checked

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate
    from everloop.model_file.sections.gate import GateFairness

LIMITS: dict[Measure, str] = {
    "selection_rate_gap": "max_selection_rate_gap",
    "selection_rate_ratio": "min_selection_rate_ratio",
    "true_positive_rate_gap": "max_true_positive_rate_gap",
    "false_positive_rate_gap": "max_false_positive_rate_gap",
    "equalized_odds_gap": "max_equalized_odds_gap",
    "calibration_gap": "max_calibration_gap",
}
"""The key of ``gate.fairness`` that limits each measure."""

MOST_NAMED = 10
"""Groups with too few rows that a sentence names."""

_TOLD: dict[Measure, str] = {
    "selection_rate_gap": "selection rate",
    "selection_rate_ratio": "selection rate, the lowest over the highest,",
    "true_positive_rate_gap": "true positive rate",
    "false_positive_rate_gap": "false positive rate",
    "equalized_odds_gap": "true or false positive rate",
    "calibration_gap": "mean of score less outcome",
}


def declared_limits(asked: GateFairness) -> dict[Measure, float]:
    """The limits that are declared, by measure."""
    found = {measure: getattr(asked, key) for measure, key in LIMITS.items()}
    return {measure: limit for measure, limit in found.items() if limit is not None}


def told_of(by: FairnessBy) -> str:
    """The feature, and of several classes the one that is held against the others."""
    return f"{by.feature}, {by.of_class} against all others" if by.of_class else by.feature


def on_fairness(report: Report, policy: Gate) -> Iterator[Reason]:
    """Whether the groups of every declared feature keep the declared limits."""
    asked = policy.fairness
    if asked is None:
        return
    fairness = report.fairness
    if fairness is None:
        yield checked("fairness", False, "The report does not say how groups of people fare, and gate.fairness does.")
        return
    found = {by.by: [one for one in fairness.by if one.feature == by.by] for by in asked.by}
    classes = [] if report.multiclass is None else [one.name for one in report.multiclass.classes]
    whole = all([one.of_class for one in each] == (classes or [""]) for each in found.values())
    same = fairness.minimum_rows == asked.minimum_rows and fairness.confidence == policy.confidence
    if not same or not whole or len(fairness.by) != sum(map(len, found.values())):
        yield checked("fairness", False, "The report has other groups than gate.fairness declares: evaluate again.")
        return
    for by in asked.by:
        for one in found[by.by]:
            for measure, limit in declared_limits(asked).items():
                gap = next((gap for gap in one.gaps if gap.measure == measure), None)
                yield from _judged(fairness, one, measure, gap, limit, policy)


def _judged(
    fairness: Fairness, by: FairnessBy, measure: Measure, gap: Gap | None, limit: float, policy: Gate
) -> Iterator[Reason]:
    asked = policy.fairness
    assert asked is not None
    code = f"fairness_{measure}"
    if gap is None:
        yield checked(code, False, f"The report does not have the {measure} of {told_of(by)}.")
        return
    if gap.left_out:
        refused = asked.too_few == "refuse"
        what = "so its limit can't be judged" if gap.value is None else "so the limit is judged without them"
        sentence = (
            f"Of {told_of(by)}, groups have too few rows for {measure} (gate.fairness.minimum_rows is"
            f" {asked.minimum_rows}): {', '.join(gap.left_out[:MOST_NAMED])}, {what}."
        )
        remedy = (
            " Declare more data.split.test_days, or fewer or larger groups under gate.fairness.by." if refused else ""
        )
        yield checked("fairness_too_few_rows", not refused, sentence + remedy)
    if gap.value is None:
        told = f"By {told_of(by)}, {measure} can't be judged: fewer than two groups have rows enough."
        yield checked(code, asked.too_few == "tell", told)
        return
    yield _limit(fairness, by, measure, gap, limit, policy)


def _limit(fairness: Fairness, by: FairnessBy, measure: Measure, gap: Gap, limit: float, policy: Gate) -> Reason:
    asked = policy.fairness
    assert asked is not None
    assert gap.value is not None
    code, least = f"fairness_{measure}", measure == "selection_rate_ratio"
    word = "at least" if least else "at most"
    between = f"{gap.lowest} (lowest) and {gap.highest} (highest)"
    interval = "" if gap.low is None or gap.high is None else f" (95%: {gap.low:.4g} to {gap.high:.4g})"
    acted = "" if fairness.threshold is None else f", acting from a score of {fairness.threshold:g} on"
    told = f"By {told_of(by)}{acted}, groups differ in {_TOLD[measure]} by {gap.value:.4g}{interval}: {between}"
    if least:
        told = f"By {told_of(by)}{acted}, the {_TOLD[measure]} is {gap.value:.4g}{interval}: {between}"
    required = f"{word} {limit:.4g} is allowed"
    sure = f"{100 * policy.confidence:.6g}%"
    if asked.require == "estimate":
        passed = gap.value >= limit if least else gap.value <= limit
        return checked(code, passed, f"{told}; {required}.", gap.value, limit)
    if gap.at_least is None or gap.at_most is None:
        return checked(code, False, f"{told}; all rows are of one day, so how sure that is can't be said.", None, limit)
    if asked.require == "kept":
        bound = gap.at_least if least else gap.at_most
        passed = bound >= limit if least else bound <= limit
        side = "at least" if least else "at most"
        sentence = f"{told}; with {sure} confidence it is {side} {bound:.4g}, and {required}."
        return checked(code, passed, sentence, bound, limit)
    bound = gap.at_most if least else gap.at_least
    passed = bound >= limit if least else bound <= limit
    shown = f"with {sure} confidence the limit is {'not ' if passed else ''}shown to be broken"
    return checked(code, passed, f"{told}; {required}, and {shown}.", bound, limit)
