"""What a window's recalibration came to, as documents."""

from __future__ import annotations

from typing import Any

from everloop.documents.recalibration import RecalibrationDocument


def recalibration_document(**changes: Any) -> RecalibrationDocument:
    """Of a window that taught nothing; ``changes`` replace what they name."""
    document: RecalibrationDocument = {
        "sums": {},
        "state": None,
        "losses": {"windows": 0, "rows": 0, "raw": 0.0, "calibrated": 0.0},
        "calibration": None,
        "in_force": None,
        "decision": "none",
        "reasons": [],
    }
    return {**document, **changes}  # type: ignore[typeddict-item]  # tests change what they name
