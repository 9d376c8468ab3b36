"""Runs the server until it is told to stop."""

from __future__ import annotations

import gc
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from everloop.server.connection import Connection

if TYPE_CHECKING:
    from everloop.server.application import Application

SHUTDOWN_SECONDS = 30
"""How long requests that are being answered may take once a stop was asked for."""

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any free one.

    Raises
    ------
    OSError
        When the address can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def serve(application: Application, listening: socket.socket) -> None:
    """Answer until SIGTERM or SIGINT; then take no new connection, finish what has begun, and return."""
    config = uvicorn.Config(
        application,
        http=Connection,
        loop="uvloop",
        lifespan="off",
        ws="none",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    # The server raises the signal once more when it is done; by then all that was asked has been done.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # Modules and the model stay until the end: neither an answer nor the end waits until they are looked through.
    gc.freeze()
    uvicorn.Server(config).run(sockets=[listening])
