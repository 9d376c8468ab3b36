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
from everloop.recalibration.grouped_by import GroupBy
from everloop.shown import shown

Kind = Literal["log_odds", "value"]
"""What is calibrated: the log odds of a probability, or a predicted value."""

MOST_PARTS = 32
"""Parts of one calibration."""

LONGEST_TEXT = 2_000
LONGEST_GROUPED_TEXT = 3_300
"""Characters of a calibration's text, without and with groups. All variables of a Lambda function together may have
4 KB."""

MOST_GROUP_PARTS = 8
"""Parts of one group's own mixture."""

SIGNIFICANT_DIGITS = 9
GROUP_DIGITS = 7
"""Digits a calibration's numbers have, and those of its groups, so that its text is short and says all of it."""

LARGEST_FACTOR = 8.0
"""The most that a side of an interval is made wider, or narrower, than at its birth."""

UNSPREAD = (1.0, 1.0)
"""Both sides of an interval as they were at its birth."""

LARGEST_NUMBER = 1e100
"""Above this, sums of two numbers would not be finite."""

LARGEST_LOG_ODDS = 30.0
"""Log odds beyond this count as this: nearer to 1 than 9e-14 a probability has hardly a digit left."""

_WEIGHTS_MISS = 1e-7
_GROUP_WEIGHTS_MISS = 1e-6
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
    by : GroupBy or None
        Of which groups rows are served apart.
    groups : tuple of (tuple of Part, or None), one for each group of ``by``
        The mixture that a group is served by: its lines are over what the ``parts`` above make of the raw score, so
        ``level 0, slope 1`` is what all others get. None: the group is served as all others are. No line moves a score
        further from the raw one than ``max_shift``.
    spread : (float, float)
        By how much an interval is wider than at its birth, below and above an answer; each from 1/8 to 8. The text has
        no such key where both are 1.

    Raises
    ------
    CalibrationFormatError
        When a number is none that it may have.
    """

    kind: Kind
    parts: tuple[Part, ...]
    max_shift: float
    by: GroupBy | None = None
    groups: tuple[tuple[Part, ...] | None, ...] = ()
    spread: tuple[float, float] = UNSPREAD

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise CalibrationFormatError(f"kind is {shown(self.kind)}, not {' or '.join(map(repr, get_args(Kind)))}")
        if not 1 <= len(self.parts) <= MOST_PARTS:
            raise CalibrationFormatError(f"it has {len(self.parts)} parts, not 1 to {MOST_PARTS}")
        object.__setattr__(self, "parts", _checked_parts("its parts", self.parts, SIGNIFICANT_DIGITS, _WEIGHTS_MISS))
        object.__setattr__(self, "max_shift", _number("max_shift", self.max_shift, above=0.0))
        if len(self.groups) != (len(self.by) if self.by else 0):
            raise CalibrationFormatError(f"it has {len(self.groups)} groups, and 'by' {len(self.by or ())}")
        groups = (None if parts is None else self._group(index, parts) for index, parts in enumerate(self.groups))
        object.__setattr__(self, "groups", tuple(groups))
        object.__setattr__(self, "spread", _checked_spread(self.kind, self.spread))

    def _group(self, index: int, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        if not 1 <= len(parts) <= MOST_GROUP_PARTS:
            raise CalibrationFormatError(f"group {index} has {len(parts)} parts, not 1 to {MOST_GROUP_PARTS}")
        return _checked_parts(f"the parts of group {index}", parts, GROUP_DIGITS, _GROUP_WEIGHTS_MISS)

    @cached_property
    def is_identity(self) -> bool:
        """Whether every score is served as the model said it."""
        every = [self.parts, *(parts for parts in self.groups if parts is not None)]
        return all(part.level == 0 and part.slope == 1 for parts in every for part in parts)

    @cached_property
    def shared(self) -> Self:
        """What rows are served by that are in no group with a mixture of its own."""
        return self if self.by is None else type(self)(self.kind, self.parts, self.max_shift, spread=self.spread)

    @cached_property
    def sha256(self) -> str:
        """The hash of its text, hexadecimal."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    def to_text(self) -> str:
        """The one JSON text of this calibration: of at most ``LONGEST_TEXT`` characters, with groups of
        ``LONGEST_GROUPED_TEXT``.
        """
        shared = f'"kind":"{self.kind}","max_shift":{_digits(self.max_shift)},"parts":{_parts_text(self.parts)}'
        if self.spread != UNSPREAD:
            shared += f',"spread":[{",".join(map(_digits, self.spread))}]'
        if self.by is None:
            return f"{{{shared}}}"
        groups = ",".join("null" if parts is None else _parts_text(parts, GROUP_DIGITS) for parts in self.groups)
        return f'{{{shared},"by":{self.by.to_text()},"groups":[{groups}]}}'

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The calibration that was written as ``text``.

        Raises
        ------
        CalibrationFormatError
            When no calibration writes exactly this text.
        """
        if len(text) > LONGEST_GROUPED_TEXT:
            raise CalibrationFormatError(
                f"a calibration has at most {LONGEST_GROUPED_TEXT:,} characters, not {len(text):,}"
            )
        try:
            document = read_json(text)
        except ValueError as error:
            raise CalibrationFormatError(f"a calibration must be JSON, not {shown(text)}: {error}") from error
        calibration = cls._from_document(document)
        if calibration.to_text() != text:
            raise CalibrationFormatError(
                f"the text of this calibration must be {shown(calibration.to_text())}, not {shown(text)}"
            )
        return calibration

    @classmethod
    def _from_document(cls, document: Any) -> Self:
        shared, grouped = {"kind", "max_shift", "parts"}, {"by", "groups"}
        if not isinstance(document, dict) or document.keys() - {"spread"} not in (shared, shared | grouped):
            raise CalibrationFormatError(
                f"it is {shown(document)}, not an object of kind, max_shift and parts, or with spread, or with by and"
                " groups as well"
            )
        parts = _read_parts("parts", document["parts"])
        spread = document.get("spread", UNSPREAD)
        if "by" not in document:
            return cls(document["kind"], parts, document["max_shift"], spread=spread)
        listed = document["groups"]
        if not isinstance(listed, list):
            raise CalibrationFormatError(f"groups is {shown(listed)}, not a list")
        groups = (None if each is None else _read_parts(f"groups[{i}]", each) for i, each in enumerate(listed))
        by = GroupBy.from_document(document["by"])
        return cls(document["kind"], parts, document["max_shift"], by, tuple(groups), spread)


def _read_parts(place: str, parts: Any) -> tuple[Part, ...]:
    if not isinstance(parts, list):
        raise CalibrationFormatError(f"{place} is {shown(parts)}, not a list")
    for index, part in enumerate(parts):
        if not isinstance(part, list) or len(part) != 3:
            raise CalibrationFormatError(f"{place}[{index}] is {shown(part)}, not [weight, level, slope]")
    return tuple(Part(*part) for part in parts)


def _parts_text(parts: tuple[Part, ...], digits: int = SIGNIFICANT_DIGITS) -> str:
    each = (",".join(_digits(number, digits) for number in (p.weight, p.level, p.slope)) for p in parts)
    return f"[{','.join(f'[{numbers}]' for numbers in each)}]"


def calibration_name(sha256: str) -> str:
    """A calibration as people say it: the first digits of its hash."""
    return sha256[:12]


def _checked_parts(what: str, parts: tuple[Part, ...], digits: int, miss: float) -> tuple[Part, ...]:
    checked = tuple(_checked_part(index, part, digits) for index, part in enumerate(parts))
    total = math.fsum(part.weight for part in checked)
    if abs(total - 1) > miss:
        raise CalibrationFormatError(f"the weights of {what} sum to {total}, not to 1")
    return checked


def _checked_part(index: int, part: Part, digits: int) -> Part:
    weight, level, slope = part.weight, part.level, part.slope
    if type(weight) is type(level) is type(slope) is float and (
        0.0 < weight <= LARGEST_NUMBER and -LARGEST_NUMBER <= level <= LARGEST_NUMBER and 0.0 < slope <= LARGEST_NUMBER
    ):
        # As nearly all are: a window makes hundreds of them, and to name each number takes longer than to check it.
        return Part(_rounded(weight, digits), _rounded(level, digits), _rounded(slope, digits))
    return Part(
        _number(f"the weight of part {index}", weight, above=0.0, digits=digits),
        _number(f"the level of part {index}", level, digits=digits),
        _number(f"the slope of part {index}", slope, above=0.0, digits=digits),
    )


def _checked_spread(kind: str, spread: Any) -> tuple[float, float]:
    if not isinstance(spread, list | tuple) or len(spread) != 2:
        raise CalibrationFormatError(f"spread is {shown(spread)}, not two factors")
    below, above = (_number(f"factor {i} of spread", factor, above=0.0) for i, factor in enumerate(spread))
    for factor in (below, above):
        if not 1 / LARGEST_FACTOR <= factor <= LARGEST_FACTOR:
            raise CalibrationFormatError(
                f"spread is {shown(spread)}, and a factor is from {1 / LARGEST_FACTOR:g} to {LARGEST_FACTOR:g}"
            )
    if kind != "value" and (below, above) != UNSPREAD:
        raise CalibrationFormatError(f"spread is {shown(spread)}, and {kind} have no interval")
    return below, above


def _number(what: str, value: Any, above: float = -math.inf, digits: int = SIGNIFICANT_DIGITS) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CalibrationFormatError(f"{what} is {shown(value)}, not a number")
    if not (-LARGEST_NUMBER <= value <= LARGEST_NUMBER and value > above):
        wanted = "" if above == -math.inf else f" above {above:g}"
        raise CalibrationFormatError(f"{what} is {shown(value)}, not a number{wanted} within {LARGEST_NUMBER:g}")
    return _rounded(value, digits)


def _rounded(value: float, digits: int) -> float:
    return float(_digits(value, digits)) + 0.0  # no negative zero


def _digits(value: float, digits: int = SIGNIFICANT_DIGITS) -> str:
    return f"{value:.{digits}g}"
