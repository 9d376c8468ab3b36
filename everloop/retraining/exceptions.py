"""What retraining refuses, and why."""

from __future__ import annotations


class RetrainingError(Exception):
    """Any refusal of retraining."""


class RequestNotAcceptedError(RetrainingError):
    """The event bus did not take a retraining request."""


class RequestUnreadableError(RetrainingError):
    """An event is no retraining request."""
