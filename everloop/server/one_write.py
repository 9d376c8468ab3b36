"""Sends an answer by one write: uvicorn makes one of its head, and another of its body.

Each write is a call of the operating system, and a packet that wakes up the caller. For a small answer the second costs
more than most that is done to find it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_BEGINS, _CONTINUE = b"HTTP/1.1 ", b"HTTP/1.1 100 "


class OneWrite(HttpToolsProtocol):
    """uvicorn's protocol, on a :class:`JoinedTransport`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class has it
        """A caller has connected."""
        super().connection_made(JoinedTransport(transport))  # type: ignore[arg-type]  # it has all that is used of one

    def on_response_complete(self) -> None:
        """All of an answer was written: one without a body too."""
        self.transport.flush()  # type: ignore[attr-defined]  # as it was made above
        super().on_response_complete()


class JoinedTransport:
    """A transport that keeps the head of an answer back until its body comes, or there is none."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head = transport, b""
        self._write = transport.write

    def write(self, data: bytes) -> None:
        """Write a part of an answer; where it is the head, with what comes next."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_BEGINS) and not data.startswith(_CONTINUE):
            self._head = data
            return
        self._write(data)

    def flush(self) -> None:
        """Write what is kept back."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Write what is kept back, and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's."""
        return getattr(self._transport, name)
