"""A caller's connection: plain requests are answered on it as they are, all others through ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from everloop.server.application import Application
from everloop.server.one_write import OneWrite

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState


class Connection(OneWrite):
    """uvicorn's protocol, which knows a plain request before it makes an exchange of ASGI's of it."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], **more: Any) -> None:
        super().__init__(config, server_state, app_state, **more)
        self._plain = config.app.plain if isinstance(config.app, Application) else None
        self._is_between = True
        self._waits = self._ends = False
        self._answered_at = 0.0
        self._headers: list[tuple[bytes, bytes]] = []
        self._begins = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class has it
        """A caller has connected."""
        self._below = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Bytes have come: of one request, of a part of one, or of several."""
        plain, cycle = self._plain, self.cycle
        if plain is not None and self._is_between and (cycle is None or cycle.response_complete) and plain.are_taken:
            while self._waits:  # who sends the next request before the answer gets them in this order
                plain.answer_some()
            asked = plain.plain(data)
            if asked is not None:
                self._waits = True
                if len(self.connections) == 1:
                    plain.answer(self, asked)
                else:
                    plain.add(self, asked)
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """The parser has found the begin of a request."""
        self._is_between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """The parser has found the end of a request."""
        self._is_between = True
        super().on_message_complete()

    def tell(self, status: int, rest: bytes) -> None:
        """Send the answer to a plain request: its status, and of its bytes the headers, the empty line and the body."""
        self._waits = False
        state = self.server_state
        state.total_requests += 1
        if self._below.is_closing():
            return
        if state.default_headers is not self._headers:  # others each second: the date is one of them
            self._headers = state.default_headers
            usual = b"".join([b"%b: %b\r\n" % header for header in self._headers])
            self._begins = STATUS_LINE[200] + usual
        begins = self._begins if status == 200 else STATUS_LINE[status] + self._begins.partition(b"\r\n")[2]
        self._below.write(begins + rest)
        if self._ends:
            self.transport.close()
            return
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._close_once_idle(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, unless plain requests were answered on it since the time was set.

        They leave the timer running: to set it anew for each takes longer than all else about a connection.
        """
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0 or self._waits:
            self._close_once_idle(left if left > 0 else self.timeout_keep_alive)
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """The server ends: close the connection, once what was asked is answered."""
        if self._waits:
            self._ends = True
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller has gone."""
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def _close_once_idle(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)
