"""What recalibration keeps of a window's labelled rows: sums that add up, whoever counts them, in whatever pieces.

Of probabilities these are counts over bins of the raw log odds, by outcome, and the sum of the log odds in each: a
database counts them with ``floor(z / 0.25)`` and ``GROUP BY``. A loss that is taken at the mean of each bin differs
from the loss of the rows by less than a thousandth. Of values they are moments of score and error, and exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

import numpy as np

from everloop.recalibration.calibration import LARGEST_LOG_ODDS
from everloop.recalibration.exceptions import SumsDifferError, SumsFormatError
from everloop.shown import shown
from everloop.typed_json import DocumentRefusedError, read_as

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
    """See :class:`ValueSums`."""

    kind: Literal["value"]
    center: float
    rows: int
    score: float
    score_squares: float
    error: float
    error_squares: float
    product: float


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
            When a score is no probability, or an outcome neither 0 nor 1.
        """
        p, outcome = np.asarray(scores, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
        _same_shape(p, outcome)
        if not ((p >= 0) & (p <= 1)).all():
            raise SumsFormatError("a score is no probability from 0 to 1: only labelled rows with a raw score count")
        if not ((outcome == 0) | (outcome == 1)).all():
            raise SumsFormatError("an outcome is neither 0 nor 1: leave rows without a label out")
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
            raise SumsDifferError("sums of log odds and sums of values do not add up: they are of different models")
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
            index = _bin(place, row)
            if sums.counts[:, index].any():
                raise SumsFormatError(f"bins[{place}] is of bin {shown(row[0])}, as another one is: each stands once")
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


@dataclass(frozen=True)
class ValueSums:
    """Labelled rows of a model that answers values. A row's score counts from ``center``, its error is outcome - score.

    Attributes
    ----------
    center : float
        The same for all windows of a version: near to its scores, so that squares keep their digits.
    rows : int
    score, score_squares, error, error_squares, product : float
        Sums over rows; ``product`` is of score times error.
    """

    center: float
    rows: int = 0
    score: float = 0.0
    score_squares: float = 0.0
    error: float = 0.0
    error_squares: float = 0.0
    product: float = 0.0

    kind = "value"

    @classmethod
    def of_rows(cls, scores: np.ndarray, outcomes: np.ndarray, center: float) -> ValueSums:
        """Sum up rows: raw scores and outcomes, float arrays (rows,).

        Raises
        ------
        SumsFormatError
            When a number is not finite, or too large to be squared.
        """
        score, outcome = np.asarray(scores, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
        _same_shape(score, outcome)
        x, error = score - center, outcome - score
        with np.errstate(over="ignore", invalid="ignore"):
            sums = cls(
                float(center),
                len(x),
                *(float(each.sum()) for each in (x, x * x, error, error * error, x * error)),
            )
        return cls.from_document(sums.to_document())

    def __add__(self, other: ValueSums) -> ValueSums:
        """Of the rows of both.

        Raises
        ------
        SumsDifferError
            When the other is not of values, or counts from another center.
        """
        if not isinstance(other, ValueSums):
            raise SumsDifferError("sums of values and sums of log odds do not add up: they are of different models")
        if other.center != self.center:
            raise SumsDifferError(f"sums counted from {self.center} and from {other.center} do not add up: {REMEDY}")
        added = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "center"}
        return ValueSums(self.center, **added)

    def to_document(self) -> ValueSumsDocument:
        """As JSON."""
        return {
            "kind": "value", "center": self.center, "rows": self.rows, "score": self.score,
            "score_squares": self.score_squares, "error": self.error, "error_squares": self.error_squares,
            "product": self.product,
        }  # fmt: skip

    @classmethod
    def from_document(cls, document: object) -> ValueSums:
        """Read from JSON.

        Raises
        ------
        SumsFormatError
            Naming what is wrong.
        """
        found = _read(ValueSumsDocument, document)
        numbers = {name: value for name, value in found.items() if name != "kind"}
        for name, value in numbers.items():
            if not (isinstance(value, int | float) and abs(value) <= LARGEST_SUM):
                raise SumsFormatError(f"{name} is {shown(value)}, not a number within {LARGEST_SUM:g}: {REMEDY}")
        if found["rows"] < 0 or min(found["score_squares"], found["error_squares"]) < 0:
            raise SumsFormatError(f"rows and sums of squares are not below 0: {REMEDY}")
        return cls(**{name: value if name == "rows" else float(value) for name, value in numbers.items()})  # type: ignore[arg-type]  # the document's names are the fields


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
    try:
        return read_as(kind, document, "sums of a window", REMEDY)
    except DocumentRefusedError as error:
        raise SumsFormatError(str(error)) from error


def _same_shape(scores: np.ndarray, outcomes: np.ndarray) -> None:
    if scores.ndim != 1 or scores.shape != outcomes.shape:
        raise SumsFormatError(f"scores of shape {scores.shape} and outcomes of {outcomes.shape}: one of each a row")


def _bin(place: int, row: list[float]) -> int:
    if len(row) != 5 or row[0] not in range(-LARGEST_BIN - 1, LARGEST_BIN + 1):
        wanted = f"[bin from {-LARGEST_BIN - 1} to {LARGEST_BIN}, rows, sum, rows, sum]"
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
