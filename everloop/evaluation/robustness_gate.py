"""The gate on robustness: whether a disturbance makes the candidate worse than is declared.

The figures on the disturbed test rows decide. Of each kind the worst disturbance counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from everloop.evaluation.report import Report
from everloop.evaluation.robustness_report import Disturbance, Kind, Robustness
from everloop.numbers_of import number_of
from everloop.reasons import Reason, checked

if TYPE_CHECKING:
    from everloop.model_file.schema import Gate
    from everloop.model_file.sections.gate import GateRobustness

LIMITS: dict[Kind, str] = {
    "missing": "max_missing_increase",
    "unseen": "max_unseen_increase",
    "extreme": "max_extreme_increase",
    "noise": "max_noise_increase",
    "unit": "max_unit_increase",
    "search": "max_search_increase",
}
"""The key of ``gate.robustness`` that limits what each kind adds to the loss."""

FLIPS: dict[Kind, str] = {"noise": "max_noise_flips", "search": "max_search_flips"}
"""The key that limits the share of decisions that a kind turns."""


def on_robustness(report: Report, policy: Gate) -> Iterator[Reason]:
    """Whether the declared limits are kept."""
    asked = policy.robustness
    if asked is None:
        return
    found = report.robustness
    if found is None:
        yield checked(
            "robustness", False, "The report does not say what disturbed rows do, and gate.robustness limits it."
        )
        return
    if found.metric != policy.metric:
        told = f"The report disturbs rows in {found.metric}, and gate.metric is {policy.metric}: evaluate again."
        yield checked("robustness", False, told)
        return
    for kind in LIMITS:
        yield from _of_kind(found, asked, kind)


def _of_kind(found: Robustness, asked: GateRobustness, kind: Kind) -> Iterator[Reason]:
    limit = getattr(asked, LIMITS[kind])
    code = f"robustness_{kind}"
    limited = limit is not None or (kind in FLIPS and getattr(asked, FLIPS[kind]) is not None)
    silent = [one for one in found.disturbances if one.kind == kind and one.unanswered] if limited else []
    if silent:
        most = max(silent, key=lambda one: one.unanswered)
        share = f"{100 * most.unanswered:.3g}%"
        told = f"If {most.told}, the model has no score that can be answered for {share} of the rows."
        yield checked(f"{code}_unanswered", False, told, most.unanswered, 0.0)
    worst = found.worst(kind)
    if limit is not None:
        yield _nothing(found, kind, code) if worst is None else _increase(found, worst, limit, code)
    flips = getattr(asked, FLIPS[kind]) if kind in FLIPS else None
    if flips is None:
        return
    one = next((one for one in found.disturbances if one.kind == kind), None)
    if one is None or one.flipped is None:
        yield _nothing(found, kind, f"{code}_flips")
        return
    told = f"If {one.told}, {100 * one.flipped:.3g}% of {number_of(one.rows, 'row')} get another decision"
    required = f"at most {100 * flips:.3g}% is allowed"
    yield checked(f"{code}_flips", one.flipped <= flips, f"{told}; {required}.", one.flipped, flips)


def _increase(found: Robustness, worst: Disturbance, limit: float, code: str) -> Reason:
    assert worst.increase is not None
    interval = "" if worst.low is None or worst.high is None else f" (95%: {worst.low:+.4g} to {worst.high:+.4g})"
    refused = f"; the contract refuses {100 * worst.refused:.3g}% of such rows" if worst.refused else ""
    told = (
        f"If {worst.told}, {found.metric} changes by {worst.increase:+.4g}{interval} on"
        f" {number_of(worst.rows, 'row')}{refused}"
    )
    return checked(code, worst.increase <= limit, f"{told}; at most {limit:+.4g} is allowed.", worst.increase, limit)


def _nothing(found: Robustness, kind: Kind, code: str) -> Reason:
    """Nothing of the kind can come: the contract refuses it all, or no feature can be so."""
    refused = [one for one in found.disturbances if one.kind == kind]
    why = "the contract refuses all such rows" if refused else "no feature of the model can come so"
    return checked(code, True, f"There is nothing to limit of the kind {kind}: {why}.")
