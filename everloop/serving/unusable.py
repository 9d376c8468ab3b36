"""Whose fault it is when a model gives a row no score that can be answered: the row's, or the model's.

A contract without limits admits any finite number, and float64 overflows: such a row is the caller's to fix, and says
nothing about the version that answers. What tells the two apart is the same row with the training medians in the place
of its numbers. Scored so, the row's numbers were at fault; not even scored so, the model is. This rests on training and
evaluation: a model with an unusable score on the test part, or for a probe of what its contract admits, is never
registered.
"""

from __future__ import annotations

import numpy as np

from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.exceptions import NoScoreError, RequestError, UnusableScoreError
from everloop.serving.rows import Rows
from everloop.serving.scorer import Scorer


def score_rows(scorer: Scorer, contract: ServingContract, rows: Rows) -> np.ndarray:
    """The scores of a request's rows.

    Raises
    ------
    RequestError
        ``out_of_range``, naming the first row whose numbers the model has no usable score for.
    NoScoreError
        When the fault is the model's, for any of the rows; naming the first of these.
    """
    try:
        return scorer.score(rows.num, rows.cat)
    except UnusableScoreError as error:
        wrong = list(error.rows)
        usable = scorer.usable(_with_medians(rows.num[wrong], contract), rows.cat[wrong])
        if not usable.all():
            index = wrong[int(np.argmin(usable))]
            raise _no_score(scorer, contract, rows, index, error) from error
        raise _refusal(scorer, contract, rows, wrong[0]) from error


def _with_medians(num: np.ndarray, contract: ServingContract) -> np.ndarray:
    """``num`` with each number's median in its place; what is missing, or has no known median, stays."""
    medians = _medians(contract)
    return np.where(np.isnan(num) | np.isnan(medians), num, medians)


def _medians(contract: ServingContract) -> np.ndarray:
    return np.array([np.nan if f.median is None else f.median for f in contract.numbers])


def _refusal(scorer: Scorer, contract: ServingContract, rows: Rows, index: int) -> RequestError:
    """Names the number that alone made the row's score unusable, where there is one."""
    typical = _with_medians(rows.num[index : index + 1], contract)[0]
    at = _alone(scorer, rows, index, typical, rows.cat[index])
    remedy = "too far from the training values to get a finite score; check the value"
    if at is None:
        return RequestError("out_of_range", f"all numbers of the instance together are {remedy}", index=index)
    field = contract.numbers[at]
    shown = f"{field.name!r} is {rows.num[index, at]} (in training the median was {field.median}), {remedy}"
    return RequestError("out_of_range", shown, field=field.name, index=index)


def _no_score(
    scorer: Scorer, contract: ServingContract, rows: Rows, index: int, error: UnusableScoreError
) -> NoScoreError:
    """Names the feature that alone leaves the model without a score, where there is one."""
    known = [f.values[0] if f.values else "" for f in contract.categories]
    at = _alone(scorer, rows, index, _medians(contract), np.array(known, dtype=object))
    fields: tuple[NumberField | CategoryField, ...] = (*contract.numbers, *contract.categories)
    field = None if at is None else fields[at]
    found = "" if field is None else f", where {_described(field, contract, rows, index)}, as its contract allows"
    return NoScoreError(
        f"the model gives {error.scores[index]} for instance {index}{found}. The request is right, and the model"
        " is at fault: its owner has been notified. Send the other instances again without that one",
        field=None if field is None else field.name,
        index=index,
        rows=len(error.rows),
    )


def _described(field: object, contract: ServingContract, rows: Rows, index: int) -> str:
    if isinstance(field, NumberField):
        value = rows.num[index, contract.numbers.index(field)]
        return f"{field.name!r} is {'missing' if np.isnan(value) else value}"
    at = [f is field for f in contract.categories].index(True)
    text = rows.cat[index, at]
    return f"{contract.categories[at].name!r} is {repr(text) if text else 'missing'}"


def _alone(scorer: Scorer, rows: Rows, index: int, typical: np.ndarray, known: np.ndarray) -> int | None:
    """The first column (numbers, then categories) whose typical value alone gives the row a usable score."""
    numbers, categories = rows.num.shape[1], rows.cat.shape[1]
    count = numbers + categories
    num = np.repeat(rows.num[index : index + 1], count, axis=0)
    cat = np.repeat(rows.cat[index : index + 1], count, axis=0)
    num[range(numbers), range(numbers)] = typical
    cat[range(numbers, count), range(categories)] = known
    enough = scorer.usable(num, cat)
    return int(np.argmax(enough)) if enough.any() else None
