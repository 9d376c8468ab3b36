"""Values of botocore's responses as plain JSON."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any


def iso_time(moment: datetime | date) -> str:
    """A time as the aws-sdk integrations show it."""
    text = moment.isoformat()
    return text.replace("+00:00", "Z")


def epoch_milliseconds(moment: datetime | date) -> int:
    """A time as the optimized integrations show it."""
    assert isinstance(moment, datetime)
    return round(moment.timestamp() * 1000)


def as_json(value: Any, time: Callable[[datetime | date], Any] = iso_time) -> Any:
    """``value`` of a botocore response as plain JSON values."""
    if isinstance(value, dict):
        return {key: as_json(item, time) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item, time) for item in value]
    if isinstance(value, datetime | date):
        return time(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    return value
