"""The registry's records of calibrations: what was published, and whether a person holds them still."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from everloop.recalibration.written import WrittenCalibration, calibration_name
from everloop.registry import keys
from everloop.registry.items import Record


@dataclass(frozen=True)
class CalibrationRecord(Record):
    """A calibration that was published for a version.

    Attributes
    ----------
    window_end : datetime
        The end of the monitoring window that published it.
    learned_until : datetime
        The end of the labelled days that it was learned from.
    calibration, calibration_sha256 : str
        Its text, and the hash of that.
    days, rows : int
        The labelled days it was learned from, and their rows.
    loss_raw, loss_recalibrated : float or None
        The mean loss of those rows by what the model said, and by what was served or would have been, each day
        calibrated by what was known before it. None where there were no rows.
    max_shift : float
        The most it may move a score.
    lambda_version, code_sha256 : str
        The function version that was published with it, and the hash of that function's code.
    """

    model: str
    version: int
    window_end: datetime
    learned_until: datetime
    calibration: str
    calibration_sha256: str
    days: int
    rows: int
    loss_raw: float | None
    loss_recalibrated: float | None
    max_shift: float
    lambda_version: str
    code_sha256: str
    at: datetime
    actor: str

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
