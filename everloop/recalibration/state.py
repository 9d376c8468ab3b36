"""What was learned of one version up to a window, as a small JSON document: no rows, no old windows.

Numbers are rounded to nine significant digits when a state is made, those of forecasts to seven, so a state and its
document are the same thing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np

from everloop.recalibration.calibration import SIGNIFICANT_DIGITS, Kind
from everloop.recalibration.declared import LONGEST_DELAY
from everloop.recalibration.exceptions import StateFormatError
from everloop.recalibration.fit import Posterior
from everloop.recalibration.sums import BIN_WIDTH
from everloop.shown import shown
from everloop.typed_json import read_as

FORMAT: Literal[1] = 1

HALF_LIVES = (1.5, 3.0, 6.0, 12.0, 25.0, 50.0, math.inf)
"""Labelled windows after which a line's rows count half."""

GROUP_HALF_LIVES = (3.0, 12.0, 50.0)
"""Of a group's own lines, which are over what is served to all: what turns fast is mostly in that already."""

SHRINKAGES = (1.0, 0.5)
"""What is left of a line's distance from leaving the score alone."""

FORECAST_DIGITS = 7

REMEDY = "start again with nothing learned, or take the state of another window"


@dataclass(frozen=True)
class Limits:
    """What a calibration may do to a score.

    Attributes
    ----------
    max_shift : float
        The most a score is moved: in log odds, or in the value's own unit.
    least_slope, most_slope : float
        Of every line; above 0, so that the order of scores never turns.
    """

    max_shift: float
    least_slope: float = 0.1
    most_slope: float = 10.0


@dataclass(frozen=True, eq=False)
class Forecast:
    """What was made for a window whose labels have not come yet.

    Attributes
    ----------
    window : int
        The window it was made for.
    lines : float array (half-lives, 2)
        Level and slope over the raw score of each line as it was known then.
    weights : float array (lines of the mixture,)
        Of the mixture that is compared with leaving alone; see :func:`everloop.recalibration.learner.mixed_lines`.
    leave : float
        The log odds of leaving alone.
    """

    window: int
    lines: np.ndarray
    weights: np.ndarray
    leave: float


@dataclass(frozen=True, eq=False)
class State:
    """What was learned of one version.

    Attributes
    ----------
    kind : {"log_odds", "value"}
        Of a classification or of a regression.
    delay : int
        Windows between the newest labelled one and the one a new calibration is made for: 0 when a window's labels are
        complete before the next one begins.
    limits : Limits
    window : int or None
        The newest window that was learned, labelled or not. Windows are numbered one after another.
    labelled, rows : int
        Labelled windows and rows so far.
    posterior : Posterior
        Of one line for each half-life.
    weights : float array (lines of the mixture,)
    leave : tuple of float, delay + 1 of them
        The log odds of leaving alone. Windows take turns, so that each has heard of all its own predecessors.
    forecasts : tuple of Forecast
        For the windows that are not labelled yet, oldest first; and the newest before them, which is still served.
    center, spread : float
        Of the scores of a regression: where they are counted from, and their unit. 0 and 1 of a classification.
    noise : float
        The usual variance of a regression's outcomes around a window's own line; 0 while there was none.
    half_lives : tuple of float
        Of the lines, in labelled windows. It is no part of the document: who reads one knows what it is of.
    """

    kind: Kind
    delay: int
    limits: Limits
    window: int | None
    labelled: int
    rows: int
    posterior: Posterior
    weights: np.ndarray
    leave: tuple[float, ...]
    forecasts: tuple[Forecast, ...]
    center: float = 0.0
    spread: float = 1.0
    noise: float = 0.0
    half_lives: tuple[float, ...] = HALF_LIVES

    @property
    def bin_width(self) -> float:
        """Over bins of which width a regression's sums are counted."""
        return self.spread * BIN_WIDTH

    def to_document(self) -> StateDocument:
        """As JSON."""
        mean, precision = self.posterior.mean, self.posterior.precision
        return {
            "format": FORMAT,
            "kind": self.kind,
            "delay": self.delay,
            "limits": {
                "max_shift": self.limits.max_shift,
                "least_slope": self.limits.least_slope,
                "most_slope": self.limits.most_slope,
            },
            "window": self.window,
            "labelled": self.labelled,
            "rows": self.rows,
            "center": self.center,
            "spread": self.spread,
            "noise": self.noise,
            "posterior": [
                [float(m[0]), float(m[1]), float(p[0, 0]), float(p[0, 1]), float(p[1, 1])]
                for m, p in zip(mean, precision, strict=True)
            ],
            "weights": [float(weight) for weight in self.weights],
            "leave": list(self.leave),
            "forecasts": [
                {
                    "window": f.window,
                    "lines": [[float(number) for number in line] for line in f.lines],
                    "weights": [float(weight) for weight in f.weights],
                    "leave": f.leave,
                }
                for f in self.forecasts
            ],
        }

    @classmethod
    def from_document(cls, document: object, half_lives: tuple[float, ...] = HALF_LIVES) -> State:
        """Read from JSON; ``half_lives`` are those of its lines.

        Raises
        ------
        StateFormatError
            Naming what is wrong.
        """
        found = read_as(StateDocument, document, "state of a recalibration", REMEDY, refusal=StateFormatError)
        lines, mixed = len(half_lives), len(half_lives) * len(SHRINKAGES) + 1
        if not 0 <= found["delay"] <= LONGEST_DELAY:
            raise StateFormatError(f"delay is {found['delay']}, not from 0 to {LONGEST_DELAY}; {REMEDY}")
        rows = _table("posterior", found["posterior"], (lines, 5))
        return cls(
            kind=found["kind"],
            delay=found["delay"],
            limits=Limits(**found["limits"]),
            window=found["window"],
            labelled=found["labelled"],
            rows=found["rows"],
            posterior=Posterior(rows[:, :2], rows[:, [2, 3, 3, 4]].reshape(lines, 2, 2)),
            weights=_table("weights", found["weights"], (mixed,)),
            leave=tuple(_table("leave", found["leave"], (found["delay"] + 1,)).tolist()),
            forecasts=tuple(
                Forecast(
                    each["window"],
                    _table(f"forecasts[{i}].lines", each["lines"], (lines, 2)),
                    _table(f"forecasts[{i}].weights", each["weights"], (mixed,)),
                    each["leave"],
                )
                for i, each in enumerate(found["forecasts"])
            ),
            center=found["center"],
            spread=found["spread"],
            noise=found["noise"],
            half_lives=half_lives,
        )


def rounded(numbers: np.ndarray, digits: int = SIGNIFICANT_DIGITS) -> np.ndarray:
    """To so many significant digits, as they stand in a document."""
    # Python's numbers are written in half the time of numpy's, and by a ready format in less.
    form = f"%.{digits}g"
    flat = [float(form % number) for number in np.asarray(numbers, dtype=float).ravel().tolist()]
    return np.array(flat).reshape(np.shape(numbers))


def _table(name: str, numbers: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        found = np.array(numbers, dtype=float)
    except (TypeError, ValueError) as error:
        raise StateFormatError(f"{name} is {shown(numbers)}, not numbers; {REMEDY}") from error
    if found.shape != shape or not np.isfinite(found).all():
        raise StateFormatError(f"{name} is {shown(numbers)}, not finite numbers of shape {shape}; {REMEDY}")
    return found


class LimitsDocument(TypedDict):
    """See :class:`Limits`."""

    max_shift: float
    least_slope: float
    most_slope: float


class ForecastDocument(TypedDict):
    """See :class:`Forecast`."""

    window: int
    lines: list[list[float]]
    weights: list[float]
    leave: float


class StateDocument(TypedDict):
    """See :class:`State`; ``posterior`` has level, slope and the three numbers of the precision of each line."""

    format: Literal[1]
    kind: Kind
    delay: int
    limits: LimitsDocument
    window: int | None
    labelled: int
    rows: int
    center: float
    spread: float
    noise: float
    posterior: list[list[float]]
    weights: list[float]
    leave: list[float]
    forecasts: list[ForecastDocument]
