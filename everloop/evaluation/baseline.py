"""What the declared rule learned from the training rows; the rules themselves stand in ``baselines/``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from everloop.documents.training import BaselineDocument
from everloop.evaluation.baselines import BASELINES, GO_BY_A_FEATURE, Learned
from everloop.evaluation.exceptions import EvaluationError
from everloop.typed_json import DocumentRefusedError, read_as


@dataclass(frozen=True)
class Baseline:
    """What a rule learned.

    Attributes
    ----------
    kind : str
        The rule, one of :data:`BASELINES`.
    value : float
        The training mean of the target: the rate of 1, or the mean value. A rule that goes by groups answers it to
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
        if self.kind in GO_BY_A_FEATURE and (groups is None or len(groups) != rows):
            raise EvaluationError(f"the baseline needs the feature {self.by!r} of each row")
        return BASELINES.load(self.kind).scores(Learned(self.value, self.groups), rows, groups)

    def as_dict(self) -> BaselineDocument:
        """The learned rule in JSON; :meth:`from_dict` reads it."""
        return {"kind": self.kind, "value": self.value, "by": self.by, "groups": self.groups}

    @classmethod
    def from_dict(cls, document: object) -> Baseline:
        """Read what :meth:`as_dict` wrote.

        Raises
        ------
        EvaluationError
            Naming what is missing or of another type.
        """
        try:
            read = read_as(BaselineDocument, document, "baseline", "train again")
        except DocumentRefusedError as error:
            raise EvaluationError(f"the baseline {document!r} is not one: {error}") from error
        if read["kind"] not in BASELINES.names:
            raise EvaluationError(f"the baseline {document!r} is not one: {read['kind']!r} is not known here")
        groups = {name: float(value) for name, value in read["groups"].items()}
        return cls(read["kind"], float(read["value"]), read["by"], groups)


def fit_baseline(
    kind: str, target: np.ndarray, *, by: str | None = None, groups: Sequence[str] | None = None
) -> Baseline:
    """Learn the rule from the training rows.

    Parameters
    ----------
    kind : str
        One of :data:`BASELINES`.
    target : ndarray, shape (rows,)
    by, groups
        For a rule that goes by groups: the feature's name, and its value in each row.
    """
    if not len(target):
        raise EvaluationError("the baseline has no training rows")
    wanted = kind in GO_BY_A_FEATURE
    if kind not in BASELINES.names or (wanted and (by is None or groups is None or len(groups) != len(target))):
        raise EvaluationError(f"the baseline {kind!r} by {by!r} cannot be learned from these rows")
    learned = BASELINES.load(kind).fit(target, groups if wanted else None)
    return Baseline(kind, learned.value, by if wanted else None, dict(learned.groups))
