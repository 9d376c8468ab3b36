"""Instants as the product writes them: ISO 8601 in UTC with a final ``Z``, or milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant.

    Parameters
    ----------
    text : str
        Date and time with a UTC offset or ``Z``, e.g. ``2013-03-01T05:00:00Z``.

    Returns
    -------
    datetime
        The instant, in UTC.

    Raises
    ------
    ValueError
        When ``text`` is no such instant. A time without an offset is refused: it names no instant.
    """
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError(f"{text!r} is not an ISO 8601 instant such as 2013-03-01T05:00:00Z") from None
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset: write it as 2013-03-01T05:00:00Z")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} lies outside the years 1 to 9999 in UTC") from None


def format_instant(instant: datetime) -> str:
    """Write an instant as ``2013-03-01T05:00:00Z``, with milliseconds when it has any.

    Raises
    ------
    ValueError
        When ``instant`` has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone, so it names no instant")
    utc = instant.astimezone(UTC).replace(tzinfo=None)
    milliseconds = utc.microsecond // 1000
    text = utc.isoformat(timespec="milliseconds" if milliseconds else "seconds")
    return f"{text}Z"


def from_epoch_ms(milliseconds: int) -> datetime:
    """The instant ``milliseconds`` after 1970-01-01T00:00:00Z, as API Gateway's ``timeEpoch`` gives it."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_epoch_ms(instant: datetime) -> int:
    """Whole milliseconds from 1970-01-01T00:00:00Z to ``instant``, rounded down.

    Raises
    ------
    ValueError
        When ``instant`` has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone, so it names no instant")
    return (instant - _EPOCH) // timedelta(milliseconds=1)
