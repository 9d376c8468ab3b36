"""The two scores of a row: what the model said, and what its caller gets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from everloop.recalibration.calibration import Calibration, calibration_name


@dataclass(frozen=True)
class Scores:
    """The scores of a request's rows.

    Attributes
    ----------
    raw : float64 array, shape (rows,)
        As the model gave them.
    served : float64 array, shape (rows,)
        As they are answered and decided on; the raw ones where nothing is calibrated.
    calibration_sha256 : str or None
        The hash of the calibration between the two; None where there is none.
    """

    raw: np.ndarray
    served: np.ndarray
    calibration_sha256: str | None = None

    @classmethod
    def of(cls, raw: np.ndarray, calibration: Calibration | None) -> Scores:
        """The scores to serve for raw ones."""
        if calibration is None:
            return cls(raw, raw)
        return cls(raw, calibration.apply(raw), calibration.sha256)

    @property
    def calibration(self) -> str | None:
        """The calibration's name, as answers and people say it: the first digits of its hash."""
        return None if self.calibration_sha256 is None else calibration_name(self.calibration_sha256)
