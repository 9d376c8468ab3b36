"""Waivers: a reason of the gate that a named person lets pass, for a time, and why.

A waiver is about what was measured and missed a limit. Whether the report is whole, and about this model, run and
files, nobody may waive: then nothing was measured that a person could weigh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.evaluation.robustness_report import KINDS
from everloop.instants import instant_text
from everloop.reasons import Reason, ReasonDocument

if TYPE_CHECKING:
    from everloop.evaluation.gate import Verdict

WAIVABLE = frozenset(
    {
        "absolute_threshold",
        "artifact_size",
        "better_than_baseline",
        "better_than_champion",
        "champion_rows",
        "fairness_calibration_gap",
        "fairness_equalized_odds_gap",
        "fairness_false_positive_rate_gap",
        "fairness_selection_rate_gap",
        "fairness_selection_rate_ratio",
        "fairness_true_positive_rate_gap",
        "latency",
        "minimum_test_rows",
        "money_better_than_baseline",
        "money_better_than_champion",
        "money_not_worse_than_champion",
        "not_worse_than_champion",
        *(f"robustness_{kind}{of}" for kind in KINDS for of in ("", "_flips")),
        "serving_cost",
        "slice_loss",
        "slice_worse_than_baseline",
        "slice_worse_than_champion",
        "standing_worse_than_champion",
        "too_few_days",
        "too_few_of_a_class",
        "too_few_rows",
        "too_heavy_tails",
    }
)
"""Codes that may be waived, where the reason has a figure: without one the report did not say."""


@dataclass(frozen=True)
class Waived:
    """A waiver in force, as the gate takes it.

    Attributes
    ----------
    code : str
        The reason's.
    until : datetime
        From then on it counts for nothing.
    by, why : str
        Who granted it, and the text they gave.
    """

    code: str
    until: datetime
    by: str
    why: str


def may_be_waived(reason: ReasonDocument) -> bool:
    """Whether a person may let this failed reason pass."""
    return reason["code"] in WAIVABLE and "value" in reason


def failed_reasons(reasons: Sequence[ReasonDocument]) -> list[ReasonDocument]:
    """Those that failed."""
    return [reason for reason in reasons if reason.get("passed") is False]


def with_waivers(verdict: Verdict, waived: Sequence[Waived]) -> Verdict:
    """The verdict with waivers applied: a waived reason passes, and says who let it, until when, and why."""
    by_code = {one.code: one for one in waived}
    reasons = tuple(_let(reason, by_code.get(reason.code)) for reason in verdict.reasons)
    ordered = sorted(reasons, key=lambda reason: (bool(reason.passed), not reason.waived))
    return replace(verdict, passed=all(reason.passed for reason in reasons), reasons=tuple(ordered))


def _let(reason: Reason, waiver: Waived | None) -> Reason:
    if waiver is None or reason.passed is not False or not may_be_waived(reason.as_dict()):
        return reason
    told = f"Waived until {instant_text(waiver.until)} by {waiver.by}: {waiver.why} — {reason.sentence}"
    return replace(reason, sentence=told, passed=True, waived=True)
