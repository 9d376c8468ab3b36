"""What the declared rule learned from the training rows; the rules themselves stand in ``baselines/``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from everloop.documents.training import BaselineDocument
from everloop.evaluation.baselines import ALL_KEYS, BASELINES, KEYS, Answers, Asked, Learned, Rows
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
        The training mean of the target: the rate of 1, or the mean value. It is the answer where nothing else holds. Of
        several classes the share of the commonest.
    by : str or None
        The category feature that groups rows.
    groups, numbers : dict of str to float
        See :class:`everloop.evaluation.baselines.Learned`.
    expression : str or None
        The heuristic.
    """

    kind: str
    value: float
    by: str | None = None
    groups: dict[str, float] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    expression: str | None = None

    def answer(self, asked: Asked, rows: Rows) -> Answers:
        """The rule's answers; ``asked`` says what features and target are, and of the rule what was learned counts."""
        own = replace(asked, by=self.by, expression=self.expression)
        _require_columns(own, rows)
        learned = Learned(self.value, self.groups, self.numbers)
        return BASELINES.load(self.kind).answer(own, learned, rows)

    def as_dict(self) -> BaselineDocument:
        """The learned rule in JSON; :meth:`from_dict` reads it."""
        document: BaselineDocument = {"kind": self.kind, "value": self.value, "by": self.by, "groups": self.groups}
        if self.numbers:
            document["numbers"] = self.numbers
        if self.expression is not None:
            document["expression"] = self.expression
        return document

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
            raise EvaluationError(f"the baseline {document!r} is not a baseline: {error}") from error
        if read["kind"] not in BASELINES.names:
            raise EvaluationError(f"the baseline {document!r} is not one: {read['kind']!r} is not a known kind")
        groups = {name: float(value) for name, value in read["groups"].items()}
        numbers = {name: float(value) for name, value in read.get("numbers", {}).items()}
        return cls(read["kind"], float(read["value"]), read["by"], groups, numbers, read.get("expression"))


def fit_baseline(kind: str, asked: Asked, rows: Rows, target: np.ndarray) -> Baseline:
    """Learn the rule from the training rows.

    Parameters
    ----------
    kind : str
        One of :data:`BASELINES`.
    target : ndarray, shape (rows,)

    Raises
    ------
    EvaluationError
        When there are no rows, or they lack what the rule needs.
    """
    if not len(target) or len(target) != len(rows):
        raise EvaluationError(f"the baseline has {len(rows):,} training rows with {len(target):,} outcomes")
    takes = KEYS.get(kind, {})
    if kind not in BASELINES.names or any(needed and _said(asked, key) is None for key, needed in takes.items()):
        raise EvaluationError(f"the baseline {kind!r} cannot be learned without {', '.join(takes) or 'a registration'}")
    _require_columns(asked, rows)
    learned = BASELINES.load(kind).fit(asked, rows, np.asarray(target, dtype=np.float64))
    kept = {key: _said(asked, key) for key in ALL_KEYS if key in takes}
    return Baseline(
        kind, learned.value, kept.get("by"), dict(learned.groups), dict(learned.numbers), kept.get("expression")
    )


def _said(asked: Asked, key: str) -> str | None:
    # Where the function in force stands is the job's matter; what it answered comes with the rows.
    return "" if key == "script" else getattr(asked, key)


def _require_columns(asked: Asked, rows: Rows) -> None:
    if asked.by is not None and asked.by not in rows.features:
        raise EvaluationError(f"the baseline needs the feature {asked.by!r} of each row")
