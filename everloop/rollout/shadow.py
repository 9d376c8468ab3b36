"""Decides on a shadow: a candidate has answered rows that callers asked the champion, and no caller has seen it.

Each row is answered twice, so what differs lies with the versions and not with who asked. It is looked at once, when
the declared time is over and enough rows are there. Counts are held against their limit by an exact binomial test, the
mean difference of the scores by Student's t. All measures together have one phase's share of the declared
false-rollback rate (:mod:`everloop.rollout.looks`), in equal parts.

Rows of one request count as if each had been asked for itself; where requests are of many like rows, that makes the
evidence look stronger than it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.numbers_of import number_of
from everloop.reasons import Reason
from everloop.rollout.cadence import FARTHEST_SECONDS, closest
from everloop.rollout.guardrails import Verdict
from everloop.rollout.measures import NOT_JUDGED, SLOW_SHARE
from everloop.rollout.plan import RolloutPlan
from everloop.statistics.binomial import at_least
from everloop.statistics.student_t import t_cdf

if TYPE_CHECKING:
    from everloop.model_file.schema import Guardrail
    from everloop.model_file.schema import Rollout as DeclaredRollout

MEASURES = 5
"""Among which the phase's share is divided, declared or not."""


@dataclass(frozen=True)
class Pair:
    """What a candidate made of one row that the champion has answered.

    Attributes
    ----------
    status : int
        HTTP status of the candidate's answer.
    milliseconds : float
        From the question to the answer, as the asking function measured it.
    otherwise : bool or None
        Whether it decided otherwise than the champion; None without an answer, and of a regression.
    shift : float or None
        Its score less the champion's; None without an answer, and of several classes.
    """

    status: int
    milliseconds: float
    otherwise: bool | None = None
    shift: float | None = None


@dataclass(frozen=True)
class ShadowSeen:
    """What was asked in a shadow: ``captured`` rows were there to ask, and ``pairs`` have been asked in time."""

    captured: int
    pairs: Sequence[Pair] = ()


def wait_in_shadow(declared: DeclaredRollout, plan: RolloutPlan, *, left_seconds: float) -> Verdict:
    """Hold until the shadow's time is over: before then nothing is asked."""
    minutes = math.ceil(left_seconds / 60)
    reason = Reason("shadow_under_way", f"requests are captured for another {number_of(minutes, 'minute')}")
    return Verdict("hold", (reason,), _next_look(declared, plan, left_seconds), left_seconds)


def decide_shadow(
    declared: DeclaredRollout, plan: RolloutPlan, *, step_index: int, overtime_seconds: float, seen: ShadowSeen
) -> Verdict:
    """Decide once the shadow's time is over.

    Parameters
    ----------
    overtime_seconds : float
        Since its time was over.

    Returns
    -------
    Verdict
        ``hold`` while rows may still come (``max_hold_minutes``); ``rollback`` when a limit is broken beyond chance,
        when too few rows came, or when too few could be asked in the time there is; else ``advance``, or ``promote``
        after the last step.
    """
    assert declared.shadow is not None, "a step without callers comes of a declared shadow"
    guardrail, least = declared.guardrail, declared.shadow.minimum_rows
    if seen.captured < least:
        left = guardrail.max_hold_minutes * 60 - overtime_seconds
        told = (
            f"{number_of(seen.captured, 'row')} of the champion's were captured; {least} are required"
            " (rollout.shadow.minimum_rows)"
        )
        found = float(seen.captured), float(least)
        if left > 0:
            why = Reason("waiting_for_traffic", f"{told}: waiting for more requests", *found)
            return Verdict("hold", (why,), _next_look(declared, plan, left, waits=True), left)
        return Verdict("rollback", (Reason("too_little_traffic", told, *found),))
    if len(seen.pairs) < least:
        sentence = (
            f"the candidate answered {len(seen.pairs):,} of {number_of(seen.captured, 'row')} in the time there is, and"
            f" {least} are required (rollout.shadow.minimum_rows)"
        )
        return Verdict("rollback", (Reason("shadow_latency", sentence, float(len(seen.pairs)), float(least)),))
    reasons = list(_measured(declared, seen.pairs, guardrail.false_rollback_rate / plan.phases / MEASURES))
    broken = tuple(reason for reason in reasons if reason.code != NOT_JUDGED)
    if broken:
        return Verdict("rollback", broken)
    kept = _kept(guardrail, seen.pairs)
    return Verdict("promote" if plan.is_last(step_index) else "advance", (kept, *reasons))


def _next_look(declared: DeclaredRollout, plan: RolloutPlan, left_seconds: float, *, waits: bool = False) -> int:
    """Seconds until the next look: as far apart as looks may be, or farther where the history has no room for that."""
    apart = max(FARTHEST_SECONDS, closest(plan, declared.guardrail, waits=waits))
    return max(1, math.ceil(min(left_seconds, apart)))


def _measured(declared: DeclaredRollout, pairs: Sequence[Pair], level: float) -> Iterator[Reason]:
    guardrail, shadow = declared.guardrail, declared.shadow
    assert shadow is not None
    asked = len(pairs)
    failed, refused = _failed(pairs), _refused(pairs)
    yield from _counted("shadow_errors", failed, asked, guardrail.max_error_rate, level, "failed")
    yield from _counted(
        "shadow_refused", refused, asked, guardrail.max_error_rate, level, "that the champion answered were refused"
    )
    slow = sum(pair.milliseconds > guardrail.max_p99_latency_ms for pair in pairs)
    took = f"took longer than {guardrail.max_p99_latency_ms:.0f} ms"
    yield from _counted("shadow_latency", slow, asked, SLOW_SHARE, level, took)
    if shadow.max_disagreement is not None:
        decided = [pair.otherwise for pair in pairs if pair.otherwise is not None]
        limit = shadow.max_disagreement
        yield from _counted("shadow_disagreement", sum(decided), len(decided), limit, level, "were decided otherwise")
    if shadow.max_score_shift is not None:
        shifts = [pair.shift for pair in pairs if pair.shift is not None]
        yield from _shifted(shifts, shadow.max_score_shift, level)


def _counted(code: str, count: int, of: int, limit: float, level: float, what: str) -> Iterator[Reason]:
    """The limit of a share, where it is broken beyond chance, or where nothing could show that it is."""
    rows = number_of(of, "row")
    if at_least(of, of, limit) >= level:
        sentence = f"{code} can't be judged: {rows} would be no evidence even if all of them were bad"
        yield Reason(NOT_JUDGED, sentence, float(of))
    elif at_least(count, of, limit) < level:
        yield Reason(code, f"{count:,} of {rows} {what}, allowed is {limit:.2%}", count / of, limit)


def _shifted(shifts: Sequence[float], limit: float, level: float) -> Iterator[Reason]:
    """The limit of the mean difference, where it is broken beyond chance in either direction."""
    count = len(shifts)
    if count < 2:
        sentence = f"shadow_score_shift can't be judged: {number_of(count, 'row')} with a score can't show a mean"
        yield Reason(NOT_JUDGED, sentence, float(count))
        return
    mean = math.fsum(shifts) / count
    spread = math.sqrt(math.fsum((shift - mean) ** 2 for shift in shifts) / (count - 1) / count)
    beyond = abs(mean) - limit
    t = beyond / spread if spread else math.copysign(math.inf, beyond)
    if beyond > 0 and t_cdf(-t, count - 1) < level / 2:
        where = "above" if mean > 0 else "below"
        sentence = (
            f"on {number_of(count, 'row')} the scores lie {abs(mean):.4g} {where} the champion's on average,"
            f" allowed is {limit:.4g}"
        )
        yield Reason("shadow_score_shift", sentence, mean, limit)


def _kept(guardrail: Guardrail, pairs: Sequence[Pair]) -> Reason:
    decided = [pair.otherwise for pair in pairs if pair.otherwise is not None]
    shifts = [pair.shift for pair in pairs if pair.shift is not None]
    otherwise = f", decided {sum(decided) / len(decided):.1%} of them otherwise" if decided else ""
    shift = f", and scored them {math.fsum(shifts) / len(shifts):+.4g} on average" if shifts else ""
    slow = sum(pair.milliseconds > guardrail.max_p99_latency_ms for pair in pairs)
    sentence = (
        f"unseen, the candidate answered {number_of(len(pairs), 'row')} that the champion had answered: it failed on"
        f" {_failed(pairs):,}, refused {_refused(pairs):,}, was slow on {slow:,}{otherwise}{shift}"
    )
    return Reason("shadow_kept", sentence)


def _failed(pairs: Sequence[Pair]) -> int:
    return sum(pair.status >= 500 for pair in pairs)


def _refused(pairs: Sequence[Pair]) -> int:
    return sum(400 <= pair.status < 500 for pair in pairs)
