"""What the evaluation says of each class, and which classes it takes for which."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassFacts:
    """One class on the test rows.

    Attributes
    ----------
    name : str
    rows, days : int
        Rows whose outcome it was, and on how many days.
    answered : int
        Rows that it was answered for.
    right : int
        Those of them whose outcome it was.
    mean_probability : float
        Beside ``rows``, whether it is taken for too likely over all.
    """

    name: str
    rows: int
    days: int
    answered: int
    right: int
    mean_probability: float

    @property
    def precision(self) -> float | None:
        """Of the rows that it was answered for, the share whose outcome it was."""
        return self.right / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        """Of the rows whose outcome it was, the share that it was answered for."""
        return self.right / self.rows if self.rows else None


@dataclass(frozen=True)
class Multiclass:
    """Several classes on the test rows, by the likeliest one of each row.

    Attributes
    ----------
    classes : tuple of ClassFacts
        In the declared order.
    confusion : tuple of tuple of int
        Rows by outcome, then by answer, both in that order.
    compared_rows : int or None
        Of the class with the fewest of the rows that the champion is compared on; None where there is none to compare.
    """

    classes: tuple[ClassFacts, ...]
    confusion: tuple[tuple[int, ...], ...]
    compared_rows: int | None = None
