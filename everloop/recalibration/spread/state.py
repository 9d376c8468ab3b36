"""What was learned of the spread of one version's intervals up to a window, as a small JSON document.

Numbers are rounded when a state is made, so a state and its document are the same thing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np

from everloop.recalibration.declared import LONGEST_DELAY
from everloop.recalibration.exceptions import StateFormatError
from everloop.recalibration.interval import LEAST_COVERAGE, MOST_COVERAGE
from everloop.recalibration.spread.sums import BINS
from everloop.recalibration.state import REMEDY, SHRINKAGES
from everloop.recalibration.written import LARGEST_FACTOR
from everloop.shown import shown
from everloop.typed_json import read_as

FORMAT: Literal[1] = 1

HALF_LIVES = (1.5, 5.0, 15.0, math.inf)
"""Labelled windows after which a candidate's rows count half."""

CANDIDATES = len(HALF_LIVES) * len(SHRINKAGES) + 1
"""Each whole and half-way, and the one that leaves the width alone."""

TAIL_DIGITS = 6


@dataclass(frozen=True, eq=False)
class SpreadForecast:
    """What was made for a window whose labels have not come yet.

    Attributes
    ----------
    window : int
        The window it was made for.
    factors : float array (half-lives, 2)
        Of each candidate, below and above.
    weights : float array (CANDIDATES,)
        Of the mixture that is compared with leaving alone.
    leave : float
        The log odds of leaving alone.
    """

    window: int
    factors: np.ndarray
    weights: np.ndarray
    leave: float


@dataclass(frozen=True, eq=False)
class SpreadState:
    """What was learned.

    Attributes
    ----------
    coverage : float
        That of the interval.
    delay : int
        Windows between the newest labelled one and the one that new factors are made for.
    window : int or None
        The newest window that was learned, labelled or not.
    labelled, rows : int
        Labelled windows and rows so far.
    tails : float array (half-lives, 2, BINS)
        Rows by side and distance, faded.
    weights : float array (CANDIDATES,)
    leave : tuple of float, delay + 1 of them
        The log odds of leaving alone. Windows take turns, as those of level and slope do.
    forecasts : tuple of SpreadForecast
        For the windows that are not labelled yet, oldest first; and the newest before them.
    """

    coverage: float
    delay: int
    window: int | None
    labelled: int
    rows: int
    tails: np.ndarray
    weights: np.ndarray
    leave: tuple[float, ...]
    forecasts: tuple[SpreadForecast, ...]

    def to_document(self) -> SpreadStateDocument:
        """As JSON."""
        return {
            "format": FORMAT,
            "coverage": self.coverage,
            "delay": self.delay,
            "window": self.window,
            "labelled": self.labelled,
            "rows": self.rows,
            "tails": self.tails.tolist(),
            "weights": self.weights.tolist(),
            "leave": list(self.leave),
            "forecasts": [
                {"window": f.window, "factors": f.factors.tolist(), "weights": f.weights.tolist(), "leave": f.leave}
                for f in self.forecasts
            ],
        }

    @classmethod
    def from_document(cls, document: object) -> SpreadState:
        """Read from JSON.

        Raises
        ------
        StateFormatError
            Naming what is wrong.
        """
        found = read_as(
            SpreadStateDocument, document, "state of a spread's recalibration", REMEDY, refusal=StateFormatError
        )
        delay, coverage = found["delay"], found["coverage"]
        if not 0 <= delay <= LONGEST_DELAY:
            raise StateFormatError(f"delay is {delay}, not from 0 to {LONGEST_DELAY}; {REMEDY}")
        if not LEAST_COVERAGE <= coverage <= MOST_COVERAGE:
            raise StateFormatError(f"coverage is {coverage}, not from {LEAST_COVERAGE} to {MOST_COVERAGE}; {REMEDY}")
        return cls(
            coverage=coverage,
            delay=delay,
            window=found["window"],
            labelled=found["labelled"],
            rows=found["rows"],
            tails=_table("tails", found["tails"], (len(HALF_LIVES), 2, BINS), 0.0),
            weights=_table("weights", found["weights"], (CANDIDATES,), 0.0),
            leave=tuple(_table("leave", found["leave"], (delay + 1,)).tolist()),
            forecasts=tuple(
                SpreadForecast(
                    each["window"],
                    _table(
                        f"forecasts[{i}].factors",
                        each["factors"],
                        (len(HALF_LIVES), 2),
                        1 / LARGEST_FACTOR,
                        LARGEST_FACTOR,
                    ),
                    _table(f"forecasts[{i}].weights", each["weights"], (CANDIDATES,), 0.0),
                    each["leave"],
                )
                for i, each in enumerate(found["forecasts"])
            ),
        )


def _table(
    name: str, numbers: Any, shape: tuple[int, ...], least: float = -math.inf, most: float = math.inf
) -> np.ndarray:
    try:
        found = np.array(numbers, dtype=float)
    except (TypeError, ValueError) as error:
        raise StateFormatError(f"{name} is {shown(numbers)}, not numbers; {REMEDY}") from error
    if found.shape != shape or not np.isfinite(found).all() or (found < least).any() or (found > most).any():
        raise StateFormatError(f"{name} is {shown(numbers)}, not numbers of shape {shape} in their limits; {REMEDY}")
    return found


class SpreadForecastDocument(TypedDict):
    """See :class:`SpreadForecast`."""

    window: int
    factors: list[list[float]]
    weights: list[float]
    leave: float


class SpreadStateDocument(TypedDict):
    """See :class:`SpreadState`."""

    format: Literal[1]
    coverage: float
    delay: int
    window: int | None
    labelled: int
    rows: int
    tails: list[list[list[float]]]
    weights: list[float]
    leave: list[float]
    forecasts: list[SpreadForecastDocument]
