"""When a rollout is looked at next.

CloudWatch counts by the minute, so a look a minute sees all there is to see. Between two requests nothing changes, so
where few come the looks are as far apart as requests were in the last hour, up to a quarter of an hour; once something
failed, was refused or was slow in that hour, there is one a minute again.

Each look leaves events in the history of the pipeline's execution, which has room for a declared number. A rollout of
up to 30 hours is looked at every minute throughout. In a longer one the looks are as far apart as its length, without
the time it waits for traffic, divided by 1,800. The rest is for the looks that wait for traffic.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from everloop.model_file.worst_case import HISTORY_LOOKS
from everloop.rollout.version_metrics import RECENT

if TYPE_CHECKING:
    from everloop.model_file.schema import Guardrail
    from everloop.rollout.plan import RolloutPlan
    from everloop.rollout.version_metrics import VersionMetrics

CLOSEST_SECONDS = 60
FARTHEST_SECONDS = 900

PLANNED_LOOKS = 1800
"""How many looks of a history are for the steps' own time and the bake."""


def closest(plan: RolloutPlan, guardrail: Guardrail, *, waits: bool = False) -> int:
    """How many seconds two looks are apart at least; ``waits``: past a step's time, while it waits for traffic."""
    if waits:
        seconds = len(plan.steps) * guardrail.max_hold_minutes * 60
        return max(CLOSEST_SECONDS, math.ceil(seconds / (HISTORY_LOOKS - PLANNED_LOOKS - 2 * plan.phases)))
    return closest_seconds(sum(step.seconds for step in plan.steps) + plan.bake_seconds)


def closest_seconds(planned_seconds: int) -> int:
    """As :func:`closest`, of a rollout whose steps and bake take so long together."""
    return max(CLOSEST_SECONDS, math.ceil(planned_seconds / PLANNED_LOOKS))


def next_look(
    plan: RolloutPlan,
    guardrail: Guardrail,
    metrics: VersionMetrics,
    *,
    elapsed_seconds: float,
    left_seconds: float,
    waits: bool = False,
) -> int:
    """Seconds until the next look.

    Parameters
    ----------
    metrics : VersionMetrics
        What the version did since the phase began.
    elapsed_seconds, left_seconds : float
        Of the phase, or of the time in which it waits for traffic. The last look is at its end.
    waits : bool
        Whether the step's own time is over.
    """
    least = closest(plan, guardrail, waits=waits)
    asked = sum(minute.requests for minute in metrics.recent)
    bad = any(minute.errors or minute.refused or minute.slow for minute in metrics.recent)
    apart = min(elapsed_seconds, RECENT.total_seconds()) / (1 + asked)
    seconds = least if bad else max(least, min(apart, FARTHEST_SECONDS))
    return max(1, math.ceil(min(seconds, left_seconds)))
