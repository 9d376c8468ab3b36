"""What retraining refuses, and why."""

from __future__ import annotations

from everloop.exceptions import EverloopError, TerminalError, TransientError


class RetrainingError(EverloopError):
    """Any refusal of retraining."""


class RequestNotAcceptedError(RetrainingError, TransientError):
    """The event bus did not take a retraining request."""


class RequestUnreadableError(RetrainingError, TerminalError):
    """An event is not a retraining request."""


class BacktestError(RetrainingError, TerminalError):
    """A history can't be cut into windows, or a decision asks for what is not known yet."""


class InvestmentError(RetrainingError, TerminalError):
    """A retraining can't be weighed against what it saves."""


class FreshProbeError(RetrainingError, TerminalError):
    """A fresh probe can't be prepared, or what its job left is not what it should be."""
