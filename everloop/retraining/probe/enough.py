"""Whether the rows of a span are enough for a probe of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

FEWEST_OF_A_SPAN = 100
"""Rows below which no probe learns from the newest days alone."""

FEWEST_OF_A_CLASS = 10
"""The same, of each class."""


def enough_to_learn_from(declaration: ModelDeclaration, rows: int, ones: int, *, of: int) -> bool:
    """Whether a model can learn from the rows of a span, and they are not all rows.

    Parameters
    ----------
    ones : int
        How many are of the class 1; of a regression it does not count.
    of : int
        How many rows there are in all.
    """
    if rows < FEWEST_OF_A_SPAN or rows == of:
        return False
    return declaration.problem.type != "binary_classification" or min(ones, rows - ones) >= FEWEST_OF_A_CLASS
