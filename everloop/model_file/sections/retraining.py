"""What starts a retraining, and what holds it back."""

from __future__ import annotations

from pydantic import Field

from everloop.model_file.sections.base import LONGEST_DAYS, Confidence, Days, InstanceType, Section

LONGEST_PROBE_DAYS = 92
"""A quarter. What a probe found of each day must find room in one record, for itself and all kept ones."""


class Quota(Section):
    """At most ``runs`` training runs in any ``days`` days."""

    runs: int = Field(ge=1)
    days: Days


class QualityTrigger(Section):
    """Retrain when the champion's answers no longer fit the outcomes.

    Over the last ``days`` labelled days that it served, its answers are compared with themselves, put right by the
    one shift (and one stretch) that fits the outcomes best. Quality counts as fallen when the answers lose more
    than those by ``minimum_increase`` (relative), and the days agree on it with ``confidence``. That its rows have
    become harder to tell is not a fault of the champion's, and does not count.
    """

    days: int = Field(ge=3, le=LONGEST_DAYS)
    minimum_increase: float = Field(ge=0)
    confidence: Confidence = 0.99


class DriftTrigger(Section):
    """Retrain when drift has alarmed in ``windows`` windows one after another."""

    windows: int = Field(ge=1, le=LONGEST_DAYS)


class Investment(Section):
    """Retrain where a fresh probe shows that it pays; see :mod:`everloop.retraining.investment`.

    A probe is this model's own program, trained on at most ``probe_rows`` rows that were labelled when a window of
    ``every_days`` days began, and scored on at most as many rows of that window beside the champion as served and the
    ``kept_probes`` probes before it. Its job may take ``probe_minutes`` on ``instance_type``, which is that of the
    training where it is not declared. With ``recent_days`` the job trains a second probe, on the rows of the newest so
    many days alone: whether a ``data.training_window_days`` of that length would do better.

    A retraining costs ``cost``, in the currency of ``problem.value``, or ``cost_share`` of what a window loses in
    ``gate.metric``. Where neither is declared it is ``cost.max_training_run_usd``, if ``problem.value`` is in USD, and
    else a tenth of a window's loss.
    """

    every_days: int = Field(default=14, ge=1, le=LONGEST_PROBE_DAYS)
    cost: float | None = Field(default=None, gt=0)
    cost_share: float | None = Field(default=None, gt=0, le=1000)
    probe_rows: int = Field(default=20_000, ge=100, le=10_000_000)
    probe_minutes: int = Field(default=15, ge=1, le=1440)
    kept_probes: int = Field(default=8, ge=1, le=20)
    recent_days: Days | None = None
    instance_type: InstanceType | None = None


class VolumeTrigger(Section):
    """Retrain when ``rows`` labelled rows have come since the last training."""

    rows: int = Field(ge=1)


class Retraining(Section):
    """What starts a retraining, and what holds it back."""

    quality: QualityTrigger | None = None
    drift: DriftTrigger | None = None
    investment: Investment | None = None
    volume: VolumeTrigger | None = None
    schedule_days: Days | None = None
    cooldown_days: float = Field(ge=0, le=LONGEST_DAYS)
    quota: Quota
