"""A rollout that a person paused: its traffic stays as it is, the guardrail goes on, and its clock stands still.

A pause can't last for ever: the pipeline's execution has a time limit and room for a number of looks. All pauses of a
rollout together stop its clock for :data:`MOST_PAUSED` at most; then it goes on by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from everloop.model_file.worst_case import MOST_PAUSED_HOURS
from everloop.reasons import Reason
from everloop.rollout.guardrails import Verdict

if TYPE_CHECKING:
    from everloop.registry.records import Rollout

MOST_PAUSED = timedelta(hours=MOST_PAUSED_HOURS)

LOOK_SECONDS = 300
"""How far the looks at a paused rollout are apart: all of them together leave room in the execution's history."""


@dataclass(frozen=True)
class Pause:
    """How a rollout's pauses stand at an instant.

    Attributes
    ----------
    since : datetime or None
        When the pause began that still lasts; None where none does.
    ends : datetime or None
        When it ends by itself.
    in_phase : timedelta
        For how long the clock of the step, or of the bake, has stood still.
    """

    since: datetime | None
    ends: datetime | None
    in_phase: timedelta

    @classmethod
    def at(cls, rollout: Rollout, at: datetime) -> Pause:
        """The pauses of a rollout as they stand ``at``."""
        over = timedelta(seconds=rollout.phase_paused_seconds)
        if rollout.paused_at is None:
            return cls(None, None, over)
        left = max(timedelta(0), MOST_PAUSED - timedelta(seconds=rollout.paused_seconds))
        ends = rollout.paused_at + left
        lasted = min(max(timedelta(0), at - rollout.paused_at), left)
        return cls(rollout.paused_at if at < ends else None, ends if at < ends else None, over + lasted)

    def elapsed_seconds(self, begin: datetime, at: datetime, phase_seconds: int) -> float:
        """How much of a phase is over. While a pause lasts it is never all of it, so nothing is decided at its end."""
        elapsed = (at - begin - self.in_phase).total_seconds()
        return elapsed if self.since is None else min(elapsed, phase_seconds - 1)

    def held(self, verdict: Verdict, at: datetime) -> Verdict:
        """The verdict while the pause lasts: only a rollback stands."""
        if self.since is None or self.ends is None or verdict.decision == "rollback":
            return verdict
        left = (self.ends - at).total_seconds()
        reason = Reason("paused", f"paused by hand; it goes on when it is resumed, or by itself in {left / 3600:.1f} h")
        return Verdict("hold", (reason,), max(1, min(LOOK_SECONDS, int(left) + 1)), left)


def lasted_seconds(rollout: Rollout, at: datetime) -> int:
    """For how long the pause that ends ``at`` held the rollout up; 0 where none lasts."""
    return int(Pause.at(rollout, at).in_phase.total_seconds()) - rollout.phase_paused_seconds
