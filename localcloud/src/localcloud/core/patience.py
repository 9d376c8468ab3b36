"""How long a server waits for who sends nothing, or next to nothing: a connection must not hold a thread for ever."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Patience:
    """Limits of a connection, in seconds.

    Attributes
    ----------
    idle : float
        Between two requests. AWS clients keep connections for later; one that is closed meanwhile they open again.
    head : float
        From the first byte of a request to the end of its head.
    body : float
        For a body, besides the time that it takes at ``bytes_per_second``.
    answer : float
        Until the client has taken an answer.
    bytes_per_second : float
        The slowest that a body may come.
    """

    idle: float = 300.0
    head: float = 30.0
    body: float = 60.0
    answer: float = 300.0
    bytes_per_second: float = 16_384.0


class PatientReader(io.RawIOBase):
    """Reads a socket for as long as it is allowed to.

    Parameters
    ----------
    connection : socket
        Stays open when the reader is closed.
    now : callable
        The seconds of a clock that only goes on.
    """

    def __init__(self, connection: socket.socket, now: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._now = now
        self._until = 0.0
        self._seconds_per_byte = 0.0

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def allow(self, seconds: float, *, bytes_per_second: float | None = None) -> None:
        """Wait for what is read from now on for so long; with a rate, each byte that arrives adds its time."""
        self._until = self._now() + seconds
        self._seconds_per_byte = 1 / bytes_per_second if bytes_per_second else 0.0

    def readinto(self, buffer: Any) -> int:
        """Read what is there, or wait for it.

        Raises
        ------
        TimeoutError
            When the time is over.
        """
        left = self._until - self._now()
        if left <= 0:
            raise TimeoutError("the client sends too slowly")
        self._connection.settimeout(left)
        received = self._connection.recv_into(buffer)
        self._until += received * self._seconds_per_byte
        return received
