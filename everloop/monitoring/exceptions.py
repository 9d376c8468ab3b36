"""What monitoring refuses, and why."""

from __future__ import annotations

from everloop.exceptions import TerminalError


class MonitoringError(TerminalError):
    """Any refusal of monitoring."""


class ProfileFormatError(MonitoringError):
    """A document does not read as a profile or a reference."""


class BinsDifferError(MonitoringError):
    """Two profiles were counted over different bins, so their counts do not add up."""


class ReferenceUnusableError(MonitoringError):
    """A reference can not be built from these rows, or is not complete."""


class RecalibrationUnreadableError(MonitoringError):
    """What an earlier window left of recalibration can't be read."""


class QueryTooLongError(MonitoringError):
    """Counting the declared features takes a longer query than Athena takes, or too many queries."""
