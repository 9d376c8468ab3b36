"""What an answer loses once its label is known, between 0 and a largest value that is known before.

Bets on a mean need that bound (:mod:`everloop.statistics.mean_bets`); the gate's log loss has none. The squared error
of a probability is the Brier score, which like log loss is smallest for the true probability.

References
----------
G. W. Brier, Verification of Forecasts Expressed in Terms of Probability, Monthly Weather Review 78 (1950).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.problem_types import BINARY, MULTICLASS

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


@dataclass(frozen=True)
class Loss:
    """A loss of one row.

    Attributes
    ----------
    name : str
        What its mean is called.
    kind : str
        The problem's type.
    least, greatest : float
        Between which values and labels of a regression are taken to lie; what is beyond counts as the nearer one.
    """

    name: str
    kind: str
    least: float = 0.0
    greatest: float = 1.0

    @property
    def most(self) -> float:
        """The largest loss."""
        return self.greatest - self.least

    def of(self, score: float, label: float) -> float:
        """The loss of a score (a probability, a value, or the place of a class) once the label is known."""
        if self.kind == MULTICLASS:
            return float(score != label)
        if self.kind == BINARY:
            return (self._within(score) - label) ** 2
        return abs(self._within(score) - self._within(label))

    def _within(self, value: float) -> float:
        return min(self.greatest, max(self.least, value))


def loss_of(declaration: ModelDeclaration) -> Loss:
    """The loss of a model's answers; a regression without bounds has that of values from 0 to 1, and no guardrail."""
    kind, data = declaration.problem.type, declaration.data
    if kind == BINARY:
        return Loss("Brier score", kind)
    if kind == MULTICLASS:
        return Loss("share of wrong classes", kind)
    if data.target_min is None or data.target_max is None:
        return Loss("mean absolute error", kind)
    return Loss("mean absolute error", kind, data.target_min, data.target_max)
