"""The rules that a model must beat: learned from the training rows and scored like a model.

To add one: a file here whose ``RULE`` is a :class:`BaselineRule`, its tests, and its name below; what a declaration
may say of it besides its name stands in ``KEYS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from everloop.seams import Seam

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Asked:
    """What a declaration asks of a rule.

    Attributes
    ----------
    classification : bool
        Whether rows are of the classes 0 and 1; else the target is a number, or the place of one of ``classes``.
    by : str or None
        The category feature that groups rows.
    expression : str or None
        A heuristic over features.
    numbers, categories : tuple of str
        The declared features.
    classes : int
        Of a multiclass classification: how many there are; else 0.
    """

    classification: bool
    by: str | None = None
    expression: str | None = None
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    classes: int = 0


@dataclass(frozen=True)
class Rows:
    """Rows as rules see them.

    Attributes
    ----------
    features : mapping of str to array
        Numbers float64, NaN where missing; categories str, "" where missing.
    times : datetime64[ms] array, shape (rows,)
        When each row's answer was needed.
    outcomes : float64 array, shape (rows,), or None
        What became of the rows. A rule may use only those that were known when a row's answer was needed: of rows that
        are older by ``lag`` or more. None where no rule sees any.
    lag : timedelta64[ms]
        How long outcomes may take to be known.
    answers : array, shape (rows,), or None
        What the rule in force answered, where a declaration names one.
    """

    features: Mapping[str, np.ndarray]
    times: np.ndarray
    outcomes: np.ndarray | None
    lag: np.timedelta64
    answers: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Learned:
    """What a rule learned: finite numbers alone.

    Attributes
    ----------
    value : float
        The training mean of the target, the answer where nothing else holds; of several classes the share of the
        commonest.
    groups : mapping of str to float
        A number for each group.
    numbers : mapping of str to float
        Other numbers by the names that the rule gives them.
    """

    value: float
    groups: Mapping[str, float] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """What a rule answers.

    Attributes
    ----------
    scores : float64 array, shape (rows,), or (rows, classes) of several classes
        Finite; for classes from 0 to 1.
    acts : bool array, shape (rows,), or None
        Its decisions, of a rule that decides by itself; None where the served threshold decides by the scores.
    """

    scores: np.ndarray
    acts: np.ndarray | None = None

    def only(self, rows: np.ndarray) -> Answers:
        """The answers to the chosen rows, bool [rows]."""
        return Answers(self.scores[rows], None if self.acts is None else self.acts[rows])


class BaselineRule(Protocol):
    """One kind of rule.

    What it learned goes from the training job to the evaluation as JSON: a rule keeps nothing itself.
    """

    def fit(self, asked: Asked, rows: Rows, target: np.ndarray) -> Learned:
        """Learn from the training rows, of which there is one at least.

        Parameters
        ----------
        target : float64 array, shape (rows,)
            Finite.
        """
        ...

    def answer(self, asked: Asked, learned: Learned, rows: Rows) -> Answers:
        """The answers to ``rows``, of which there may be none."""
        ...


BASELINES: Seam[BaselineRule] = Seam(
    __name__,
    "baseline",
    "RULE",
    "prior",
    "group_mean",
    "last_value",
    "expression",
    "rule_in_force",
    "logistic_regression",
)

ALL_KEYS = ("by", "expression", "script")
"""What declarations say of rules besides their kind."""

KEYS: Mapping[str, Mapping[str, bool]] = {
    "group_mean": {"by": True},
    "last_value": {"by": False},
    "expression": {"expression": True},
    "rule_in_force": {"script": True},
}
"""The keys that each rule takes, and whether it needs them; rules that are not here take none."""

OF_SEVERAL_CLASSES = frozenset({"prior", "group_mean"})
"""Rules that answer a probability of each class."""

ANSWERING = ("prior", "group_mean", "expression")
"""Rules that answer a single row by what they learned and its features: they can stand in for a model."""

CLASSES_ONLY = frozenset({"logistic_regression"})
"""Rules that answer probabilities alone."""

RUNS_CODE = "rule_in_force"
"""The rule that is a function of the model's folder. Only training jobs run it."""
