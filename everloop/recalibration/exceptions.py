"""What recalibration refuses, and why."""

from __future__ import annotations

from everloop.exceptions import TerminalError


class RecalibrationError(TerminalError):
    """Any refusal of recalibration."""


class CalibrationFormatError(RecalibrationError, ValueError):
    """A calibration's numbers are none that it may have, or a text is no calibration."""


class ScoreOutOfRangeError(RecalibrationError, ValueError):
    """A score to be calibrated is no probability, or not finite."""
