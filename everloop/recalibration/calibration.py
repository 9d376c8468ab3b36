"""A calibration: a fixed function from what a model said (the raw score) to what its caller gets (the served score).

The request path imports this, and so do functions whose packages have no numpy: that is imported where scores are.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from everloop.json_text import read_json
from everloop.recalibration.exceptions import CalibrationFormatError, ScoreOutOfRangeError
from everloop.shown import shown

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["log_odds", "value"]
"""What is calibrated: the log odds of a probability, or a predicted value."""

MOST_PARTS = 32
"""Parts of one calibration."""

LONGEST_TEXT = 2_000
"""Characters of a calibration's text. All variables of a Lambda function together may have 4 KB."""

SIGNIFICANT_DIGITS = 9
"""Digits a calibration's numbers have, so that its text is short and says all of it."""

LARGEST_NUMBER = 1e100
"""Above this, sums of two numbers would not be finite."""

LARGEST_LOG_ODDS = 30.0
"""Log odds beyond this count as this: nearer to 1 than 9e-14 a probability has hardly a digit left."""

_WEIGHTS_MISS = 1e-7
"""How far the weights' sum may lie from 1: rounded numbers do not sum exactly."""

_SATURATED = 500.0
"""Log odds whose exponential is still a number, and whose probability is 0 or 1 to all digits."""


@dataclass(frozen=True)
class Part:
    """One straight line of the mixture: ``level + slope * score``, where the score is log odds or a value.

    Attributes
    ----------
    weight : float
        Its share of the mixture, above 0.
    level : float
        What is added.
    slope : float
        What the score is multiplied by, above 0: the order of scores never turns.
    """

    weight: float
    level: float
    slope: float


@dataclass(frozen=True)
class Calibration:
    """A mixture of straight lines, which moves no score further than ``max_shift``: no line does, so no mixture either.

    Of ``log_odds``, the mixture is one of probabilities: the weighted mean of ``1 / (1 + exp(-(level + slope * z)))``
    with ``z`` the log odds of the raw score. Of ``value``, it is the weighted mean of ``level + slope * s``. Weights
    count in proportion. All numbers are rounded to nine significant digits when a calibration is made.

    Attributes
    ----------
    kind : {"log_odds", "value"}
        What the raw scores are: probabilities, or values.
    parts : tuple of Part
        1 to 32 of them, whose weights sum to 1.
    max_shift : float
        The most a score is moved: in log odds, or in the value's own unit.

    Raises
    ------
    CalibrationFormatError
        When a number is none that it may have.
    """

    kind: Kind
    parts: tuple[Part, ...]
    max_shift: float

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise CalibrationFormatError(f"kind is {shown(self.kind)}, not {' or '.join(map(repr, get_args(Kind)))}")
        if not 1 <= len(self.parts) <= MOST_PARTS:
            raise CalibrationFormatError(f"it has {len(self.parts)} parts, not 1 to {MOST_PARTS}")
        parts = tuple(_checked_part(index, part) for index, part in enumerate(self.parts))
        total = math.fsum(part.weight for part in parts)
        if abs(total - 1) > _WEIGHTS_MISS:
            raise CalibrationFormatError(f"the weights of its parts sum to {total}, not to 1")
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "max_shift", _number("max_shift", self.max_shift, above=0.0))

    @cached_property
    def is_identity(self) -> bool:
        """Whether every score is served as the model said it."""
        return all(part.level == 0 and part.slope == 1 for part in self.parts)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """The scores to serve for raw ones.

        Each score is moved by itself: what stands beside it in the array makes no difference. The order of scores is
        kept; two that differ by less than rounding may be served as equal, or change places by as much. The identity
        gives every score back as it is; any other calibration serves probabilities above 0 and below 1, and takes those
        beyond ``LARGEST_LOG_ODDS`` as if they stood there.

        Parameters
        ----------
        scores : float array, any shape
            Probabilities from 0 to 1, or finite values.

        Returns
        -------
        float64 array of the same shape

        Raises
        ------
        ScoreOutOfRangeError
            When a score is none of these.
        """
        import numpy as np

        raw = np.asarray(scores, dtype=np.float64)
        self._check(raw)
        return raw.copy() if self.is_identity else self._function(raw)

    @cached_property
    def sha256(self) -> str:
        """The hash of its text, hexadecimal."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    def to_text(self) -> str:
        """The one JSON text of this calibration, which has at most ``LONGEST_TEXT`` characters."""
        parts = ",".join(f"[{_digits(p.weight)},{_digits(p.level)},{_digits(p.slope)}]" for p in self.parts)
        return f'{{"kind":"{self.kind}","max_shift":{_digits(self.max_shift)},"parts":[{parts}]}}'

    @classmethod
    def from_text(cls, text: str) -> Calibration:
        """The calibration that was written as ``text``.

        Raises
        ------
        CalibrationFormatError
            When no calibration writes exactly this text.
        """
        if len(text) > LONGEST_TEXT:
            raise CalibrationFormatError(f"a calibration has at most {LONGEST_TEXT:,} characters, not {len(text):,}")
        try:
            document = read_json(text)
        except ValueError as error:
            raise CalibrationFormatError(f"a calibration is JSON, not {shown(text)}: {error}") from error
        calibration = cls._from_document(document)
        if calibration.to_text() != text:
            raise CalibrationFormatError(
                f"a calibration is written as {shown(calibration.to_text())}, not as {shown(text)}"
            )
        return calibration

    @classmethod
    def _from_document(cls, document: Any) -> Calibration:
        if not isinstance(document, dict) or document.keys() != {"kind", "max_shift", "parts"}:
            raise CalibrationFormatError(f"it is {shown(document)}, not an object of kind, max_shift and parts")
        parts = document["parts"]
        if not isinstance(parts, list):
            raise CalibrationFormatError(f"parts is {shown(parts)}, not a list")
        for index, part in enumerate(parts):
            if not isinstance(part, list) or len(part) != 3:
                raise CalibrationFormatError(f"parts[{index}] is {shown(part)}, not [weight, level, slope]")
        return cls(document["kind"], tuple(Part(*part) for part in parts), document["max_shift"])

    def _check(self, raw: np.ndarray) -> None:
        if not raw.size:
            return
        least, most = float(raw.min()), float(raw.max())
        lowest, highest, wanted = (
            (0.0, 1.0, "probability") if self.kind == "log_odds" else (-math.inf, math.inf, "finite number")
        )
        # NaN is in no range, and the least and the most of an array that has one are NaN.
        if not (lowest <= least and most <= highest and math.isfinite(least) and math.isfinite(most)):
            raise ScoreOutOfRangeError(f"a score among those from {least} to {most} is no {wanted}")

    @cached_property
    def _function(self) -> Callable[[np.ndarray], np.ndarray]:
        import numpy as np

        weight, level, slope = (
            np.array([getattr(part, name) for part in self.parts]) for name in ("weight", "level", "slope")
        )
        weight /= weight.sum()
        most = self.max_shift

        # np.minimum and np.maximum cost a third of np.clip, and a request has few rows.
        def of_value(raw: np.ndarray) -> np.ndarray:
            each, low, high = raw[..., None], raw - most, raw + most
            with np.errstate(over="ignore"):
                lines = np.minimum(np.maximum(level + slope * each, low[..., None]), high[..., None])
                # Rounded, a mean may lie a last digit outside of what it is the mean of.
                served: np.ndarray = np.minimum(np.maximum(_weighted(lines, weight), low), high)
            return served

        def of_log_odds(raw: np.ndarray) -> np.ndarray:
            with np.errstate(divide="ignore"):
                z = np.log(raw) - np.log1p(-raw)
            z = np.minimum(np.maximum(z, -LARGEST_LOG_ODDS), LARGEST_LOG_ODDS)[..., None]
            x = np.minimum(np.maximum(level + slope * z, z - most), z + most)
            x = np.minimum(np.maximum(x, -_SATURATED), _SATURATED)
            # The two sides by themselves, so that neither loses its digits next to 1.
            odds = _weighted(1 / (1 + np.exp(-x)), weight) / _weighted(1 / (1 + np.exp(x)), weight)
            mixed = np.minimum(np.maximum(np.log(odds), -LARGEST_LOG_ODDS), LARGEST_LOG_ODDS)
            served: np.ndarray = 1 / (1 + np.exp(-mixed))
            return served

        return of_log_odds if self.kind == "log_odds" else of_value


def calibration_name(sha256: str) -> str:
    """A calibration as people say it: the first digits of its hash."""
    return sha256[:12]


def identity(kind: Kind) -> Calibration:
    """The calibration that serves what the model said."""
    return Calibration(kind, (Part(1.0, 0.0, 1.0),), 1.0)


def _weighted(lines: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The mean over the last axis, summed in one order whatever the shape: a matrix product is not."""
    total: np.ndarray = (lines * weight).cumsum(axis=-1)[..., -1]
    return total


def _checked_part(index: int, part: Part) -> Part:
    return Part(
        _number(f"the weight of part {index}", part.weight, above=0.0),
        _number(f"the level of part {index}", part.level),
        _number(f"the slope of part {index}", part.slope, above=0.0),
    )


def _number(what: str, value: Any, above: float = -math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CalibrationFormatError(f"{what} is {shown(value)}, not a number")
    if not (-LARGEST_NUMBER <= value <= LARGEST_NUMBER and value > above):
        wanted = "" if above == -math.inf else f" above {above:g}"
        raise CalibrationFormatError(f"{what} is {shown(value)}, not a number{wanted} within {LARGEST_NUMBER:g}")
    return float(_digits(value)) + 0.0  # no negative zero


def _digits(value: float) -> str:
    return f"{value:.{SIGNIFICANT_DIGITS}g}"
