"""What recalibration refuses, and why."""

from __future__ import annotations

from everloop.exceptions import TerminalError


class RecalibrationError(TerminalError):
    """Any refusal of recalibration."""


class CalibrationFormatError(RecalibrationError, ValueError):
    """A calibration's numbers are none that it may have, or a text is not a calibration."""


class IntervalFormatError(RecalibrationError, ValueError):
    """An interval's numbers are none that it may have."""


class ScoreOutOfRangeError(RecalibrationError, ValueError):
    """A score to be calibrated is not a probability, or not finite."""


class SumsFormatError(RecalibrationError, ValueError):
    """Rows can't be counted, or a document is no sums of a window."""


class SumsDifferError(RecalibrationError, ValueError):
    """Two sums are not of one kind, or not counted from one center, so they do not add up."""


class StateFormatError(RecalibrationError, ValueError):
    """A document is not a state that was learned."""


class WindowOutOfOrderError(RecalibrationError, ValueError):
    """A window is to be learned that is not newer than the newest one learned."""
