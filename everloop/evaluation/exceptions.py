"""What can be wrong with an evaluation."""

from __future__ import annotations


class EvaluationError(ValueError):
    """The rows cannot be evaluated; the message says which and why."""


class ReportError(ValueError):
    """A report cannot be read; the message names the place in it."""
