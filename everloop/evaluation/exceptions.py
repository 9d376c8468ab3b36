"""What can be wrong with an evaluation."""

from __future__ import annotations

from everloop.exceptions import TerminalError


class EvaluationError(TerminalError, ValueError):
    """The rows cannot be evaluated; the message says which and why."""


class ReportError(TerminalError, ValueError):
    """A report cannot be read; the message names the place in it."""
