"""Whose fault it is when a model gives a row no score that can be answered: the row's, or the model's.

A contract without limits admits any finite number, and float64 overflows: such a row is the caller's to mend, and says
nothing about the version that answers. What tells the two apart is the same row with the training medians in the place
of its numbers. Scored so, the row's numbers were at fault; not even scored so, the model is. This rests on the
evaluation: a model with one unusable score on the test part is never registered.
"""

from __future__ import annotations

import numpy as np

from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import RequestError, UnusableScoreError
from everloop.serving.request import Rows
from everloop.serving.scorer import Scorer


def score_rows(scorer: Scorer, contract: ServingContract, rows: Rows) -> np.ndarray:
    """The scores of a request's rows.

    Raises
    ------
    RequestError
        ``out_of_range``, naming the first row whose numbers the model has no usable score for.
    UnusableScoreError
        When the fault is the model's, for any of the rows.
    """
    try:
        return scorer.score(rows.num, rows.cat)
    except UnusableScoreError as error:
        wrong = list(error.rows)
        typical = _with_medians(rows.num[wrong], contract)
        if not scorer.usable(typical, rows.cat[wrong]).all():
            raise
        raise _refusal(scorer, contract, rows, wrong[0], typical[0]) from error


def _with_medians(num: np.ndarray, contract: ServingContract) -> np.ndarray:
    """``num`` with each number's median in its place; what is missing, or has no known median, stays."""
    medians = np.array([np.nan if f.median is None else f.median for f in contract.numbers])
    return np.where(np.isnan(num) | np.isnan(medians), num, medians)


def _refusal(scorer: Scorer, contract: ServingContract, rows: Rows, index: int, typical: np.ndarray) -> RequestError:
    """Names the number that alone made the row's score unusable, where there is one."""
    count = len(contract.numbers)
    one_typical = np.tile(rows.num[index], (count, 1))
    np.fill_diagonal(one_typical, typical)
    enough = scorer.usable(one_typical, np.repeat(rows.cat[index : index + 1], count, axis=0))
    remedy = "too far from what the model was trained on for it to give a finite score; send a value as it is measured"
    if not enough.any():
        return RequestError("out_of_range", f"the instance's numbers together are {remedy}", index=index)
    at = int(np.argmax(enough))
    field = contract.numbers[at]
    shown = f"{field.name!r} is {rows.num[index, at]} (in training the median was {field.median}), {remedy}"
    return RequestError("out_of_range", shown, field=field.name, index=index)
