"""Carves validation parts out of the training rows: what a choice between parameters may look at.

All of it precedes the test part, whose labels this job does not get. Parts are ordered in time, as the test part is: a
model is fitted on what came before a stretch of days, and judged on that stretch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from everloop.numbers_of import number_of
from everloop.training.channels import Split
from everloop.training.exceptions import TuningError

LEAST_ROWS = 50
"""Rows that a validation part needs, and the rows before it."""


@dataclass(frozen=True)
class Fold:
    """One validation part with the rows to fit on.

    Attributes
    ----------
    after, until : datetime64[ms]
        The part's rows are later than the one, and none is later than the other. Every earlier row is fitted on, but
        for those of groups that are kept for validation.
    fit, validate : Split
    """

    after: np.datetime64
    until: np.datetime64
    fit: Split
    validate: Split


def time_folds(
    train: Split, *, folds: int, days: int, classes: int, apart: np.ndarray | None = None
) -> tuple[Fold, ...]:
    """The newest ``folds`` stretches of ``days`` days, oldest first, each with all rows before it.

    Days are counted back from the newest row, as those of the test part are.

    Parameters
    ----------
    train : Split
        Labelled rows.
    classes : int
        How many classes the labels are of: what is fitted needs them all, what is judged two of them. 0 where
        labels are numbers.
    apart : ndarray of bool, shape (rows,), optional
        Rows of groups that are kept for validation: only these are judged, and they are not fitted on.

    Raises
    ------
    TuningError
        When a part, or what precedes it, has too few rows or lacks a class: with the part's days and counts.
    """
    newest = train.times.max()
    made = []
    for back in range(folds, 0, -1):
        after, until = (newest - np.timedelta64(days * n, "D") for n in (back, back - 1))
        name = f"the validation part after {after} up to {until}"
        before, chosen = train.times <= after, (train.times > after) & (train.times <= until)
        earlier = before if apart is None else before & ~apart
        chosen = chosen if apart is None else chosen & apart
        _require(train, earlier, f"the rows before {name}", folds, days, classes=classes)
        _require(train, chosen, name, folds, days, classes=min(classes, 2))
        made.append(Fold(after, until, train.only(earlier), train.only(chosen)))
    return tuple(made)


def _require(train: Split, rows: np.ndarray, name: str, folds: int, days: int, *, classes: int) -> None:
    count = int(rows.sum())
    lack = ""
    if count < LEAST_ROWS:
        lack = f"{number_of(count, 'row')}, and needs {LEAST_ROWS}"
    elif classes and (there := len(np.unique(train.labels[rows]))) < classes:
        of = "one class only" if there == 1 else f"{there} of {classes} classes"
        lack = f"{number_of(count, 'row')} of {of}"
    if lack:
        span = int((train.times.max() - train.times.min()) / np.timedelta64(1, "D")) + 1
        raise TuningError(
            f"training.tuning can't choose: {name} has {lack}. {number_of(folds, 'fold')} of {number_of(days, 'day')}"
            f" are taken from {number_of(len(train), 'training row')} of {number_of(span, 'day')}; declare fewer or"
            " other training.tuning.folds and fold_days, or leave training.tuning out until there are more rows"
        )
