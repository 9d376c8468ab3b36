"""Whose process is at the other end of a connection over the loopback interface.

Linux lists every TCP socket with its owner in ``/proc/net/tcp``. Elsewhere nobody can tell.
"""

from __future__ import annotations

import os
import socket
import struct
from functools import cache
from pathlib import Path

_TABLE = Path("/proc/net/tcp")


def owner_of_peer(connection: socket.socket) -> int | None:
    """The user id that the other end's socket belongs to; None when there is no such socket in the table."""
    return _owner(connection.getpeername(), connection.getsockname())


@cache
def owners_are_told() -> bool:
    """Whether this system tells whose a socket is; asked of a connection of this process with itself."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname()),
        ):
            accepted, _ = listener.accept()
            with accepted:
                return owner_of_peer(accepted) == os.getuid()
    except OSError:
        return False


def _owner(local: tuple[str, int], remote: tuple[str, int]) -> int | None:
    wanted = [_entry(local), _entry(remote)]
    for line in _TABLE.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == wanted:
            return int(fields[7])
    return None


def _entry(address: tuple[str, int]) -> str:
    host, port = address
    (number,) = struct.unpack("=I", socket.inet_aton(host))
    return f"{number:08X}:{port:04X}"
