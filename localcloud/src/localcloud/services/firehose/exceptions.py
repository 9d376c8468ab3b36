"""What a delivery stream refuses."""

from __future__ import annotations


class FirehoseError(Exception):
    """Something about a delivery stream."""


class UnsupportedDestinationError(FirehoseError):
    """A destination asks for something that the local cloud does not do; the message names it."""


class DeliveryFailedError(FirehoseError):
    """A delivery could not be written; its records are still there."""


class RecordNotConvertedError(FirehoseError):
    """A record can not be converted to the table's columns; ``code`` is Firehose's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
