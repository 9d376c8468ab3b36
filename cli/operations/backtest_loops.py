"""The loop as deployed beside a backtest's policies: the declaration as it stands, and with what is recommended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from everloop.cli.operations.backtest_advice import (
    PolicyResult,
    Recommendation,
    Settings,
    amount,
    without_retraining,
)
from everloop.cli.operations.backtest_deployed import (
    AS_RECOMMENDED,
    THIS_ONE,
    Deployed,
    LoopOnHistory,
    NotLivedThroughError,
    deployed,
    with_knobs,
)
from everloop.cli.operations.backtest_results import Backtest, Ground, acting_threshold, over_hindsight
from everloop.cli.operations.backtest_shape import Knobs
from everloop.model_file import ModelDeclaration
from everloop.retraining.backtest.judgement import Difference, judge
from everloop.retraining.backtest.losses import row_losses
from everloop.retraining.backtest.money import prices_decisions, row_costs
from everloop.retraining.backtest.walk import Walk


def as_deployed(
    found: Backtest, ground: Ground, declaration: ModelDeclaration, history: LoopOnHistory, knobs: Knobs
) -> Backtest:
    """The backtest with the loop as deployed beside its policies; where it can't be told, with the reason why."""
    declared = with_knobs(declaration, knobs)
    history.say("living through the history as deployed")
    try:
        loops = [_lived(found, ground, declared, history, knobs, THIS_ONE)]
    except NotLivedThroughError as error:
        sentence = f"What {THIS_ONE} would have done is not known: {error}."
        return replace(found, not_known=(sentence, *found.not_known))
    changed = recommended(declared, found.recommendation.settings)
    if changed is not None:
        # The first candidate is the same one, so it comes to serve again.
        loops.append(_lived(found, ground, changed, history, knobs, AS_RECOMMENDED))
    walks = [walk for _, walk in loops]
    results = tuple(
        _result(told, walk, ground, found.judgement.first_held_back, declared.recalibration is not None)
        for told, walk in loops
    )
    return replace(
        found,
        policies=(*found.policies, *results),
        deployed=tuple(told for told, _ in loops),
        recommendation=weighed(found.recommendation, walks, cost=ground.cost, unit=found.unit, date=found.shape.date),
    )


def recommended(declaration: ModelDeclaration, settings: Settings) -> ModelDeclaration | None:
    """The declaration with other settings of ``retraining``; None where these are what it says already."""
    retraining = declaration.retraining
    changed = retraining.model_copy(
        update={
            "schedule_days": settings["schedule_days"],
            "cooldown_days": settings.get("cooldown_days", retraining.cooldown_days),
            "quota": retraining.quota.model_copy(update=dict(settings.get("quota", {}))),
        }
    )
    return None if changed == retraining else declaration.model_copy(update={"retraining": changed})


def _lived(
    found: Backtest, ground: Ground, declaration: ModelDeclaration, history: LoopOnHistory, knobs: Knobs, policy: str
) -> tuple[Deployed, Walk]:
    lived, rows = history.live(declaration, policy)
    metric, threshold, windows = found.metric, acting_threshold(declaration, knobs), found.shape.windows
    judged = int(((lived.answers.version > 0) & ~np.isnan(rows.label)).sum())

    def costs(label: np.ndarray, scores: np.ndarray) -> np.ndarray:
        if prices_decisions(declaration):
            return row_costs(label, scores, declaration.problem.value, threshold)
        return row_losses(label, scores, metric) * (windows / judged)

    return deployed(
        lived, rows, found.shape, policy=policy, metric=metric, costs=costs, cost=ground.cost, fresh=ground.fresh
    )


def _result(told: Deployed, walk: Walk, ground: Ground, first_held_back: int, recalibrated: bool) -> PolicyResult:
    late = float(walk.loss[first_held_back:].sum())
    late += ground.cost * sum(window >= first_held_back for window in walk.retrained)
    return PolicyResult(
        policy=told.policy,
        recalibrated=recalibrated,
        retrainings=walk.retrainings,
        metric=told.metric,
        cost=float(walk.loss.sum()) + ground.cost * walk.retrainings,
        excess=walk.cost,
        over_hindsight=over_hindsight(walk.cost, ground.best_excess, ground.cost),
        held_back=late,
    )


def weighed(
    advice: Recommendation, walks: Sequence[Walk], *, cost: float, unit: str, date: Callable[[int], str]
) -> Recommendation:
    """The recommendation, or to keep what is declared: a schedule has to pay as deployed, not among policies alone.

    Parameters
    ----------
    walks : sequence of Walk
        Of the declaration as it stands, and as recommended where that is another one.
    cost : float
        Of a retraining.
    date : callable
        When a window begins, as people read it.
    """
    if len(walks) == 1:
        return replace(advice, reasons=("model.yaml says so already.", *advice.reasons))
    judged = judge(walks, cost)
    until = date(judged.first_held_back)
    if judged.chosen == THIS_ONE:
        less = judged.against[AS_RECOMMENDED]
        saved = Difference(-less.mean, _minus(less.high), _minus(less.low))
    else:
        saved = judged.against[THIS_ONE]
    compared = _compared(saved, unit, until)
    refuted = saved.high is not None and saved.high < 0
    if judged.chosen == AS_RECOMMENDED and not refuted:
        return replace(advice, reasons=(compared, *advice.reasons))
    kept = (
        f"As deployed, model.yaml as it stands costs less up to {until}: keep it."
        if judged.chosen == THIS_ONE
        else f"As deployed, the schedule below costs less than model.yaml up to {until}, and more after it: keep it."
    )
    return replace(advice, lines=without_retraining(advice.lines), reasons=(kept, compared, *advice.reasons), kept=True)


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _compared(saved: Difference, unit: str, until: str) -> str:
    """What the recommended schedule saves beside the declaration as it stands, in the part that was held back."""
    sentence = (
        f"Lived through as deployed, with its gate, canaries and labels as they come, the schedule that is best among "
        f"the policies costs {amount(abs(saved.mean))} {unit} a window {'less' if saved.mean >= 0 else 'more'} than "
        f"model.yaml as it stands, from {until} on"
    )
    if saved.low is None or saved.high is None:
        return f"{sentence}; too few windows say how sure that is."
    sure = "more than chance" if saved.low > 0 or saved.high < 0 else "that may be chance"
    return f"{sentence} (95% interval of what it saves: {amount(saved.low)} to {amount(saved.high)}): {sure}."
