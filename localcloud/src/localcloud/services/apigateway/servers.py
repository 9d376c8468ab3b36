"""The HTTP servers of APIs: a port of its own on 127.0.0.1 for each."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator

from localcloud.core.http_server import HttpRequest, HttpResponse, HttpServer, listen

MAX_BODY_BYTES = 10_485_760


class ApiServer(ABC):
    """The server of one API; bodies above ``max_body`` do not reach :meth:`handle`."""

    def __init__(self, name: str, *, max_body: int = MAX_BODY_BYTES) -> None:
        self._server = HttpServer(listen(0), self.handle, name=name, max_body=max_body)

    @property
    def endpoint(self) -> str:
        """The URL that clients call."""
        return f"http://127.0.0.1:{self._server.port}"

    def start(self) -> None:
        """Answer requests from now on."""
        self._server.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.stop()

    @abstractmethod
    def changed(self) -> None:
        """Read what the API is made of again before the next request."""

    @abstractmethod
    def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""


class ApiServers:
    """The servers of this process's APIs of one kind, by the API's id."""

    def __init__(self) -> None:
        self._by_id: dict[str, ApiServer] = {}
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[ApiServer]:
        with self._lock:
            return iter(list(self._by_id.values()))

    def start(self, api_id: str, server: ApiServer) -> None:
        """Serve an API."""
        with self._lock:
            self._by_id[api_id] = server
        server.start()

    def endpoint(self, api_id: str) -> str | None:
        """The URL of an API; None where it is not served."""
        server = self._by_id.get(api_id)
        return server.endpoint if server is not None else None

    def stop(self, api_id: str) -> None:
        """Serve it no more."""
        with self._lock:
            server = self._by_id.pop(api_id, None)
        if server is not None:
            server.stop()

    def changed(self) -> None:
        """Something of one of them may have changed."""
        for server in self:
            server.changed()

    def close(self) -> None:
        """Stop them all."""
        with self._lock:
            servers = list(self._by_id.values())
            self._by_id.clear()
        for server in servers:
            server.stop()
