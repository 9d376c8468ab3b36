"""How broken rules are told."""

from __future__ import annotations

from dataclasses import dataclass

MAX_EXAMPLES = 5
"""Of each broken rule."""

MOST_TOLD = 50
"""Violations in an error's text; its attribute has all of them."""


@dataclass(frozen=True)
class Violation:
    """One rule of the data contract that is broken.

    Attributes
    ----------
    code : str
        The rule, e.g. ``out_of_range``.
    column : str
        The column it is about; empty for the rows as a whole.
    count : int
        Rows that break it.
    sentence : str
        What is wrong and what is allowed.
    examples : tuple of str
        A few offending rows and values.
    """

    code: str
    column: str
    count: int
    sentence: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{self.column}: " if self.column else ""
        shown = f" (e.g. {'; '.join(self.examples)})" if self.examples else ""
        return f"{place}{self.sentence} [{self.code}]{shown}"


@dataclass(frozen=True)
class RefusedRow:
    """A row that is not taken.

    Attributes
    ----------
    row : int
        Its place among the data rows, from 1.
    key : str
        Its key, as far as it has one.
    reason : str
        The first rule it breaks.
    """

    row: int
    key: str
    reason: str
