"""What the champion's decisions cost, by the labels that arrived: of 1,000, with an interval over windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from everloop.documents.money import CostDocument
from everloop.documents.window import WindowMoneyDocument
from everloop.evaluation.bounds import FEWEST_OF_A_CLASS, lower_bound, upper_bound
from everloop.evaluation.report import Parts
from everloop.monitoring.profile import Outcomes
from everloop.numbers_of import number_of
from everloop.problem_types import MULTICLASS
from everloop.statistics.clusters import error_of_mean
from everloop.statistics.student_t import t_quantile

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration, Value

PER = 1_000
ONE_SIDED = 0.975
"""Each side of a 95% interval."""


def window_money(declaration: ModelDeclaration, windows: Sequence[Outcomes]) -> WindowMoneyDocument | None:
    """What decisions cost in the latest labelled windows; None where none has counted them, and of several classes.

    Parameters
    ----------
    windows : sequence of Outcomes
        Newest first: of each window the rows that this champion answered. As many are taken as quality is judged on.
    """
    if declaration.problem.type == MULTICLASS:
        return None
    trigger, days = declaration.retraining.quality, declaration.monitoring.window_hours // 24
    wanted = max(1, math.ceil((trigger.days if trigger else 7) / days))
    latest = [w for w in windows if w.rows and w.decisions is not None][:wanted]
    if not latest:
        return None
    value, classification = declaration.problem.value, declaration.problem.type == "binary_classification"
    cells = [_Cells.of(w, classification) for w in latest]
    costs = [cell.cost(value) if classification else value.error_cost_per_unit * cell.error for cell in cells]
    total = reduce(add, cells)
    few = _too_few(total) if classification else ""
    champion = _cost(costs, cells, total, value if classification else None, few)
    return {
        "currency": value.currency,
        "threshold": declaration.serving.threshold if classification else None,
        "windows": len(latest),
        "rows": total.rows,
        "champion": champion,
        "nobody": _of_all(total, value, acts=False) if classification else None,
        "everybody": _of_all(total, value, acts=True) if classification else None,
    }


def _of_all(total: _Cells, value: Value, *, acts: bool) -> float:
    """What 1,000 decisions would have cost if all had been the same."""
    alike = replace(total, hits=total.ones if acts else 0, alarms=total.zeros if acts else 0)
    return PER * alike.cost(value) / total.rows


@dataclass(frozen=True)
class _Cells:
    """Rows by label and decision, or their absolute error."""

    rows: int
    ones: int
    hits: int
    alarms: int
    error: float

    @classmethod
    def of(cls, outcomes: Outcomes, classification: bool) -> _Cells:
        decisions = outcomes.decisions
        assert decisions is not None
        ones = round(outcomes.label) if classification else 0
        return cls(outcomes.rows, ones, round(decisions.hits), round(decisions.false_alarms), decisions.absolute_error)

    def __add__(self, other: _Cells) -> _Cells:
        return _Cells(
            self.rows + other.rows,
            self.ones + other.ones,
            self.hits + other.hits,
            self.alarms + other.alarms,
            self.error + other.error,
        )

    @property
    def zeros(self) -> int:
        return self.rows - self.ones

    @property
    def misses(self) -> int:
        return self.ones - self.hits

    def cost(self, value: Value) -> float:
        return (
            self.alarms * value.false_positive_cost
            + self.misses * value.false_negative_cost
            - self.hits * value.true_positive_value
        )


def _cost(
    costs: Sequence[float], cells: Sequence[_Cells], total: _Cells, value: Value | None, few: str
) -> CostDocument:
    mean = sum(costs) / total.rows
    if few or len(cells) < 2:
        reason = few or "one window does not show how days differ"
        return {"value": PER * mean, "low": None, "high": None, "reason": reason}
    rows = [cell.rows for cell in cells]
    error, freedom = error_of_mean([c - mean * n for c, n in zip(costs, rows, strict=True)], rows)
    if value is None:
        half = t_quantile(ONE_SIDED, freedom) * error
        low, high = mean - half, mean + half
    else:
        parts = _parts(cells, total, value)
        least, most = -value.true_positive_value, max(value.false_positive_cost, value.false_negative_cost)
        low = max(least, lower_bound(mean, error, freedom, parts, ONE_SIDED, seen=FEWEST_OF_A_CLASS))
        high = min(most, upper_bound(mean, error, freedom, parts, ONE_SIDED, seen=FEWEST_OF_A_CLASS))
    return {"value": PER * mean, "low": PER * low, "high": PER * high, "reason": ""}


def _parts(cells: Sequence[_Cells], total: _Cells, value: Value) -> Parts:
    """The mean cost as a constant and weighted counts: of misses, and of alarms, which are what surprises."""
    alarm, miss = value.false_positive_cost + value.true_positive_value, value.false_negative_cost
    acted = total.hits + total.alarms
    left = total.rows - acted
    surprising = total.alarms + total.misses
    share = surprising / total.rows
    rows = [cell.rows for cell in cells]
    deviations = [cell.alarms + cell.misses - share * cell.rows for cell in cells]
    share_error = error_of_mean(deviations, rows)[0] / share if share else 0.0
    weight = acted * alarm + left * miss
    return Parts(
        rows=total.rows,
        counted=min(total.ones, total.zeros),
        share=share,
        share_error=share_error,
        up=total.alarms * alarm + total.misses * miss,
        up_squares=total.alarms * alarm**2 + total.misses * miss**2,
        up_next=(acted * alarm**2 + left * miss**2) / weight if weight else 0.0,
        down=0.0,
        down_squares=0.0,
        down_next=0.0,
    )


def _too_few(total: _Cells) -> str:
    label, rows = min((1, total.ones), (0, total.zeros), key=lambda found: found[1])
    if rows >= FEWEST_OF_A_CLASS:
        return ""
    return f"{number_of(rows, 'outcome')} of {label} are too few: {FEWEST_OF_A_CLASS} are needed"
