"""What a backtest found: policies walked through what models answered, in money or loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from everloop.cli.operations.backtest_advice import PolicyResult, Recommendation, not_known, recommend
from everloop.cli.operations.backtest_loop_told import Deployed
from everloop.cli.operations.backtest_shape import Knobs, Shape
from everloop.cli.operations.backtest_training_days import TrainingDays, training_days
from everloop.evaluation.money import row_costs
from everloop.model_file.schema import ModelDeclaration
from everloop.recalibration.calibration import Kind
from everloop.retraining.backtest.history import History
from everloop.retraining.backtest.judgement import Judgement, judge
from everloop.retraining.backtest.losses import LossTable, row_losses
from everloop.retraining.backtest.policies import AdaptiveWindow, Invest, usual_policies
from everloop.retraining.backtest.recalibrated import declared_shift, recalibrated
from everloop.retraining.backtest.shifts import feature_counts, least_p_value, stability
from everloop.retraining.backtest.timeline import Timeline
from everloop.retraining.backtest.walk import Policy, Walk, optimum, walk


@dataclass(frozen=True)
class Backtest:
    """What a backtest found.

    Attributes
    ----------
    metric : str
        The loss of ``gate.metric``.
    unit : str
        Of costs: a currency.
    retraining_cost : float
        In that unit.
    curves : dict of str to list of float
        The mean loss of a row by window: ``frozen``, ``retrained`` (always, as trained), ``chosen`` (by the chosen
        policy, recalibrated).
    judgement : Judgement
        On recalibrated scores.
    deployed : tuple of Deployed
        The loop as it is deployed: by the declaration as it stands, and with what is recommended.
    training_days : TrainingDays or None
        What speaks for learning from the newest days alone.
    """

    model: str
    shape: Shape
    metric: str
    unit: str
    retraining_cost: float
    policies: tuple[PolicyResult, ...]
    curves: dict[str, list[float]]
    retrained_before: tuple[int, ...]
    judgement: Judgement
    recommendation: Recommendation
    not_known: tuple[str, ...]
    deployed: tuple[Deployed, ...] = ()
    training_days: TrainingDays | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Answers:
    """What the job wrote: ``others`` by days, of models that learned from so many of the newest ones.

    ``spans`` are the newest days that each window's model learned from, 0 for all rows; None where evidence had no say.
    """

    timeline: Timeline
    model: np.ndarray
    probe: np.ndarray
    others: dict[int, np.ndarray]
    spans: list[int] | None = None


@dataclass(frozen=True)
class Ground:
    """What the policies were compared on, for whatever is compared with them.

    Attributes
    ----------
    walks : list of Walk
        Of recalibrated scores.
    cost : float
        Of a retraining.
    fresh : float
        What the reference costs over all windows.
    best_excess : float
        Of the hindsight optimum.
    """

    walks: list[Walk]
    cost: float
    fresh: float
    best_excess: float


def evaluate(
    declaration: ModelDeclaration, rows: pd.DataFrame, shape: Shape, answers: Answers, knobs: Knobs
) -> tuple[Backtest, Ground]:
    """Walk all policies through what the models answered, and say what that tells.

    Parameters
    ----------
    rows : pandas.DataFrame
        Those that the models were asked about, in the order of the timeline.
    """
    line, metric, classes = answers.timeline, declaration.gate.metric, _is_classification(declaration)
    kind: Kind = "log_odds" if classes else "value"
    target = line.target[: line.day_starts[-1]]
    shift = declared_shift(declaration)
    served = recalibrated(line, answers.model, kind, max_shift=shift)
    same = answers.probe is answers.model
    probe_served = served if same else recalibrated(line, answers.probe, kind, max_shift=shift)
    count = line.rows_by_day[line.history_days :].sum()
    threshold, scale = acting_threshold(declaration, knobs), shape.rows / shape.rows_taken

    def costs(scores: np.ndarray) -> LossTable:
        return LossTable.of(line, scale * row_costs(target, scores, declaration.problem.value, threshold))

    plain, put_right = costs(answers.model), costs(served)
    raw = LossTable.of(line, row_losses(target, answers.model, metric))
    errors = LossTable.of(line, row_losses(target, answers.model, "error" if classes else metric))
    drift = _drift(line, [rows[f.name].to_numpy() for f in declaration.data.features], answers.spans)
    fresh = np.diag(put_right.by_window).copy()
    histories = {
        True: History(put_right, costs(probe_served), raw, errors, fresh, *drift),
        False: History(plain, costs(answers.probe), raw, errors, fresh, *drift),
    }
    unit = declaration.problem.value.currency
    cost = declaration.cost.max_training_run_usd if knobs.retraining_cost is None else knobs.retraining_cost
    policies: list[Policy] = [*usual_policies(), Invest(unit=unit)]
    if not classes:
        policies = [policy for policy in policies if not isinstance(policy, AdaptiveWindow)]
    walks = {
        which: [walk(history, policy, cost, cooldown=shape.cooldown_windows) for policy in policies]
        + [optimum(history, cost)]
        for which, history in histories.items()
    }
    names = [policy.name for policy in policies]
    judgement = judge(walks[True], cost, names)
    lossy = {True: LossTable.of(line, row_losses(target, served, metric)), False: raw}
    per_row = line.rows_by_day[line.history_days :].reshape(line.windows, -1).sum(1)
    chosen = next(w for w in walks[True] if w.policy == judgement.chosen)
    curves = {
        "frozen": _means(lossy[False].by_window[0], per_row, metric),
        "retrained": _means(np.diag(lossy[False].by_window), per_row, metric),
        "chosen": _means(lossy[True].by_window[list(chosen.serving), np.arange(line.windows)], per_row, metric),
    }
    results = tuple(_results(walks, lossy, cost, int(count), metric, judgement))
    days = training_days(declaration, shape, line, answers.model, answers.others)
    advice = recommend(declaration, shape, walks[True], judgement, cost, unit, results, threshold)
    if days is not None:
        advice = replace(advice, lines=(*days.lines, *advice.lines), reasons=(*advice.reasons, days.reason))
    found = Backtest(
        model=declaration.model,
        shape=shape,
        metric=metric,
        unit=unit,
        retraining_cost=cost,
        policies=results,
        curves=curves,
        retrained_before=chosen.retrained,
        judgement=judgement,
        recommendation=advice,
        not_known=not_known(declaration, shape, knobs),
        training_days=days,
    )
    return found, Ground(walks[True], cost, float(fresh.sum()), walks[True][-1].cost)


def _drift(line: Timeline, columns: list[np.ndarray], spans: list[int] | None) -> tuple[np.ndarray, np.ndarray]:
    """What drift triggers watch: each model's windows against the rows that it learned from."""
    before = max(1, line.history_days // line.window_days)
    parts = [math.ceil(days / line.window_days) or None for days in spans or ()]
    counts = feature_counts(line, columns, before=before)
    return stability(counts, before=before, spans=parts), least_p_value(counts, before=before, spans=parts)


def _is_classification(declaration: ModelDeclaration) -> bool:
    return declaration.problem.type == "binary_classification"


def acting_threshold(declaration: ModelDeclaration, knobs: Knobs) -> float | None:
    """The probability from which a classification acts; None for a regression."""
    if not _is_classification(declaration):
        return None
    return declaration.serving.threshold if knobs.threshold is None else knobs.threshold


def _means(loss: np.ndarray, rows: np.ndarray, metric: str) -> list[float]:
    """By window; NaN where a window has no rows."""
    return [_mean(float(total), int(n), metric) for total, n in zip(loss, rows, strict=True)]


def _mean(total: float, rows: int, metric: str) -> float:
    """The metric of so many rows, from the sum of their losses."""
    if not rows:
        return math.nan
    return math.sqrt(total / rows) if metric == "rmse" else total / rows


def over_hindsight(excess: float, best: float, cost: float) -> float | None:
    """An excess over that of the hindsight optimum; None where that pays next to nothing."""
    return excess / best if best > 0.3 * cost else None


def _results(
    walks: dict[bool, list[Walk]],
    lossy: dict[bool, LossTable],
    cost: float,
    rows: int,
    metric: str,
    judgement: Judgement,
) -> list[PolicyResult]:
    best = walks[True][-1].cost
    found = []
    for which, walked in walks.items():
        for each in walked:
            loss = lossy[which].by_window[list(each.serving), np.arange(len(each.serving))].sum()
            late = each.loss[judgement.first_held_back :].sum()
            late += cost * sum(window >= judgement.first_held_back for window in each.retrained)
            found.append(
                PolicyResult(
                    policy=each.policy,
                    recalibrated=which,
                    retrainings=each.retrainings,
                    metric=_mean(float(loss), rows, metric),
                    cost=float(each.loss.sum()) + cost * each.retrainings,
                    excess=each.cost,
                    over_hindsight=over_hindsight(each.cost, best, cost),
                    held_back=float(late),
                )
            )
    return found
