"""What a backtest recommends, how sure that is, and what it can't know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from everloop.cli.operations.backtest_shape import Knobs, Shape
from everloop.evaluation.money import best_threshold
from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.recalibration.declared import declared_groups
from everloop.retraining.backtest.judgement import Judgement, judge
from everloop.retraining.backtest.walk import Walk

NOTED_DISTANCE = 0.05
"""Of the declared threshold from the one that costs least."""


@dataclass(frozen=True)
class PolicyResult:
    """What a policy cost.

    Attributes
    ----------
    recalibrated : bool
        Whether scores were recalibrated daily.
    metric : float
        The mean loss of a row.
    cost : float
        What predictions and retrainings cost, in the unit of the backtest.
    excess : float
        That, less what a model costs that is always new and recalibrated.
    over_hindsight : float or None
        The excess over that of the cheapest retrainings there could have been; None where these cost next to nothing.
    held_back : float
        The cost in the part that was held back.
    """

    policy: str
    recalibrated: bool
    retrainings: int
    metric: float
    cost: float
    excess: float
    over_hindsight: float | None
    held_back: float


class QuotaSettings(TypedDict):
    """So many runs in so many days."""

    runs: int
    days: int


class Settings(TypedDict):
    """Of the declaration's section ``retraining``; what is not required stays as it is declared."""

    schedule_days: int | None
    cooldown_days: NotRequired[float]
    quota: NotRequired[QuotaSettings]


@dataclass(frozen=True)
class Recommendation:
    """What to write into ``model.yaml``, why, and how sure that is.

    ``settings`` are those of the schedule that cost least among the policies. ``kept`` says that nothing else paid as
    deployed: then the lines leave ``retraining`` as it is. Else ``chosen`` is the row that the lines declare; empty
    where nothing was lived through.
    """

    lines: tuple[str, ...]
    reasons: tuple[str, ...]
    settings: Settings
    kept: bool = False
    chosen: str = ""


THOUSAND = 1000


def amount(value: float) -> str:
    """A sum as people read it: whole from a thousand on, else four digits."""
    return f"{value:,.0f}" if abs(value) >= THOUSAND else f"{value:.4g}"


def recommend(
    declaration: ModelDeclaration,
    shape: Shape,
    walks: Sequence[Walk],
    judgement: Judgement,
    cost: float,
    unit: str,
    results: Sequence[PolicyResult],
    threshold: float | None,
) -> Recommendation:
    """What the history speaks for: of what ``model.yaml`` can say, the schedule that cost least in the first part.

    Parameters
    ----------
    walks : sequence of Walk
        Of recalibrated scores.
    judgement : Judgement
        Over all policies.
    threshold : float or None
        From which money was counted; None of a regression.
    """
    days_of = {w.policy: _schedule_days(w.policy, shape) for w in walks if _is_schedule(w.policy)}
    least = _least_days(declaration)
    schedules = judge(walks, cost, [name for name, days in days_of.items() if days is None or days >= least])
    until = shape.date(judgement.first_held_back)
    refused = any(days is not None and days < least for days in days_of.values())
    shorter = f" of {number_of(least, 'day')} or more" if refused else ""
    reasons = [f"Of all schedules{shorter}, {_named(schedules.chosen)} cost least until {until}."]
    if refused:
        reasons.append(
            "With training.refit 'after_gate', schedules shorter than data.split.test_days are not allowed: a"
            " champion would have learned from the test rows."
        )
    reasons += [_compared(schedules, other, unit) for other in ("never", "always") if other in schedules.against]
    if judgement.chosen != schedules.chosen:
        reasons.append(
            f"Of all policies, {_named(judgement.chosen)} cost least there; {_in_model_file(judgement.chosen)}. "
            + _compared(judgement, schedules.chosen, unit)
        )
    off, on = (_found(results, schedules.chosen, recalibrated) for recalibrated in (False, True))
    reasons.append(
        f"With the schedule, recalibrating daily {'saves' if on.cost < off.cost else 'costs'}"
        f" {amount(abs(on.cost - off.cost))} {unit} over all windows; the loss per row goes from {off.metric:.4f}"
        f" to {on.metric:.4f}."
    )
    settings = _settings(declaration, days_of[schedules.chosen])
    if "quota" in settings:
        quota = declaration.retraining.quota
        reasons.append(
            f"retraining.quota lets {quota.runs} runs start in {quota.days} days, too few for this schedule: the"
            " lines raise the quota. `everloop check` says if cost.monthly_budget_usd must be raised too."
        )
    best = None if threshold is None else best_threshold(declaration.problem.value)
    if threshold is not None and best is not None and abs(best - threshold) > NOTED_DISTANCE:
        reasons.append(
            f"At the prices of problem.value, a threshold of {best:.2f} costs least; all money here is counted with"
            f" {threshold:g}. To see the difference, use --threshold {best:.2f}."
        )
    return Recommendation(_lines(settings), tuple(reasons), settings)


def _is_schedule(policy: str) -> bool:
    return policy in ("never", "always") or policy.startswith("every ")


def _schedule_days(policy: str, shape: Shape) -> int | None:
    """The interval in days; None for no schedule."""
    if policy == "never":
        return None
    return shape.window_days * (1 if policy == "always" else int(policy.split()[1]))


def _least_days(declaration: ModelDeclaration) -> int:
    """The shortest schedule that can be declared: each training needs a test part that its champion has not learned."""
    return declaration.data.split.longest_days if declaration.training.refit == "after_gate" else 1


def _settings(declaration: ModelDeclaration, days: int | None) -> Settings:
    """What ``retraining`` would say; a quota where the one that is declared has too few runs for the schedule."""
    if days is None:
        return {"schedule_days": None}
    retraining = declaration.retraining
    settings: Settings = {"schedule_days": days, "cooldown_days": min(retraining.cooldown_days, days)}
    # One more than fit in: the first champion's counts as well.
    needed = retraining.quota.days // days + 1
    if needed > retraining.quota.runs:
        settings["quota"] = {"runs": needed, "days": retraining.quota.days}
    return settings


def _lines(settings: Settings) -> tuple[str, ...]:
    if settings["schedule_days"] is None:
        return ("retraining:", "  # without schedule_days: no schedule paid on this history")
    found = ["retraining:", f"  schedule_days: {settings['schedule_days']}"]
    found.append(f"  cooldown_days: {settings['cooldown_days']:g}")
    if "quota" in settings:
        found.append(f"  quota: {{runs: {settings['quota']['runs']}, days: {settings['quota']['days']}}}")
    return tuple(found)


def without_retraining(lines: Sequence[str]) -> tuple[str, ...]:
    """Lines for ``model.yaml`` without those of its section ``retraining``, which stays as it is."""
    first = list(lines).index("retraining:")
    return (*lines[:first], "# retraining: keep it as it is")


def _found(results: Sequence[PolicyResult], policy: str, recalibrated: bool) -> PolicyResult:
    return next(r for r in results if (r.policy, r.recalibrated) == (policy, recalibrated))


def _named(policy: str) -> str:
    names = {"never": "never retraining", "always": "retraining at every window"}
    return names.get(policy, f"retraining {policy}" if _is_schedule(policy) else f"the policy {policy!r}")


def _in_model_file(policy: str) -> str:
    if policy.startswith("investment"):
        return "`retraining.investment` declares it"
    return "model.yaml has no such trigger"


def _compared(found: Judgement, other: str, unit: str) -> str:
    """How sure the choice is, on the part that was held back."""
    less = found.against[other]
    sentence = f"In the newest part, not used for the choice, it cost {amount(abs(less.mean))} {unit} a window "
    sentence += f"{'less' if less.mean >= 0 else 'more'} than {_named(other)}"
    if less.low is None or less.high is None:
        return f"{sentence}; there are too few windows to say how sure that is."
    sure = less.low > 0 or less.high < 0
    return (
        f"{sentence} (95% interval of what it saved: {amount(less.low)} to {amount(less.high)}):"
        f" {'significant' if sure else 'this may be chance'}."
    )


def not_known(declaration: ModelDeclaration, shape: Shape, knobs: Knobs) -> tuple[str, ...]:
    """What a history can't tell."""
    told = [
        "Outcomes are those of the history. If decisions change outcomes, the changed outcomes are not known.",
        "In the policies every model passes the gate and serves from the start of its window. Only the loop as"
        " deployed has its gate and canaries. It runs through the history like a replay: the rows of an hour are"
        " sent together, no request fails, and no time passes while a job runs.",
        f"In the policies probes learn from at most {knobs.probe_rows:,} rows, and the cost of training them is not"
        " counted.",
    ]
    if declaration.training.warm_start is not None:
        told.append(
            "Trainings and probes learn in full here: training.warm_start is not simulated. `everloop replay` does it."
        )
    by = declared_groups(declaration)
    if by is not None and knobs.recalibration is not False:
        told.append(
            "In the policies all rows are recalibrated together. Only the loop as deployed has the groups by"
            f" {by.feature} (recalibration.by)."
        )
    if declaration.problem.interval is not None:
        told.append("Intervals are not simulated: the backtest judges values (problem.interval).")
    if shape.rows_taken < shape.rows:
        told.append(
            f"Models learned from {shape.rows_taken:,} of {shape.rows:,} rows: with all rows they would be better,"
            " and would age a little differently (--rows)."
        )
    if knobs.retraining_cost is None:
        told.append(
            "A retraining costs cost.max_training_run_usd here, the maximum for its jobs. It does not include"
            " people's time: set --retraining-cost."
        )
    return tuple(told)
