"""What can be wrong with data."""

from __future__ import annotations

from collections.abc import Sequence

from everloop.dataset.violations import Violation


class DatasetError(Exception):
    """Data can't be used."""


class HistoryFileError(DatasetError):
    """A history file can't be read as a table of the declared columns."""


class SplitError(DatasetError):
    """Rows can't be split into a training and a test part."""


class ContractViolationError(DatasetError):
    """Data breaks the declared contract.

    Attributes
    ----------
    violations : tuple of Violation
        Every one found.
    """

    def __init__(self, place: str, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        lines = [f"{place} breaks the data contract in {len(self.violations)} ways:"]
        lines += [f"  {violation}" for violation in self.violations]
        super().__init__("\n".join(lines))
