"""Instants as the product writes them: ISO 8601 in UTC with a final ``Z``, or milliseconds since 1970.

Inside, an instant is a ``datetime`` in UTC; text stands at the edges alone: in events, commands, items and documents.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


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
        raise ValueError(f"{text!r} is outside the years 1 to 9999 in UTC") from None


def format_instant(instant: datetime) -> str:
    """Write an instant as ``2013-03-01T05:00:00Z``, with milliseconds when it has any.

    Raises
    ------
    ValueError
        When ``instant`` has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone, so it is not an instant")
    utc = instant.astimezone(UTC).replace(tzinfo=None)
    milliseconds = utc.microsecond // 1000
    text = utc.isoformat(timespec="milliseconds" if milliseconds else "seconds")
    return f"{text}Z"


class WrittenInstant(datetime):
    """An instant that came as a text which :func:`format_instant` would write otherwise, and that keeps it.

    Step Functions writes ``05:00:00.000Z``. What was hashed with that text must be written with it again. In all else
    it is the instant, and what is computed from it is a plain one.
    """

    text: str

    @classmethod
    def read(cls, text: str) -> datetime:
        """The instant that ``text`` names; :func:`instant_text` gives ``text`` again.

        Raises
        ------
        ValueError
            As :func:`parse_instant`.
        """
        instant = parse_instant(text)
        if format_instant(instant) == text:
            return instant
        written = cls.combine(instant.date(), instant.timetz())
        written.text = text
        return written

    def __deepcopy__(self, memo: object) -> WrittenInstant:
        """Itself: nothing about it changes, and ``dataclasses.asdict`` copies so."""
        return self


def instant_text(instant: datetime) -> str:
    """The text that an instant was read from (:meth:`WrittenInstant.read`), or else the product's own.

    Raises
    ------
    ValueError
        When ``instant`` has no time zone.
    """
    text: str | None = getattr(instant, "text", None)
    return format_instant(instant) if text is None else text


def from_epoch_ms(milliseconds: int) -> datetime:
    """The instant ``milliseconds`` after 1970-01-01T00:00:00Z, as API Gateway's ``timeEpoch`` gives it."""
    return _EPOCH + _MILLISECOND * milliseconds


def to_epoch_ms(instant: datetime) -> int:
    """Whole milliseconds from 1970-01-01T00:00:00Z to ``instant``, rounded down.

    Raises
    ------
    ValueError
        When ``instant`` has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone, so it is not an instant")
    return (instant - _EPOCH) // _MILLISECOND
