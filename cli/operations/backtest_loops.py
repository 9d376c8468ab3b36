"""The loop as deployed beside a backtest's policies: the declaration as it stands, and other ways to retrain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from everloop.cli.operations.backtest_advice import PolicyResult, Recommendation, amount, without_retraining
from everloop.cli.operations.backtest_deployed import LoopOnHistory, NotLivedThroughError, deployed, with_knobs
from everloop.cli.operations.backtest_loop_told import THIS_ONE, Deployed
from everloop.cli.operations.backtest_results import Backtest, Ground, acting_threshold, over_hindsight
from everloop.cli.operations.backtest_shape import Knobs
from everloop.cli.operations.backtest_variants import Variant, variants
from everloop.evaluation.money import row_costs
from everloop.model_file.schema import ModelDeclaration
from everloop.model_file.worst_case import probe_usd
from everloop.numbers_of import number_of
from everloop.retraining.backtest.judgement import Difference, judge
from everloop.retraining.backtest.walk import Walk


def as_deployed(
    found: Backtest, ground: Ground, declaration: ModelDeclaration, history: LoopOnHistory, knobs: Knobs
) -> Backtest:
    """The backtest with the loop as deployed beside its policies; where it can't be told, with the reason why."""
    declared = with_knobs(declaration, knobs)
    history.say("simulating the loop as deployed")
    try:
        loops = [_lived(found, ground, declared, history, knobs, THIS_ONE)]
    except NotLivedThroughError as error:
        sentence = f"What {THIS_ONE} would have done can't be simulated: {error}."
        return replace(found, not_known=(sentence, *found.not_known))
    others = variants(declared, found.recommendation, found.shape, knobs, ground.cost)
    lived, unlived = [], []
    for other in others:
        try:
            loops.append(_lived(found, ground, other.declaration, history, knobs, other.policy))
            lived.append(other)
        except NotLivedThroughError as error:
            unlived.append(f"What {other.told} would have done can't be simulated: {error}.")
    walks = [walk for _, walk in loops]
    results = tuple(
        _result(told, walk, ground, found.judgement.first_held_back, declared.recalibration is not None)
        for told, walk in loops
    )
    advice = weighed(found.recommendation, walks, lived, cost=ground.cost, unit=found.unit, date=found.shape.date)
    return replace(
        found,
        policies=(*found.policies, *results),
        deployed=tuple(told for told, _ in loops),
        recommendation=advice,
        not_known=(*unlived, *found.not_known, *_probes_not_counted(found, [told for told, _ in loops])),
    )


def _probes_not_counted(found: Backtest, loops: Sequence[Deployed]) -> Iterator[str]:
    probes = sum(loop.probes for loop in loops)
    if probes and not any(loop.probes_cost for loop in loops):
        yield (
            f"The loop as deployed made {number_of(probes, 'probe')}. What their jobs cost is not counted in"
            f" {found.unit}; `everloop check` adds it to cost.monthly_budget_usd."
        )


def _lived(
    found: Backtest, ground: Ground, declaration: ModelDeclaration, history: LoopOnHistory, knobs: Knobs, policy: str
) -> tuple[Deployed, Walk]:
    lived, rows = history.live(declaration, policy)
    threshold = acting_threshold(declaration, knobs)

    def costs(label: np.ndarray, scores: np.ndarray) -> np.ndarray:
        return row_costs(label, scores, declaration.problem.value, threshold)

    return deployed(
        lived,
        rows,
        found.shape,
        policy=policy,
        metric=found.metric,
        costs=costs,
        cost=ground.cost,
        fresh=ground.fresh,
        probe_cost=probe_usd(declaration) if found.unit == "USD" else 0.0,
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
    advice: Recommendation,
    walks: Sequence[Walk],
    others: Sequence[Variant],
    *,
    cost: float,
    unit: str,
    date: Callable[[int], str],
) -> Recommendation:
    """The recommendation, or to keep what is declared.

    Another way must pay as deployed, not among policies alone; and in the part that was held back as well.

    Parameters
    ----------
    walks : sequence of Walk
        Of the declaration as it stands, and of the others.
    cost : float
        Of a retraining.
    date : callable
        When a window begins, as people read it.
    """
    if not others:
        return replace(advice, reasons=("model.yaml says so already.", *advice.reasons), chosen=THIS_ONE)
    judged = judge(walks, cost)
    until = date(judged.first_held_back)
    saved = {other.policy: judge(walks, cost, [other.policy]).against[THIS_ONE] for other in others}
    chosen = next((other for other in others if other.policy == judged.chosen), None)
    # What is recommended comes first.
    ordered = sorted(others, key=lambda other: other is not chosen)
    compared = [_compared(saved[other.policy], other.told, unit, until) for other in ordered]
    if chosen is not None and saved[chosen.policy].mean >= 0:
        return replace(advice, lines=chosen.lines, reasons=(*compared, *advice.reasons), chosen=chosen.policy)
    kept = (
        f"Simulated as deployed, model.yaml as it stands costs less until {until}: keep it."
        if chosen is None
        else (
            f"Simulated as deployed, {chosen.told} costs less than model.yaml until {until}, and more after that:"
            " keep model.yaml."
        )
    )
    lines = without_retraining(advice.lines)
    return replace(advice, lines=lines, reasons=(kept, *compared, *advice.reasons), kept=True, chosen=THIS_ONE)


def _compared(saved: Difference, told: str, unit: str, until: str) -> str:
    """What another way saves beside the declaration as it stands, in the part that was held back."""
    sentence = (
        f"Simulated as deployed, with gate, canaries and late labels, {told} costs {amount(abs(saved.mean))} {unit} a"
        f" window {'less' if saved.mean >= 0 else 'more'} than model.yaml as it stands, from {until} on"
    )
    if saved.low is None or saved.high is None:
        return f"{sentence}; too few windows say how sure that is."
    sure = "significant" if saved.low > 0 or saved.high < 0 else "this may be chance"
    return f"{sentence} (95% interval of what it saves: {amount(saved.low)} to {amount(saved.high)}): {sure}."
