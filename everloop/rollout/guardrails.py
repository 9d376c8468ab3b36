"""Decides after each step of a rollout whether it goes on, waits or is rolled back.

The error rate is judged by the exact one-sided lower bound of Clopper and Pearson: the rollout is rolled back when
a version that keeps ``max_error_rate`` would fail so often with less than the look's share of the false-alarm
probability. The declared looks (one per step, one for the bake) share one (Bonferroni), so that a plan with many
steps does not roll back good versions more often. Waiting for traffic looks again at the same step on more data and
is not counted.

Exact, because a canary is judged on few requests, where the usual approximations are not: by Wilson's bound a single
error in up to seven requests would roll back. With 2% allowed and three looks, two errors in up to 10 requests roll
back, three in 11 to 27, four in 28 to 49, five in 50, 31 in 1000. So a version that fails every request is back after
its second; a single failure is not enough, because one in fifty is allowed to fail. Where more is allowed, less can be
told: that all of ``minimum_requests`` failed is evidence only while ``max_error_rate ** minimum_requests`` is below a
look's share.

The latency is judged alike. ``max_p99_latency_ms`` allows one request in a hundred to take longer, so the requests that
took longer are counted and held against 1%. The 99th percentile of few requests would be no evidence: of five it is the
slowest, which is above the limit in one look of twenty though the version keeps it. Each limit has its own
false-alarm probability.

A version also has to take what its predecessor takes: see :mod:`everloop.rollout.refusals`. It is rolled back when its
share of refused requests is larger by more than ``max_error_rate``, and by more than chance makes it.

References
----------
C. J. Clopper, E. S. Pearson, The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial,
Biometrika 26 (1934).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from everloop.rollout.plan import RolloutPlan
from everloop.rollout.refusals import FALSE_ALARM_RATE, more_often
from everloop.statistics.student_t import incomplete_beta

if TYPE_CHECKING:
    from everloop.model_file.schema import Guardrail

FALSE_ROLLBACK_RATE = 0.05
"""How often, over a whole rollout, a version whose true error rate is exactly the maximum is rolled back; and one of
which exactly one request in a hundred takes longer than allowed."""

SLOW_SHARE = 0.01
"""The share of requests that may take longer than the 99th percentile is allowed to."""

_PRECISION = 1e-12

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
class Reason:
    """One reason of a decision: a stable code, a sentence, and the value against its limit."""

    code: str
    sentence: str
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Verdict:
    """A decision with its reasons; ``wait_seconds`` is how long to wait before looking again."""

    decision: Decision
    reasons: tuple[Reason, ...]
    wait_seconds: int = 0

    def reasons_json(self) -> list[dict[str, Any]]:
        """The reasons as JSON values."""
        return [{k: v for k, v in asdict(r).items() if v is not None} for r in self.reasons]


def exact_lower_bound(errors: int, requests: int, confidence: float) -> float:
    """The rate that the true error rate exceeds with at least ``confidence`` (one-sided), after Clopper and Pearson.

    It is the rate at which ``errors`` or more of ``requests`` fail with probability ``1 - confidence``. 0 without
    errors, and so without requests: nothing is known against the version.
    """
    if errors == 0:
        return 0.0
    low, high = 0.0, 1.0
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        # The probability of as many errors or more, at that rate.
        if incomplete_beta(middle, errors, requests - errors + 1) > 1 - confidence:
            high = middle
        else:
            low = middle
    return low


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
    broken = _broken_limits(guardrail, metrics, plan.looks, before)
    if broken:
        return Verdict("rollback", broken)
    step = plan.step(step_index)
    if metrics.requests < guardrail.minimum_requests:
        hold_left = step.seconds + guardrail.max_hold_minutes * 60 - elapsed_seconds
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
    broken = _broken_limits(guardrail, metrics, plan.looks, before)
    return Verdict("rollback", broken) if broken else Verdict("ok", (_kept(guardrail, metrics),))


def _broken_limits(
    guardrail: Guardrail, metrics: VersionMetrics, looks: int, before: VersionMetrics | None
) -> tuple[Reason, ...]:
    reasons = []
    confidence = 1 - FALSE_ROLLBACK_RATE / looks
    bound = exact_lower_bound(metrics.errors, metrics.requests, confidence)
    if bound > guardrail.max_error_rate:
        sentence = (
            f"{metrics.errors} of {metrics.requests} requests failed: the error rate is above {bound:.2%} with"
            f" {confidence:.1%} confidence, allowed is {guardrail.max_error_rate:.2%}"
        )
        reasons.append(Reason("error_rate", sentence, bound, guardrail.max_error_rate))
    enough = metrics.requests >= guardrail.minimum_requests
    share = exact_lower_bound(metrics.slow, metrics.timed, confidence)
    if enough and share > SLOW_SHARE:
        sentence = (
            f"{metrics.slow} of {metrics.timed} requests took longer than {guardrail.max_p99_latency_ms:.0f} ms: with"
            f" {confidence:.1%} confidence more than {share:.2%} do, allowed is {SLOW_SHARE:.0%}{_p99(metrics)}"
        )
        reasons.append(Reason("p99_latency", sentence, share, SLOW_SHARE))
    refused = None if before is None else _refuses_more(guardrail, metrics, looks, before)
    return (*reasons, refused) if refused else tuple(reasons)


def _refuses_more(guardrail: Guardrail, metrics: VersionMetrics, looks: int, before: VersionMetrics) -> Reason | None:
    """A reason where the version refuses what its predecessor takes, beyond what may fail and beyond chance."""
    if not metrics.requests or not before.requests:
        return None
    more = metrics.refused / metrics.requests - before.refused / before.requests
    chance = more_often(metrics.refused, metrics.requests, before.refused, before.requests)
    if more <= guardrail.max_error_rate or chance >= FALSE_ALARM_RATE / looks:
        return None
    sentence = (
        f"{metrics.refused} of {metrics.requests} requests were refused with 4xx, and by the version before"
        f" {before.refused} of {before.requests}: callers send what this version's contract does not take. The metric"
        " ClientErrors counts the causes by lambda_version"
    )
    return Reason("refused_requests", sentence, more, guardrail.max_error_rate)


def _too_little_traffic(guardrail: Guardrail, metrics: VersionMetrics, hold_left: float, step_seconds: int) -> Verdict:
    counted = f"{metrics.requests} requests reached the candidate, {guardrail.minimum_requests} are needed"
    values = (float(metrics.requests), float(guardrail.minimum_requests))
    if hold_left > 0:
        reason = Reason("waiting_for_traffic", f"{counted}: waiting for more", *values)
        return Verdict("hold", (reason,), wait_seconds=max(1, math.ceil(min(hold_left, step_seconds))))
    sentence = f"{counted}, and did not come within {guardrail.max_hold_minutes} minutes after the step"
    return Verdict("rollback", (Reason("too_little_traffic", sentence, *values),))


def _p99(metrics: VersionMetrics) -> str:
    return "" if metrics.p99_ms is None else f"; the 99th percentile was {metrics.p99_ms:.0f} ms"


def _kept(guardrail: Guardrail, metrics: VersionMetrics) -> Reason:
    slow = f"{metrics.slow} of {metrics.timed} took longer than {guardrail.max_p99_latency_ms:.0f} ms"
    sentence = (
        f"{metrics.errors} of {metrics.requests} requests failed and {slow}: nothing shows more than"
        f" {guardrail.max_error_rate:.2%} errors or {SLOW_SHARE:.0%} slow requests{_p99(metrics)}"
    )
    return Reason("guardrail_kept", sentence)
