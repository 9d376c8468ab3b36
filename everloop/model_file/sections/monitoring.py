"""When and how production is watched."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, PlainValidator

from everloop.model_file.schedule import parse_schedule
from everloop.model_file.sections.base import OpenFraction, Section
from everloop.monitoring.detectors import DETECTORS


def _schedule(text: str) -> str:
    parse_schedule(text)
    return text


ScheduleExpression = Annotated[str, AfterValidator(_schedule)]


class Monitoring(Section):
    """When and how production is watched.

    Windows are whole UTC days, as days are what naturally differs. For drift the latest windows of ``drift_days``
    days are judged together. ``false_alarm_rate`` is the probability that they alarm when nothing has changed,
    over all features together. ``minimum_effect`` is the effect below which a shift is trivial; the effect of the
    ``detector`` ``stability`` is the population stability index.
    ``schedule`` is in UTC and runs once for each window, so that no day is watched twice or never.
    """

    schedule: ScheduleExpression = "cron(0 6 * * ? *)"
    window_hours: int = Field(default=24, ge=24, multiple_of=24)
    drift_days: int = Field(default=7, ge=1, le=31)
    minimum_rows: int = Field(default=200, ge=1)
    false_alarm_rate: OpenFraction = 0.01
    minimum_effect: float = Field(default=0.1, ge=0)
    detector: Annotated[str, PlainValidator(DETECTORS.registered)] = "stability"
