"""Decides at each look at a rollout whether it goes on, waits or is rolled back.

A rollout is looked at while its steps and its bake last (:mod:`everloop.rollout.cadence`), and once more as each ends.
All looks, measures and phases together roll back a version that keeps every limit in at most
``rollout.guardrail.false_rollback_rate`` of rollouts: see :mod:`everloop.rollout.looks` and
:mod:`everloop.rollout.measures`.

With 2% of failures allowed and two steps, a version that fails every request is back after its second; a single failure
is not enough, because one in fifty is allowed to fail. Where more is allowed, less can be told: that all of
``minimum_requests`` failed is evidence only while ``max_error_rate ** minimum_requests`` is below a look's share. What
could not be judged is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from everloop.numbers_of import number_of
from everloop.reasons import Reason, ReasonDocument
from everloop.rollout.answer_measures import NOTHING_JUDGED, Judged
from everloop.rollout.cadence import next_look
from everloop.rollout.looks import Look
from everloop.rollout.measures import IN_A_STEP, IN_THE_BAKE, NOT_JUDGED, SLOW_SHARE, UNCOUNTED, Measure, Seen
from everloop.rollout.plan import RolloutPlan
from everloop.rollout.version_metrics import VersionMetrics

if TYPE_CHECKING:
    from everloop.model_file.schema import Guardrail

Decision = Literal["advance", "hold", "rollback", "promote", "ok"]


@dataclass(frozen=True)
class Verdict:
    """A decision with its reasons.

    Of a ``hold``, ``wait_seconds`` is how long to wait before looking again, and ``left_seconds`` how long the phase,
    or the wait for traffic, lasts.
    """

    decision: Decision
    reasons: tuple[Reason, ...]
    wait_seconds: int = 0
    left_seconds: float = 0.0

    def reasons_json(self) -> list[ReasonDocument]:
        """The reasons as JSON values."""
        return [reason.as_dict() for reason in self.reasons]


def decide_step(
    plan: RolloutPlan,
    guardrail: Guardrail,
    *,
    step_index: int,
    elapsed_seconds: float,
    metrics: VersionMetrics,
    before: VersionMetrics | None = None,
    answers: Judged = NOTHING_JUDGED,
) -> Verdict:
    """Decide at a look at a canary step.

    Parameters
    ----------
    step_index : int
        The step in effect.
    elapsed_seconds : float
        Since it took effect.
    metrics : VersionMetrics
        The candidate's, since the step took effect.
    before : VersionMetrics, optional
        The predecessor's, in the same stretch of time.
    answers : Judged
        What was found of both versions' answers (:mod:`everloop.rollout.answer_measures`).

    Returns
    -------
    Verdict
        ``rollback`` when a limit is broken, or when the minimum of requests did not come within
        ``max_hold_minutes`` after the step's time; ``hold`` until the step's time is over, and while the minimum may
        still come; else ``advance``, or ``promote`` after the last step.
    """
    step = plan.step(step_index)
    step_left = step.seconds - elapsed_seconds
    hold_left = step_left + guardrail.max_hold_minutes * 60
    short = metrics.requests < guardrail.minimum_requests
    lasts = step_left > 0 or (short and hold_left > 0)
    broken, unable = _judged(IN_A_STEP, Seen(guardrail, Look.at(plan, guardrail, ends=not lasts), metrics, before))
    if broken or answers.broken:
        return Verdict("rollback", broken + answers.broken)
    if lasts:
        waits = step_left <= 0
        left = hold_left if waits else step_left
        seconds = next_look(plan, guardrail, metrics, elapsed_seconds=elapsed_seconds, left_seconds=left, waits=waits)
        why = _lacking(guardrail, metrics) if waits else _under_way("step", left)
        return Verdict("hold", (why,), seconds, left)
    if short:
        return Verdict("rollback", (_too_little_traffic(guardrail, metrics),))
    decision: Decision = "promote" if plan.is_last(step_index) else "advance"
    return Verdict(decision, (_kept(guardrail, metrics), *answers.told, *unable))


def decide_bake(
    plan: RolloutPlan,
    guardrail: Guardrail,
    metrics: VersionMetrics,
    before: VersionMetrics | None = None,
    *,
    elapsed_seconds: float = math.inf,
    answers: Judged = NOTHING_JUDGED,
) -> Verdict:
    """Decide at a look at the bake: ``rollback`` when a limit is broken, ``hold`` while it lasts, ``ok`` at its end.

    Little traffic is no reason to undo a promotion: the version keeps serving either way. What it was too little to
    judge is said. ``before`` is what its predecessor did in as long a stretch before the rollout.
    """
    left = plan.bake_seconds - elapsed_seconds
    broken, unable = _judged(IN_THE_BAKE, Seen(guardrail, Look.at(plan, guardrail, ends=left <= 0), metrics, before))
    if broken or answers.broken:
        return Verdict("rollback", broken + answers.broken)
    if left > 0:
        seconds = next_look(plan, guardrail, metrics, elapsed_seconds=elapsed_seconds, left_seconds=left)
        return Verdict("hold", (_under_way("bake", left),), seconds, left)
    return Verdict("ok", (_kept(guardrail, metrics), *answers.told, *unable))


def _judged(measures: Iterable[Measure], seen: Seen) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
    """The limits that are broken, and what could not be judged."""
    found = [reason for reason in (measure(seen) for measure in measures) if reason is not None]
    broken = tuple(reason for reason in found if reason.code != NOT_JUDGED)
    return broken, tuple(reason for reason in found if reason.code == NOT_JUDGED)


def _under_way(phase: str, left: float) -> Reason:
    minutes = math.ceil(left / 60)
    return Reason(f"{phase}_under_way", f"nothing speaks against it; the {phase} lasts another {minutes:,} min")


def _arrived(guardrail: Guardrail, metrics: VersionMetrics) -> str:
    return (
        f"{number_of(metrics.requests, 'request')} reached the candidate; {guardrail.minimum_requests} are required"
        " (rollout.guardrail.minimum_requests)"
    )


def _lacking(guardrail: Guardrail, metrics: VersionMetrics) -> Reason:
    sentence = f"{_arrived(guardrail, metrics)}: waiting for more requests"
    return Reason("waiting_for_traffic", sentence, float(metrics.requests), float(guardrail.minimum_requests))


def _too_little_traffic(guardrail: Guardrail, metrics: VersionMetrics) -> Reason:
    sentence = (
        f"{_arrived(guardrail, metrics)}, and they did not arrive within"
        f" {number_of(guardrail.max_hold_minutes, 'minute')} after the step"
    )
    return Reason("too_little_traffic", sentence, float(metrics.requests), float(guardrail.minimum_requests))


def _kept(guardrail: Guardrail, metrics: VersionMetrics) -> Reason:
    limit = f"{guardrail.max_p99_latency_ms:.0f} ms ({UNCOUNTED})"
    slow = f"{metrics.slow:,} of {metrics.timed:,} took longer than {limit}"
    p99 = "" if metrics.p99_ms is None else f"; the 99th percentile was {metrics.p99_ms:.0f} ms"
    allowed = f"{guardrail.max_error_rate:.2%} errors or {SLOW_SHARE:.0%} slow requests"
    cold = ""
    if guardrail.max_cold_start_ms is not None:
        of_cold = f"{metrics.slow_cold:,} of {number_of(metrics.cold, 'cold start')}"
        cold = f"; {of_cold} took longer than {guardrail.max_cold_start_ms:.0f} ms"
    sentence = (
        f"{metrics.errors:,} of {number_of(metrics.requests, 'request')} failed and {slow}: no evidence of more"
        f" than {allowed}{p99}{cold}"
    )
    return Reason("guardrail_kept", sentence)
