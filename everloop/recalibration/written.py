"""A calibration as it is written down: its numbers, its text, its hash.

What applies it needs numpy (:mod:`everloop.recalibration.calibration`). The functions that only keep and publish one do
not have that in their packages, and import this.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self, get_args

from everloop.json_text import read_json
from everloop.recalibration.exceptions import CalibrationFormatError
from everloop.shown import shown

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
class WrittenCalibration:
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

    @cached_property
    def sha256(self) -> str:
        """The hash of its text, hexadecimal."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    def to_text(self) -> str:
        """The one JSON text of this calibration, which has at most ``LONGEST_TEXT`` characters."""
        parts = ",".join(f"[{_digits(p.weight)},{_digits(p.level)},{_digits(p.slope)}]" for p in self.parts)
        return f'{{"kind":"{self.kind}","max_shift":{_digits(self.max_shift)},"parts":[{parts}]}}'

    @classmethod
    def from_text(cls, text: str) -> Self:
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
    def _from_document(cls, document: Any) -> Self:
        if not isinstance(document, dict) or document.keys() != {"kind", "max_shift", "parts"}:
            raise CalibrationFormatError(f"it is {shown(document)}, not an object of kind, max_shift and parts")
        parts = document["parts"]
        if not isinstance(parts, list):
            raise CalibrationFormatError(f"parts is {shown(parts)}, not a list")
        for index, part in enumerate(parts):
            if not isinstance(part, list) or len(part) != 3:
                raise CalibrationFormatError(f"parts[{index}] is {shown(part)}, not [weight, level, slope]")
        return cls(document["kind"], tuple(Part(*part) for part in parts), document["max_shift"])


def calibration_name(sha256: str) -> str:
    """A calibration as people say it: the first digits of its hash."""
    return sha256[:12]


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
