"""The rules that a model has to beat: learned from the training rows and scored like a model.

To add one: a file here whose ``RULE`` is a :class:`BaselineRule`, its tests, and its name below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from everloop.seams import Seam

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Learned:
    """What a rule learned.

    Attributes
    ----------
    value : float
        The answer where no group's own holds.
    groups : mapping of str to float
        The answer to each group; empty for a rule that goes by no feature.
    """

    value: float
    groups: Mapping[str, float]


class BaselineRule(Protocol):
    """One kind of rule.

    What it learned goes from the training job to the evaluation as JSON: a rule keeps nothing itself.
    """

    def fit(self, target: np.ndarray, groups: Sequence[str] | None) -> Learned:
        """Learn from the training rows, of which there is one at least.

        Parameters
        ----------
        target : float64 array, shape (rows,)
        groups : sequence of str, optional
            Each row's value of the declared feature; given where the rule goes by one.
        """
        ...

    def scores(self, learned: Learned, rows: int, groups: Sequence[str] | None) -> np.ndarray:
        """The answers to ``rows`` rows, float64 [rows], finite; for classes from 0 to 1.

        ``groups`` has a value for each row where the rule goes by a feature.
        """
        ...


BASELINES: Seam[BaselineRule] = Seam(__name__, "baseline", "RULE", "prior", "group_mean")

GO_BY_A_FEATURE = frozenset({"group_mean"})
"""The rules that answer by the value of a category feature: a declaration names it as ``by``."""
