"""Target tracking: how many instances a variant should have, from what each of them was asked.

Application Auto Scaling judges by two alarms that it makes itself. One goes off when three minutes in a row lie above
the target, the other when fifteen lie below nine tenths of it. A minute without data is no minute below: a variant that
nobody asks keeps its instances.

Sources: https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-policy.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

OUT_MINUTES = 3
IN_MINUTES = 15
IN_SHARE = 0.9
"""Below this share of the target a variant has more instances than it needs."""


@dataclass(frozen=True)
class Tracking:
    """What a policy tracks: ``target`` invocations of one instance a minute, and how long it waits between changes."""

    target: float
    out_cooldown_seconds: int = 300
    in_cooldown_seconds: int = 300
    may_scale_in: bool = True


@dataclass(frozen=True)
class Standing:
    """How a variant stands: instances, limits, and when it was last scaled out and in."""

    count: int
    least: int
    most: int
    out_at: datetime | None = None
    in_at: datetime | None = None


def is_due(tracking: Tracking, minutes: Sequence[float | None]) -> bool:
    """Whether one of the two alarms would be off, whatever the variant has."""
    return _is_high(tracking, minutes) or (tracking.may_scale_in and _is_low(tracking, minutes))


def wanted(tracking: Tracking, minutes: Sequence[float | None], standing: Standing, at: datetime) -> int:
    """How many instances the variant should have now; as many as it has where nothing is to be done.

    Parameters
    ----------
    minutes : sequence of float or None
        Invocations of one instance in each of the last :data:`IN_MINUTES` minutes, the oldest first; None without data.
    """
    count = standing.count
    if _is_high(tracking, minutes) and not _lasts(standing.out_at, tracking.out_cooldown_seconds, at):
        return max(count, min(_for(minutes[-1], count, tracking), standing.most))
    rests = _lasts(standing.in_at, tracking.in_cooldown_seconds, at)
    if tracking.may_scale_in and _is_low(tracking, minutes) and not rests:
        busiest = max(value for value in minutes if value is not None)
        return min(count, max(_for(busiest, count, tracking), standing.least))
    return count


def within(count: int, least: int, most: int) -> int:
    """The number of instances nearest to ``count`` that the limits allow."""
    return min(max(count, least), most)


def _for(value: float | None, count: int, tracking: Tracking) -> int:
    return math.ceil((value or 0.0) * count / tracking.target)


def _is_high(tracking: Tracking, minutes: Sequence[float | None]) -> bool:
    last = minutes[-OUT_MINUTES:]
    return len(last) == OUT_MINUTES and all(value is not None and value > tracking.target for value in last)


def _is_low(tracking: Tracking, minutes: Sequence[float | None]) -> bool:
    last, limit = minutes[-IN_MINUTES:], IN_SHARE * tracking.target
    return len(last) == IN_MINUTES and all(value is not None and value < limit for value in last)


def _lasts(since: datetime | None, seconds: int, at: datetime) -> bool:
    return since is not None and at < since + timedelta(seconds=seconds)
