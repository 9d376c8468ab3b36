"""Who signed the request that this thread answers.

Set once, where the signature was verified; whoever decides reads it here. Nothing else of a request says who
it is from: headers and query could name one key and be signed with another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Signer:
    """A verified signature: the access key, and the region and service it was made for."""

    access_key_id: str
    region: str
    service: str


_current: ContextVar[Signer | None] = ContextVar("signer", default=None)


def current_signer() -> Signer | None:
    """Who signed the request in hand; None outside of one."""
    return _current.get()


@contextmanager
def signed_by(signer: Signer) -> Iterator[None]:
    """Answer a request of ``signer`` while the block runs."""
    token = _current.set(signer)
    try:
        yield
    finally:
        _current.reset(token)
