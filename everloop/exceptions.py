"""What every error of the product says of itself: whether the same call may succeed a little later.

The state machine's retries follow from it, and so may every other caller's.
"""

from __future__ import annotations


class EverloopError(Exception):
    """Any error of the product. Each class that is raised is terminal or transient."""


class TerminalError(EverloopError):
    """The same call fails again: something must change first."""


class TransientError(EverloopError):
    """The same call may succeed a little later, and does no harm when it is repeated."""
