"""From how many of the newest days a model should learn, as a backtest tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from everloop.cli.operations.backtest_shape import Shape
from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.recalibration.calibration import Kind
from everloop.retraining.backtest.judgement import Difference, judge
from everloop.retraining.backtest.recalibrated import declared_shift, recalibrated_in_turn
from everloop.retraining.backtest.timeline import Timeline
from everloop.retraining.backtest.training_windows import ALL_ROWS, blocks, declared_scores, walks_of
from everloop.retraining.backtest.walk import Walk

WINDOWS = (4, 8, 16)
"""The choices where none are asked for, in windows of the backtest."""


@dataclass(frozen=True)
class Choice:
    """One way to choose the training rows.

    Attributes
    ----------
    days : int
        Of the newest days; 0 for all rows.
    declared : bool
        Whether ``model.yaml`` says so.
    before, after : float
        The mean loss of a row in the older windows, and in those that were held back.
    saves : Difference or None
        What it loses less a row than what is declared, in the part that was held back; None of that itself.
    """

    days: int
    declared: bool
    before: float
    after: float
    saves: Difference | None


@dataclass(frozen=True)
class TrainingDays:
    """What the history says of them: the choice that lost least in the older windows, and the lines it asks for."""

    choices: tuple[Choice, ...]
    chosen: int
    lines: tuple[str, ...]
    reason: str


def choices_of(declaration: ModelDeclaration, shape: Shape, asked: tuple[int, ...]) -> tuple[int, ...]:
    """The days that are compared with those that are declared: as asked, else some windows that hold rows enough.

    None where ``data.training_spans`` have each training choose.
    """
    if declaration.data.training_spans:
        return ()
    declared = declaration.data.training_window_days or ALL_ROWS
    span = shape.history_days + shape.windows * shape.window_days
    enough = max(declaration.data.split.test_days + 1, declaration.data.minimum_rows * span / shape.rows)
    usual = (windows * shape.window_days for windows in WINDOWS)
    found = asked or tuple(days for days in usual if enough <= days < longest_worth_trying(shape))
    if declared != ALL_ROWS:
        found = (*found, ALL_ROWS)
    return tuple(sorted({days for days in found if days != declared}))


def longest_worth_trying(shape: Shape) -> int:
    """With as many days or more, the first half of the models would learn from all rows all the same."""
    return shape.history_days + shape.windows * shape.window_days // 2


def training_days(
    declaration: ModelDeclaration, shape: Shape, line: Timeline, model: np.ndarray, others: Mapping[int, np.ndarray]
) -> TrainingDays | None:
    """Compare; None where nothing was asked to be compared.

    Parameters
    ----------
    model : float array, shape (windows, rows)
        What the models say that learned as is declared.
    others : mapping of int to float array, shape (rows,)
        By days, what those say that learned from so many.
    """
    if not others:
        return None
    kind: Kind = "log_odds" if declaration.problem.type == "binary_classification" else "value"
    declared = declaration.data.training_window_days or ALL_ROWS
    scores = {declared: declared_scores(line, model), **others}
    turns = blocks(line.windows)
    shift = declared_shift(declaration)
    served = {
        str(days): recalibrated_in_turn(line, found, kind, turns, max_shift=shift) for days, found in scores.items()
    }
    walks = walks_of(line, served, declaration.gate.metric)
    chosen = int(judge(walks, 0.0).chosen)
    choices = tuple(_choice(days, declared, walks) for days in sorted(scores))
    first_held_back = judge(walks, 0.0).first_held_back
    lines, reason = _advice(choices, chosen, shape.date(first_held_back), loss_name(declaration.gate.metric))
    return TrainingDays(choices, chosen, lines, reason)


def loss_name(metric: str) -> str:
    """What a row's loss is called; the one whose root is the metric adds up before the root is taken."""
    return "squared error" if metric == "rmse" else metric


def named(days: int) -> str:
    """The choice, in words."""
    return "all rows" if days == ALL_ROWS else f"the newest {number_of(days, 'day')}"


def training_days_rows(found: TrainingDays) -> list[tuple[str, ...]]:
    """The choices as a table: what each learns from, its loss in both parts, and what it saves there."""
    rows: list[tuple[str, ...]] = []
    for choice in found.choices:
        name = f"{named(choice.days)}, as declared" if choice.declared else named(choice.days)
        saves = choice.saves
        mean = "" if saves is None else f"{saves.mean:.4f}"
        interval = "" if saves is None or saves.low is None else f"{saves.low:.4f} to {saves.high:.4f}"
        rows.append((name, f"{choice.before:.4f}", f"{choice.after:.4f}", mean, interval))
    return rows


def _choice(days: int, declared: int, walks: list[Walk]) -> Choice:
    name = str(days)
    found = judge(walks, 0.0, [name])
    windows, first = len(walks[0].loss), found.first_held_back
    saves = None if days == declared else found.against[str(declared)]
    return Choice(
        days, days == declared, found.before[name].loss / first, found.after[name].loss / (windows - first), saves
    )


def _advice(choices: tuple[Choice, ...], chosen: int, until: str, metric: str) -> tuple[tuple[str, ...], str]:
    """The lines, where a choice that is not declared did better beyond chance; and why."""
    declared = next(choice for choice in choices if choice.declared)
    if chosen == declared.days:
        return (), f"Of all training windows, {named(chosen)} lost least until {until}, and model.yaml already says so."
    best = next(choice for choice in choices if choice.days == chosen)
    saves = best.saves
    assert saves is not None
    sentence = (
        f"Of all training windows, {named(chosen)} lost least until {until}. In the newest part, not used for the"
        f" choice, it lost {abs(saves.mean):.3g} of {metric} per row {'less' if saves.mean >= 0 else 'more'} than"
        f" {named(declared.days)}, which model.yaml says"
    )
    if saves.low is None or saves.high is None:
        return (), f"{sentence}; too few windows say how sure that is."
    interval = f"{sentence} (95% interval of what it saved: {saves.low:.3g} to {saves.high:.3g})"
    if saves.low <= 0:
        return (), f"{interval}: this may be chance, so it is no reason to change it."
    line = f"  training_window_days: {chosen}" if chosen != ALL_ROWS else "  # without training_window_days"
    return ("data:", line), f"{interval}: significant."
