"""boto3 clients are made one at a time, in one session, which reads the description of a service once."""

from __future__ import annotations

import threading
from typing import Any

import boto3

_lock = threading.Lock()
"""boto3 does not make clients safely in two threads at once; using them is safe."""


def make_client(service: str, **arguments: Any) -> Any:
    """A client, as ``boto3.client`` makes it. This takes milliseconds, so callers keep what they get."""
    make: Any = boto3.client  # its types list the services one by one
    with _lock:
        return make(service, **arguments)
