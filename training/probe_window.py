"""The rows that probes are scored on, and what scores lose on them, by the window's days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from everloop.documents.probe import SERVED, VERSION, DailyLosses, ProbePlan
from everloop.evaluation.money import Pricing, row_costs
from everloop.model_file.schema import ModelDeclaration
from everloop.retraining.backtest.losses import row_losses
from everloop.training.channels import Split, read_split_with


@dataclass(frozen=True)
class Window:
    """The rows to score, those of a few days before the window included.

    Attributes
    ----------
    served, version : float array, shape (rows,)
        The score that a caller got, and the version that answered.
    day : int array, shape (rows,)
        Days since 1970.
    begin, end : int
        The window's days, the end not included.
    """

    rows: Split
    target: np.ndarray
    served: np.ndarray
    version: np.ndarray
    day: np.ndarray
    begin: int
    end: int

    @property
    def inside(self) -> np.ndarray:
        """Which rows are the window's, bool, shape (rows,)."""
        return np.asarray((self.day >= self.begin) & (self.day < self.end))

    def by_day(self, values: np.ndarray, chosen: np.ndarray) -> list[float]:
        """Sums of the chosen rows' values by the window's days."""
        found = np.bincount(self.day[chosen] - self.begin, weights=values[chosen], minlength=self.end - self.begin)
        return [float(total) for total in found]

    def count(self, chosen: np.ndarray) -> list[int]:
        """The chosen rows by the window's days."""
        return [int(n) for n in self.by_day(np.ones(len(self.day)), chosen)]


def read_window(folder: Path, declaration: ModelDeclaration, plan: ProbePlan) -> Window:
    """The window's rows with what was served."""
    rows, answered = read_split_with(folder, declaration, labelled=True, numbers=(SERVED, VERSION))
    return Window(
        rows=rows,
        target=rows.labels.astype(np.float64),
        served=answered[SERVED],
        version=answered[VERSION],
        day=rows.days.astype(np.int64),
        begin=day_of(plan["window_start"]),
        end=day_of(plan["window_end"]),
    )


class Losses:
    """What scores lose, in the gate's metric and in money."""

    def __init__(self, declaration: ModelDeclaration, window: Window) -> None:
        self._metric, self._pricing, self._window = declaration.gate.metric, Pricing.of(declaration), window

    def of(self, scores: np.ndarray, chosen: np.ndarray) -> DailyLosses:
        """By day, over the chosen rows."""
        loss = row_losses(self._window.target, scores, self._metric)
        return {"loss": self._window.by_day(loss, chosen), "money": self._money(scores, chosen, self._pricing)}

    def at_best_threshold(self, scores: np.ndarray, chosen: np.ndarray) -> list[float] | None:
        """In money by day, if decisions were taken from the threshold on that costs least; None without one."""
        best = self._pricing.best
        return None if best is None else self._money(scores, chosen, best)

    def _money(self, scores: np.ndarray, chosen: np.ndarray, pricing: Pricing) -> list[float]:
        costs = row_costs(self._window.target, scores, pricing.value, pricing.threshold)
        return self._window.by_day(costs, chosen)


def day_of(instant: datetime) -> int:
    """The day of an instant, counted since 1970."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)).days
