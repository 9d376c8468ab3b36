"""The declared rule that a model has to beat, learned from the training rows and scored like a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from everloop.evaluation.exceptions import EvaluationError


@dataclass(frozen=True)
class Baseline:
    """What the rule answers.

    Attributes
    ----------
    kind : {"prior", "group_mean"}
    value : float
        The training mean of the target: the rate of 1, or the mean value. For ``group_mean`` it answers the
        groups that training did not have.
    by : str or None
        The category feature that groups rows.
    groups : dict of str to float
        The answer to each group.
    """

    kind: str
    value: float
    by: str | None = None
    groups: dict[str, float] = field(default_factory=dict)

    def scores(self, rows: int, groups: Sequence[str] | None = None) -> np.ndarray:
        """The rule's answers, float64 [rows]; ``groups`` is each row's value of the feature ``by``."""
        if self.kind == "prior":
            return np.full(rows, self.value)
        if groups is None or len(groups) != rows:
            raise EvaluationError(f"the baseline needs the feature {self.by!r} of each row")
        return np.array([self.groups.get(g, self.value) for g in groups], dtype=np.float64)

    def as_dict(self) -> dict[str, Any]:
        """The baseline as JSON values; :meth:`from_dict` reads them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Baseline:
        """Read what :meth:`as_dict` wrote."""
        try:
            groups = {str(k): float(v) for k, v in document["groups"].items()}
            return cls(str(document["kind"]), float(document["value"]), document["by"], groups)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EvaluationError(f"the baseline {document!r} is not one: {error!r}") from error


def fit_baseline(
    kind: str, target: np.ndarray, *, by: str | None = None, groups: Sequence[str] | None = None
) -> Baseline:
    """Learn the rule from the training rows.

    A group's answer is the mean over its rows and one more row at the overall mean. Without that row a group of
    three on-time flights would answer 0 with certainty, its log loss would be infinite, and any model would
    beat the baseline.

    Parameters
    ----------
    kind : {"prior", "group_mean"}
    target : ndarray, shape (rows,)
    by, groups
        For ``group_mean``: the feature's name, and its value in each row.
    """
    if not len(target):
        raise EvaluationError("the baseline has no training rows")
    mean = float(np.mean(target))
    if kind == "prior":
        return Baseline("prior", mean)
    if kind != "group_mean" or by is None or groups is None or len(groups) != len(target):
        raise EvaluationError(f"the baseline {kind!r} by {by!r} cannot be learned from these rows")
    names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    counts = np.bincount(index)
    sums = np.bincount(index, weights=np.asarray(target, dtype=np.float64))
    means = (sums + mean) / (counts + 1)
    return Baseline("group_mean", mean, by, dict(zip(names.tolist(), means.tolist(), strict=True)))
