"""The registry's records of calibrations: what was published, and whether a person froze them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypedDict

from everloop.documents.calibration import LearnedFacts
from everloop.recalibration.written import WrittenCalibration, calibration_name
from everloop.registry import keys
from everloop.registry.items import Record


@dataclass(frozen=True)
class PublishedFacts(LearnedFacts):
    """What was learned, as it was published.

    Attributes
    ----------
    calibration_sha256 : str
        The hash of the calibration's text.
    max_shift : float
        The most it may move a score.
    lambda_version, code_sha256 : str
        The function version that was published with it, and the hash of that function's code.
    """

    calibration_sha256: str
    max_shift: float
    lambda_version: str
    code_sha256: str
    at: datetime
    actor: str


@dataclass(frozen=True)
class CalibrationRecord(PublishedFacts, Record):
    """A calibration that was published for a version."""

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset({"groups", "interval"})

    model: str

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the model's partition, under ``CALIBRATION#``, its version and the window's end."""
        return keys.partition(self.model), keys.calibration(self.version, self.window_end)

    @property
    def name(self) -> str:
        """As answers and people say it."""
        return calibration_name(self.calibration_sha256)

    def read(self) -> WrittenCalibration:
        """The calibration.

        Raises
        ------
        CalibrationFormatError
            When the text is none.
        """
        return WrittenCalibration.from_text(self.calibration)


class ServedApart(TypedDict):
    """Which groups have a calibration of their own, or why none has; the record says how they fare."""

    by: str
    served_apart: list[str]
    withheld: str | None


def served_apart(record: CalibrationRecord) -> ServedApart | None:
    """Of the groups of a published calibration; None where none are declared."""
    if record.groups is None:
        return None
    made = record.read()
    groups = zip(made.by.names, made.groups, strict=True) if made.by else ()
    names = [name for name, own in groups if own is not None]
    return {"by": record.groups["by"], "served_apart": names, "withheld": record.groups["withheld"]}


@dataclass(frozen=True)
class CalibrationFreeze(Record):
    """A person's word that nothing is calibrated by itself until they let it go on."""

    model: str
    since: datetime
    actor: str
    reason: str

    @property
    def key(self) -> tuple[str, str]:
        """The one place for it in the model's partition."""
        return keys.partition(self.model), keys.CALIBRATION_FREEZE
