"""How a passed candidate comes to serve."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from everloop.model_file.schedule import parse_schedule
from everloop.model_file.sections.base import Fraction, OpenFraction, Section
from everloop.model_file.sections.monitoring import ScheduleExpression
from everloop.rollout.targets import TARGETS


class RolloutStep(Section):
    """Send ``percent`` of the requests to the candidate for at least ``minutes``."""

    percent: float = Field(gt=0, lt=100)
    minutes: int = Field(ge=1)


MOST_STEPS = 20
LEAST_EVERY = 100 / (MOST_STEPS + 1)


def _linear_steps(value: Any) -> Any:
    """The equal steps that ``every_percent`` and ``minutes`` stand for; a list is what it is."""
    if not isinstance(value, dict):
        return value
    every: Any = value.get("every_percent")
    minutes: Any = value.get("minutes")
    # All of it is held to here: the steps have no place in the file that a mistake could name.
    fits = type(every) in (int, float) and LEAST_EVERY <= every < 100 and type(minutes) is int and minutes >= 1
    if set(value) != {"every_percent", "minutes"} or not fits:
        raise ValueError(
            f"a list of steps, or `every_percent` ({math.ceil(LEAST_EVERY)} or more, below 100) and `minutes`"
            " (a whole number, 1 or more) for equal ones"
        )
    # A last step of all the traffic, but for what is rounded, is none.
    count = max(1, math.ceil(100 / every - 1e-4) - 1)
    return [{"percent": round(every * number, 6), "minutes": minutes} for number in range(1, count + 1)]


class ScoresGuardrail(Section):
    """How far apart the scores of candidate and champion may lie on the same rows.

    ``max_distance`` is the largest difference between the shares of both versions' scores above any one value; of
    several classes, between the shares of any class.
    """

    max_distance: OpenFraction


class DisagreementGuardrail(Section):
    """How often a candidate may decide otherwise than the champion on the same rows."""

    max_share: OpenFraction


class QualityGuardrail(Section):
    """How much worse than the champion a candidate may be on the same rows, once their labels have come.

    ``max_added_loss`` is of the squared error of the probability, of the share of wrong classes, or of the absolute
    error of a value.
    """

    max_added_loss: float = Field(gt=0)


class BusinessGuardrail(Section):
    """How much less than the champion's a candidate's requests may bring, by a measure of one's own.

    ``measure`` is an expression of ``prediction``, ``label`` and, of two classes, ``probability``; more is better. What
    lies outside ``min`` and ``max`` counts as the nearer one. ``max_drop`` is of its mean.
    """

    measure: str = Field(min_length=1)
    min: float
    max: float
    max_drop: float = Field(gt=0)


class Guardrail(Section):
    """What the candidate must keep while traffic shifts to it.

    ``max_added_error_rate`` is how much more often it may fail than the version before. One in a hundred requests may
    take longer than ``max_p99_latency_ms`` once a process is ready, and one in a hundred cold starts longer than
    ``max_cold_start_ms``, from the process's beginning to its first answer. ``false_rollback_rate`` is how often a
    version that keeps every limit may be rolled back: over a whole rollout, all measures and looks together.
    """

    max_error_rate: Fraction
    max_added_error_rate: Fraction = 0.002
    max_p99_latency_ms: float = Field(gt=0)
    max_cold_start_ms: float | None = Field(default=None, gt=0)
    false_rollback_rate: OpenFraction = 0.05
    minimum_requests: int = Field(default=5, ge=1)
    max_hold_minutes: int = Field(default=1440, ge=0)
    scores: ScoresGuardrail | None = None
    disagreement: DisagreementGuardrail | None = None
    quality: QualityGuardrail | None = None
    business: BusinessGuardrail | None = None

    @property
    def judges_answers(self) -> bool:
        """Whether anything is held against what both versions answer, which is read from the lake."""
        return self.scores is not None or self.disagreement is not None or self.judges_labels

    @property
    def judges_labels(self) -> bool:
        """Whether anything is held against the labels that come while a rollout lasts."""
        return self.quality is not None or self.business is not None


def _regular(text: str) -> str:
    """A schedule with a fixed number of days between its days, so that its runs, and what they cost, can be counted."""
    if parse_schedule(text).days_between is None:
        raise ValueError("a schedule that runs every day, every week, or each so many whole days, e.g. rate(1 hour)")
    return text


class Reconcile(Section):
    """When what is deployed is held against the registry, and whether traffic that was moved by hand is moved back.

    Everything else that differs is reported, and left to people. ``schedule`` is in UTC.
    """

    schedule: Annotated[ScheduleExpression, AfterValidator(_regular)] = "rate(1 day)"
    put_right: bool = False


class Drill(Section):
    """When a rollback is tried while nothing is wrong: all requests go to the previous champion, and back again.

    ``schedule`` is in UTC.
    """

    schedule: Annotated[ScheduleExpression, AfterValidator(_regular)] = "rate(30 days)"


MOST_SHADOW_ROWS = 1000
"""How many captured rows a candidate answers at most before it meets a caller."""


class Shadow(Section):
    """A candidate answers what callers have asked, unseen by any of them, before its first step.

    Once ``minutes`` are over and ``minimum_rows`` have been captured meanwhile, it is asked the same rows, and its
    answers are held against the champion's. ``max_disagreement`` is the share of rows that it may decide otherwise;
    ``max_score_shift`` how far its scores may lie above or below the champion's on average.
    """

    minutes: int = Field(ge=1)
    minimum_rows: int = Field(default=100, ge=2, le=MOST_SHADOW_ROWS)
    max_disagreement: Fraction | None = None
    max_score_shift: float | None = Field(default=None, gt=0)


class Rollout(Section):
    """How a passed candidate comes to serve: by a canary of ``steps``, or, without any, all at once.

    With ``shadow`` it first answers unseen; see :class:`Shadow`.

    Equal steps are written as ``every_percent`` and ``minutes``; they are read as the list that they stand for.

    ``target`` is what serves versions; see :mod:`everloop.rollout.targets`.
    """

    steps: Annotated[list[RolloutStep], BeforeValidator(_linear_steps)] = Field(max_length=MOST_STEPS)
    shadow: Shadow | None = None
    target: Annotated[str, PlainValidator(TARGETS.registered)] = "lambda_alias"
    bake_minutes: int = Field(default=1440, ge=0)
    guardrail: Guardrail
    reconcile: Reconcile = Field(default_factory=Reconcile)
    drill: Drill | None = None

    @property
    def reads_the_lake(self) -> bool:
        """Whether versions are asked, apart from callers, what the lake has."""
        return self.shadow is not None or self.guardrail.judges_answers
