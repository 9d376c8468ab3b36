"""Decides after each step of a rollout whether it goes on, waits or is rolled back.

The error rate is judged by a lower bound: the rollout is rolled back when a version that keeps ``max_error_rate`` would
fail so often with less than the look's share of the false-alarm probability. Steps and bake share one, and of a step
the looks that wait for traffic and the one that decides: see :mod:`everloop.rollout.looks`.

The bound is exact, because a canary is judged on few requests, where the usual approximations are not: by Wilson's a
single error in up to seven requests would roll back. With 2% allowed and two steps, the deciding look rolls back at two
errors in up to 7 requests, three in 8 to 21, four in 22 to 40, 32 in 1000; a look that waits at two in 2, three in up
to 10, four in up to 21, 14 in 200. So a version that fails every request is back after its second; a single failure is
not enough, because one in fifty is allowed to fail. Where more is allowed, less can be told: that all of
``minimum_requests`` failed is evidence only while ``max_error_rate ** minimum_requests`` is below a look's share.

The latency is judged alike, by the look that decides. ``max_p99_latency_ms`` allows one request in a hundred to take
longer, so the requests that took longer are counted and held against 1%. The 99th percentile of few requests would be
no evidence: of five it is the slowest, which is above the limit in one look of twenty though the version keeps it. Each
limit has its own false-alarm probability.

A version also has to take what its predecessor takes: see :mod:`everloop.rollout.refusals`. It is rolled back when its
share of refused requests is larger by more than ``max_error_rate``, and by more than chance makes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from everloop.numbers_of import number_of
from everloop.reasons import Reason, ReasonDocument
from everloop.rollout.looks import Look
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.refusals import FALSE_ALARM_RATE, more_often
from everloop.statistics.binomial import exact_lower_bound

if TYPE_CHECKING:
    from everloop.model_file.schema import Guardrail

FALSE_ROLLBACK_RATE = 0.05
"""How often, over a whole rollout, a version whose true error rate is exactly the maximum is rolled back; and one of
which exactly one request in a hundred takes longer than allowed."""

SLOW_SHARE = 0.01
"""The share of requests that may take longer than the 99th percentile is allowed to."""

Decision = Literal["advance", "hold", "rollback", "promote", "ok"]


@dataclass(frozen=True)
class VersionMetrics:
    """What one version did in a stretch of time.

    Attributes
    ----------
    requests, errors : int
        Invocations, and those that failed (crashed, or answered 5xx).
    p99_ms : float or None
        99th percentile of the duration in milliseconds; None without requests. It tells, and decides nothing.
    refused : int
        Requests that the version's contract refused, answered with 4xx.
    timed, slow : int
        Invocations whose duration is known, and those of them that took longer than ``max_p99_latency_ms``.
    """

    requests: int
    errors: int
    p99_ms: float | None
    refused: int = 0
    timed: int = 0
    slow: int = 0


@dataclass(frozen=True)
class Verdict:
    """A decision with its reasons; ``wait_seconds`` is how long to wait before looking again."""

    decision: Decision
    reasons: tuple[Reason, ...]
    wait_seconds: int = 0

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
) -> Verdict:
    """Decide after a canary step.

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

    Returns
    -------
    Verdict
        ``rollback`` when a limit is broken, or when the minimum of requests did not come within
        ``max_hold_minutes`` after the step's time; ``hold`` while it may still come; else ``advance``, or
        ``promote`` after the last step.
    """
    step = plan.step(step_index)
    hold_left = step.seconds + guardrail.max_hold_minutes * 60 - elapsed_seconds
    short = metrics.requests < guardrail.minimum_requests
    waits = short and hold_left > 0
    look = _look(plan, guardrail, _number(step, elapsed_seconds) if waits else 0)
    broken = _broken_limits(guardrail, metrics, look, before)
    if broken:
        return Verdict("rollback", broken)
    if short:
        return _too_little_traffic(guardrail, metrics, hold_left, step.seconds)
    decision: Decision = "promote" if plan.is_last(step_index) else "advance"
    return Verdict(decision, (_kept(guardrail, metrics),))


def decide_bake(
    plan: RolloutPlan, guardrail: Guardrail, metrics: VersionMetrics, before: VersionMetrics | None = None
) -> Verdict:
    """Decide after the bake: ``ok``, or ``rollback`` when a limit is broken.

    Little traffic is no reason to undo a promotion: the version keeps serving either way. ``before`` is what its
    predecessor did in as long a stretch before the rollout.
    """
    broken = _broken_limits(guardrail, metrics, Look(1 / plan.looks), before)
    return Verdict("rollback", broken) if broken else Verdict("ok", (_kept(guardrail, metrics),))


def _look(plan: RolloutPlan, guardrail: Guardrail, number: int) -> Look:
    # With one request needed, what waits has none, and so nothing against it.
    may_wait = guardrail.max_hold_minutes > 0 and guardrail.minimum_requests > 1
    return Look(1 / plan.looks, number, may_wait)


def _number(step: Step, elapsed_seconds: float) -> int:
    """Which look at the step it is that waits, from 1: they are a step's time apart, or more."""
    return max(1, math.floor(elapsed_seconds / step.seconds + 0.5))


def _broken_limits(
    guardrail: Guardrail, metrics: VersionMetrics, look: Look, before: VersionMetrics | None
) -> tuple[Reason, ...]:
    reasons = []
    bound, confidence = look.lower_bound(metrics.errors, metrics.requests, FALSE_ROLLBACK_RATE)
    if bound > guardrail.max_error_rate:
        sentence = (
            f"{metrics.errors:,} of {number_of(metrics.requests, 'request')} failed: the error rate is above"
            f" {bound:.2%} with {confidence:.1%} confidence, allowed is {guardrail.max_error_rate:.2%}"
        )
        reasons.append(Reason("error_rate", sentence, bound, guardrail.max_error_rate))
    enough = metrics.requests >= guardrail.minimum_requests
    # Judged by the deciding look alone, which so has all of the step's part.
    confidence = 1 - FALSE_ROLLBACK_RATE * look.part
    share = exact_lower_bound(metrics.slow, metrics.timed, confidence)
    if enough and share > SLOW_SHARE:
        sentence = (
            f"{metrics.slow:,} of {number_of(metrics.timed, 'request')} took longer than"
            f" {guardrail.max_p99_latency_ms:.0f} ms: with {confidence:.1%} confidence more than {share:.2%} "
            f"do, allowed is {SLOW_SHARE:.0%}{_p99(metrics)}"
        )
        reasons.append(Reason("p99_latency", sentence, share, SLOW_SHARE))
    refused = None if before is None else _refuses_more(guardrail, metrics, look, before)
    return (*reasons, refused) if refused else tuple(reasons)


def _refuses_more(guardrail: Guardrail, metrics: VersionMetrics, look: Look, before: VersionMetrics) -> Reason | None:
    """A reason where the version refuses what its predecessor takes, beyond what may fail and beyond chance."""
    if not metrics.requests or not before.requests:
        return None
    more = metrics.refused / metrics.requests - before.refused / before.requests
    chance = more_often(metrics.refused, metrics.requests, before.refused, before.requests)
    if more <= guardrail.max_error_rate or chance >= look.share(FALSE_ALARM_RATE):
        return None
    sentence = (
        f"{metrics.refused:,} of {number_of(metrics.requests, 'request')} were refused with 4xx, and by the version"
        f" before {before.refused:,} of {before.requests:,}: callers send what this version's contract does not take."
        " The metric ClientErrors counts the causes by lambda_version"
    )
    return Reason("refused_requests", sentence, more, guardrail.max_error_rate)


def _too_little_traffic(guardrail: Guardrail, metrics: VersionMetrics, hold_left: float, step_seconds: int) -> Verdict:
    counted = f"{number_of(metrics.requests, 'request')} reached the candidate, {guardrail.minimum_requests} are needed"
    values = (float(metrics.requests), float(guardrail.minimum_requests))
    if hold_left > 0:
        reason = Reason("waiting_for_traffic", f"{counted}: waiting for more", *values)
        return Verdict("hold", (reason,), wait_seconds=max(1, math.ceil(min(hold_left, step_seconds))))
    sentence = f"{counted}, and did not come within {number_of(guardrail.max_hold_minutes, 'minute')} after the step"
    return Verdict("rollback", (Reason("too_little_traffic", sentence, *values),))


def _p99(metrics: VersionMetrics) -> str:
    return "" if metrics.p99_ms is None else f"; the 99th percentile was {metrics.p99_ms:.0f} ms"


def _kept(guardrail: Guardrail, metrics: VersionMetrics) -> Reason:
    slow = f"{metrics.slow:,} of {metrics.timed:,} took longer than {guardrail.max_p99_latency_ms:.0f} ms"
    sentence = (
        f"{metrics.errors:,} of {number_of(metrics.requests, 'request')} failed and {slow}: nothing shows more than"
        f" {guardrail.max_error_rate:.2%} errors or {SLOW_SHARE:.0%} slow requests{_p99(metrics)}"
    )
    return Reason("guardrail_kept", sentence)
