"""What recalibration keeps of a window's labelled rows: sums that add up, whoever counts them, in whatever pieces.

Of probabilities these are counts over bins of the raw log odds, by outcome, and the sum of the log odds in each: a
database counts them with ``floor(z / 0.25)`` and ``GROUP BY``. A loss that is taken at the mean of each bin differs
from the loss of the rows by less than a thousandth. Of values they are moments of score and error over bins of the
score. A loss is exact, but in the bin in which the limit of a line begins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np

from everloop.recalibration.calibration import LARGEST_LOG_ODDS
from everloop.recalibration.exceptions import SumsDifferError, SumsFormatError
from everloop.shown import shown
from everloop.typed_json import read_as

BIN_WIDTH = 0.25
"""Of the raw log odds. Two bins on, odds have risen by two thirds."""

LARGEST_BIN = 48
"""Bins run from ``-LARGEST_BIN - 1`` to ``LARGEST_BIN``; the outermost two hold all that lies beyond 12."""

LARGEST_SUM = 1e200
"""Above this, what is worked out of sums would not be finite."""

BINS = 2 * LARGEST_BIN + 2
REMEDY = "count the window's rows again"

Lines = np.ndarray
"""Straight lines ``level + slope * score``, one a row: float array (lines, 2)."""


class LogOddsSumsDocument(TypedDict):
    """Each bin that has rows: ``[bin, rows of outcome 0, sum of their log odds, rows of outcome 1, sum]``."""

    kind: Literal["log_odds"]
    bins: list[list[float]]


class ValueSumsDocument(TypedDict):
    """See :class:`ValueSums`. Each bin that has rows: ``[bin, rows, score, score squares, error, error squares,
    product]``.
    """

    kind: Literal["value"]
    center: float
    width: float
    bins: list[list[float]]


SumsDocument = LogOddsSumsDocument | ValueSumsDocument


@dataclass(frozen=True, eq=False)
class LogOddsSums:
    """Labelled rows of a model that answers probabilities.

    Attributes
    ----------
    counts : float array (2, BINS)
        Rows of outcome 0 and of outcome 1 in each bin.
    log_odds : float array (2, BINS)
        The sum of their raw log odds, which are limited to ``LARGEST_LOG_ODDS`` of either sign.
    """

    counts: np.ndarray
    log_odds: np.ndarray

    kind = "log_odds"

    @property
    def rows(self) -> int:
        """How many rows they are of."""
        return int(self.counts.sum())

    @classmethod
    def of_rows(cls, scores: np.ndarray, outcomes: np.ndarray) -> LogOddsSums:
        """Count rows.

        Parameters
        ----------
        scores : float array (rows,)
            Raw probabilities, from 0 to 1.
        outcomes : array (rows,)
            0 or 1.

        Raises
        ------
        SumsFormatError
            When a score is not a probability, or an outcome neither 0 nor 1.
        """
        p, outcome = np.asarray(scores, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
        _same_shape(p, outcome)
        if not ((p >= 0) & (p <= 1)).all():
            raise SumsFormatError("a score is not a probability from 0 to 1: use only labelled rows with a raw score")
        if not ((outcome == 0) | (outcome == 1)).all():
            raise SumsFormatError("an outcome is neither 0 nor 1: leave out rows without a label")
        with np.errstate(divide="ignore"):
            z = np.clip(np.log(p) - np.log1p(-p), -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
        index = np.clip(np.floor(z / BIN_WIDTH), -LARGEST_BIN - 1, LARGEST_BIN).astype(int) + LARGEST_BIN + 1
        cell = index + BINS * outcome.astype(int)
        counts = np.bincount(cell, minlength=2 * BINS).astype(float).reshape(2, BINS)
        return cls(counts, np.bincount(cell, z, minlength=2 * BINS).reshape(2, BINS))

    @classmethod
    def none(cls) -> LogOddsSums:
        """Of no rows."""
        return cls(np.zeros((2, BINS)), np.zeros((2, BINS)))

    def __add__(self, other: LogOddsSums) -> LogOddsSums:
        """Of the rows of both.

        Raises
        ------
        SumsDifferError
            When the other is not of log odds.
        """
        if not isinstance(other, LogOddsSums):
            raise SumsDifferError("sums of log odds and sums of values can't be added: they belong to different models")
        return LogOddsSums(self.counts + other.counts, self.log_odds + other.log_odds)

    def to_document(self) -> LogOddsSumsDocument:
        """As JSON."""
        used = np.flatnonzero(self.counts.sum(0))
        return {
            "kind": "log_odds",
            "bins": [
                [int(i) - LARGEST_BIN - 1]
                + [number for c in (0, 1) for number in (int(self.counts[c, i]), float(self.log_odds[c, i]))]
                for i in used
            ],
        }

    @classmethod
    def from_document(cls, document: object) -> LogOddsSums:
        """Read from JSON.

        Raises
        ------
        SumsFormatError
            Naming what is wrong.
        """
        found = _read(LogOddsSumsDocument, document)
        sums = cls.none()
        for place, row in enumerate(found["bins"]):
            index = _bin(place, row, "[bin from {} to {}, rows, sum, rows, sum]", 5)
            if sums.counts[:, index].any():
                raise SumsFormatError(f"bins[{place}] repeats the bin {shown(row[0])}: each bin must occur once")
            for c in (0, 1):
                count, total = row[1 + 2 * c : 3 + 2 * c]
                _check_cell(place, index, count, total)
                sums.counts[c, index], sums.log_odds[c, index] = count, total
        return sums

    def cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bins by outcome that have rows: mean log odds, outcome and rows of each, float arrays (cells,)."""
        used = self.counts > 0
        outcome = np.broadcast_to(np.array([[0.0], [1.0]]), used.shape)[used]
        return self.log_odds[used] / self.counts[used], outcome, self.counts[used]

    def raw_cells(self) -> np.ndarray:
        """The mean log odds that the model itself gave the rows of each cell, float array (cells,)."""
        return self.cells()[0]


@dataclass(frozen=True)
class Scale:
    """What a regression's scores are counted from, and over bins of which width."""

    center: float = 0.0
    width: float = 1.0


UNSCALED = Scale()
"""Of a classification, whose log odds have a scale of their own."""


@dataclass(frozen=True, eq=False)
class ValueSums:
    """Labelled rows of a model that answers values. A row's score counts from ``center``, its error is outcome - score.

    Attributes
    ----------
    center : float
        The same for all windows of a version: near to its scores, so that squares keep their digits.
    width : float
        Of a bin: a share of how far the scores spread, so that limits begin in few of them.
    moments : float array (6, BINS)
        Rows, and sums over the rows of each bin: of scores, of their squares, of errors, of their squares, of score
        times error.
    """

    center: float
    width: float
    moments: np.ndarray

    kind = "value"

    @property
    def rows(self) -> int:
        """How many rows they are of."""
        return int(self.moments[0].sum())

    @property
    def score(self) -> float:
        """The sum of the scores, counted from the center."""
        return float(self.moments[1].sum())

    @property
    def score_squares(self) -> float:
        """The sum of their squares."""
        return float(self.moments[2].sum())

    @property
    def error(self) -> float:
        """The sum of the errors."""
        return float(self.moments[3].sum())

    @property
    def error_squares(self) -> float:
        """The sum of their squares."""
        return float(self.moments[4].sum())

    @property
    def product(self) -> float:
        """The sum of score times error."""
        return float(self.moments[5].sum())

    @classmethod
    def of_rows(cls, scores: np.ndarray, outcomes: np.ndarray, center: float, width: float = 1.0) -> ValueSums:
        """Sum up rows: raw scores and outcomes, float arrays (rows,).

        Raises
        ------
        SumsFormatError
            When a number is not finite, or too large to be squared.
        """
        score, outcome = np.asarray(scores, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
        _same_shape(score, outcome)
        if not (np.isfinite(score).all() and np.isfinite(outcome).all()):
            raise SumsFormatError("a score or an outcome is not a finite number: leave out rows without a label")
        with np.errstate(over="ignore", invalid="ignore"):
            x, error = score - center, outcome - score
            index = np.clip(np.floor(x / width), -LARGEST_BIN - 1, LARGEST_BIN).astype(int) + LARGEST_BIN + 1
            each = (np.ones_like(x), x, x * x, error, error * error, x * error)
            moments = np.array([np.bincount(index, values, minlength=BINS) for values in each])
        return cls.from_document(cls(float(center), float(width), moments).to_document())

    @classmethod
    def none(cls, center: float, width: float = 1.0) -> ValueSums:
        """Of no rows."""
        return cls(center, width, np.zeros((6, BINS)))

    def __add__(self, other: ValueSums) -> ValueSums:
        """Of the rows of both.

        Raises
        ------
        SumsDifferError
            When the other is not of values, or counts from another center or over other bins.
        """
        if not isinstance(other, ValueSums):
            raise SumsDifferError("sums of values and sums of log odds can't be added: they belong to different models")
        if (other.center, other.width) != (self.center, self.width):
            raise SumsDifferError(
                f"sums counted from {self.center} over bins of {self.width} and from {other.center} over bins of"
                f" {other.width} can't be added: {REMEDY}"
            )
        return ValueSums(self.center, self.width, self.moments + other.moments)

    def to_document(self) -> ValueSumsDocument:
        """As JSON."""
        used = np.flatnonzero(self.moments[0])
        bins = [[int(i) - LARGEST_BIN - 1, int(self.moments[0, i]), *self.moments[1:, i].tolist()] for i in used]
        return {"kind": "value", "center": self.center, "width": self.width, "bins": bins}

    @classmethod
    def from_document(cls, document: object) -> ValueSums:
        """Read from JSON.

        Raises
        ------
        SumsFormatError
            Naming what is wrong.
        """
        found = _read(ValueSumsDocument, document)
        if not (abs(found["center"]) <= LARGEST_SUM and 0 < found["width"] <= LARGEST_SUM):
            raise SumsFormatError(
                f"center {shown(found['center'])} and width {shown(found['width'])} are not numbers within"
                f" {LARGEST_SUM:g} with a width above 0: {REMEDY}"
            )
        sums = cls.none(float(found["center"]), float(found["width"]))
        for place, row in enumerate(found["bins"]):
            index = _bin(place, row, "[bin from {} to {}, rows, score, squares, error, squares, product]", 7)
            if sums.moments[0, index]:
                raise SumsFormatError(f"bins[{place}] repeats the bin {shown(row[0])}: each bin must occur once")
            if not all(abs(value) <= LARGEST_SUM for value in row[1:]):
                raise SumsFormatError(f"bins[{place}] is {shown(row)}, not numbers within {LARGEST_SUM:g}: {REMEDY}")
            if row[1] < 1 or row[1] != math.floor(row[1]) or min(row[3], row[5]) < 0:
                raise SumsFormatError(
                    f"bins[{place}] is {shown(row)}: rows must be whole numbers, and sums of squares at least 0:"
                    f" {REMEDY}"
                )
            sums.moments[:, index] = row[1:]
        return sums

    def cells(self) -> np.ndarray:
        """The moments of the bins that have rows, float array (6, cells)."""
        found: np.ndarray = self.moments[:, self.moments[0] > 0]
        return found

    def raw_cells(self) -> np.ndarray:
        """Level and slope of what the model itself said over the score of each cell's rows, float array (2, cells);
        both counted from the center.
        """
        cells = int((self.moments[0] > 0).sum())
        return np.stack([np.zeros(cells), np.ones(cells)])


Sums = LogOddsSums | ValueSums


def read_sums(document: object) -> Sums:
    """The sums that were written as ``document``, of either kind.

    Raises
    ------
    SumsFormatError
        Naming what is wrong.
    """
    kind = document.get("kind") if isinstance(document, Mapping) else None
    return ValueSums.from_document(document) if kind == "value" else LogOddsSums.from_document(document)


def _read(kind: Any, document: object) -> Any:
    return read_as(kind, document, "sums of a window", REMEDY, refusal=SumsFormatError)


def _same_shape(scores: np.ndarray, outcomes: np.ndarray) -> None:
    if scores.ndim != 1 or scores.shape != outcomes.shape:
        raise SumsFormatError(
            f"scores of shape {scores.shape} and outcomes of {outcomes.shape}: one score and one outcome are"
            " needed for each row"
        )


def _bin(place: int, row: list[float], wanted: str, length: int) -> int:
    if len(row) != length or row[0] not in range(-LARGEST_BIN - 1, LARGEST_BIN + 1):
        wanted = wanted.format(-LARGEST_BIN - 1, LARGEST_BIN)
        raise SumsFormatError(f"bins[{place}] is {shown(row)}, not {wanted}: {REMEDY}")
    return int(row[0]) + LARGEST_BIN + 1


def _check_cell(place: int, index: int, count: float, total: float) -> None:
    """Rows are whole, and their mean lies in the bin (but for the last digits)."""
    low = -LARGEST_LOG_ODDS if index == 0 else (index - LARGEST_BIN - 1) * BIN_WIDTH
    high = LARGEST_LOG_ODDS if index == BINS - 1 else (index - LARGEST_BIN) * BIN_WIDTH
    if not (0 <= count <= LARGEST_SUM and count == math.floor(count)):
        raise SumsFormatError(f"bins[{place}] counts {shown(count)} rows: {REMEDY}")
    if not count * low - 1e-6 * (count + 1) <= total <= count * high + 1e-6 * (count + 1):
        raise SumsFormatError(f"the log odds of bins[{place}] sum to {shown(total)}, outside of the bin: {REMEDY}")
