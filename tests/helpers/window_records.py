"""Records of monitored windows, whole, with whatever a test says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from everloop.documents.window import WindowRecord
from everloop.monitoring.profile import Outcomes, Profile
from everloop.registry.records import Window

END = datetime(2013, 3, 2, tzinfo=UTC)


def window_record(**changes: Any) -> WindowRecord:
    """The record of a quiet day; ``end`` moves its other instants along where they are not given."""
    end = changes.get("end", END)
    interval = {"value": None, "low": None, "high": None, "reason": "no labels"}
    facts: dict[str, Any] = {
        "model": "late_train",
        "scheduled_at": end + timedelta(hours=11),
        "start": end - timedelta(days=1),
        "end": end,
        "labelled_start": end - timedelta(days=1),
        "labelled_end": end,
        "version": 1,
        "rows": 0,
        "labelled_rows": 0,
        "loss": None,
        "labels_arrived": 0,
        "labels_corrected": 0,
        "labels_unmatched": 0,
        "drift_evaluated": False,
        "drift_alarm": False,
        "drift_reason": "the window has 0 rows",
        "drift": {},
        "quality": {
            "evaluated": False,
            "days": 0,
            "rows": 0,
            "loss": interval,
            "auc": interval,
            "auc_error": None,
            "reference_loss": None,
            "deviations": {},
            "reason": "no labels",
        },
        "decision": "none",
        "urgency": "none",
        "trigger": None,
        "held_back_by": None,
        "reasons": (),
        "profile": Profile("", 0, {}).as_dict(),
    }
    return WindowRecord(**facts | changes)


def labelled(rows: int, loss: float | None, **changes: Any) -> WindowRecord:
    """The record of a day with labels: ``rows`` of them, and their mean loss."""
    outcomes = Outcomes(rows=rows, loss=rows * (loss or 0.0))
    return window_record(
        labelled_rows=rows, loss=loss, profile=Profile("", rows, {}, outcomes=outcomes).as_dict(), **changes
    )


def registered(model: str, end: datetime, record: WindowRecord) -> Window:
    """The record as the registry keeps it."""
    return Window(model, end, record.to_document())
