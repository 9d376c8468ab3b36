"""Spans of time as people type them: ``30m``, ``2h``, ``3d``, ``1d12h``."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = timedelta(days=3660)

_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", re.ASCII)


def parse_span(text: str) -> timedelta:
    """Read a span.

    Raises
    ------
    ValueError
        It is none, is nothing, or is longer than ten years; the message says what is taken.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a span of time; give e.g. 30m, 2h, 3d or 1d12h (s, m, h, d, w)")
    span = sum((timedelta(**{UNITS[unit]: float(number)}) for number, unit in parts), timedelta(0))
    if not timedelta(0) < span <= LONGEST:
        raise ValueError(f"{text!r} is not between a second and {LONGEST.days} days")
    return span


def span_text(span: timedelta) -> str:
    """A span as it may be typed, rounded up to the minute, e.g. ``1d3h20m``."""
    minutes = max(1, -(-span // timedelta(minutes=1)))
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    return "".join(f"{number}{unit}" for number, unit in ((days, "d"), (hours, "h"), (left, "m")) if number)
