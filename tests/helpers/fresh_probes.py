"""What fresh probes found, as documents of small windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from everloop.documents.probe import DailyLosses, ProbeDocument

FIRST = datetime(2013, 3, 7, tzinfo=UTC)
"""A Thursday, as 1970 began with one."""

EVERY_DAYS = 7
ROWS = 100


def losses(mean: float | list[float], *, rows: int = ROWS, money: bool = False) -> DailyLosses:
    """By day, for a mean loss of a row; money is ten times as much."""
    means = mean if isinstance(mean, list) else [mean] * EVERY_DAYS
    daily = [m * rows for m in means]
    return {"loss": daily, "money": [10 * d for d in daily] if money else None}


def probe_document(
    window: int,
    *,
    fresh: float | list[float] = 0.5,
    past: dict[int, float] | None = None,
    champion: float | list[float] | None = None,
    version: int = 1,
    own: float = 1.0,
    versions: dict[int, float | list[float]] | None = None,
    spans: dict[int | None, float | list[float]] | None = None,
    warm: float | list[float] | None = None,
    money: bool = False,
    **changes: Any,
) -> ProbeDocument:
    """The probe of the window with that number.

    Parameters
    ----------
    past : dict of int to float
        Mean losses of kept probes by their age.
    champion : float, optional
        Its mean loss on the share ``own`` of the rows; None where it answered nothing.
    versions : dict of int to float
        Mean losses of older versions.
    spans : dict of int or None to float
        Mean losses of probes that learned from other spans, of 1,000 rows each.
    warm : float, optional
        Mean loss of version 1 continued with 500 newer rows.
    """
    length = timedelta(days=EVERY_DAYS)
    start = FIRST + window * length
    answered = int(own * ROWS)
    document: ProbeDocument = {
        "model": "late_train",
        "metric": "log_loss",
        "window_start": start,
        "window_end": start + length,
        "as_of": start + length + timedelta(hours=30),
        "days": [(start + timedelta(days=day)).date().isoformat() for day in range(EVERY_DAYS)],
        "rows": [ROWS] * EVERY_DAYS,
        "window_rows": ROWS * EVERY_DAYS,
        "trained_rows": 1000,
        "labelled_rows": 4000,
        "trained_until": start - timedelta(hours=12),
        "fresh": losses(fresh, money=money),
        "past": [
            {
                "window_end": start + length - age * length,
                "age": float(age),
                "losses": losses(mean, money=money),
            }
            for age, mean in (past or {}).items()
        ],
        "fresh_days": None,
        "spans": [
            {"days": days, "trained_rows": 400, "labelled_rows": 1000, "losses": losses(mean, money=money)}
            for days, mean in (spans or {}).items()
        ],
        "warm_start": None
        if warm is None
        else {"version": 1, "trained_rows": 500, "losses": losses(warm, money=money)},
        "champion": None
        if champion is None
        else {
            "version": version,
            "rows": [answered] * EVERY_DAYS,
            "losses": losses(champion, rows=answered, money=money),
            "best_threshold_money": losses(0.4, rows=answered, money=True)["money"] if money else None,
            "fresh": losses(fresh, rows=answered, money=money),
            "versions": [
                {"version": number, "losses": losses(mean, rows=answered, money=money)}
                for number, mean in (versions or {}).items()
            ],
        },
        "left_out": {},
        "files": {"model.onnx": "m", "contract.json": "c", "state.json": "s"},
        "code_sha256": "c0de",
    }
    return {**document, **changes}  # type: ignore[typeddict-item]  # tests change what they name
