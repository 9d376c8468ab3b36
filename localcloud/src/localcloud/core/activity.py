"""Counts what the local cloud is doing, so that a driver can wait until it is quiet."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class NotQuietError(TimeoutError):
    """The local cloud was still busy when the wait ended; the message names with what."""


class Activity:
    """Who is busy. Work in flight holds one token; whoever waits on the clock or on a caller holds none."""

    def __init__(self) -> None:
        self._busy: Counter[str] = Counter()
        self._changed = threading.Condition()

    def enter(self, label: str) -> None:
        """Take a token for ``label``."""
        with self._changed:
            self._busy[label] += 1

    def leave(self, label: str) -> None:
        """Give a token of ``label`` back."""
        with self._changed:
            if self._busy[label] < 1:
                raise RuntimeError(f"{label!r} gave back a token that it did not hold")
            self._busy[label] -= 1
            if not self._busy[label]:
                del self._busy[label]
            self._changed.notify_all()

    @contextmanager
    def busy(self, label: str) -> Iterator[None]:
        """Hold a token for ``label`` while the block runs."""
        self.enter(label)
        try:
            yield
        finally:
            self.leave(label)

    def snapshot(self) -> dict[str, int]:
        """Tokens held now, by label."""
        with self._changed:
            return dict(self._busy)

    def wait_until_quiet(self, timeout_seconds: float) -> None:
        """Return once nobody holds a token.

        Raises
        ------
        NotQuietError
            When that takes longer than ``timeout_seconds`` of real time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._busy, timeout_seconds):
                held = ", ".join(f"{n} x {label}" for label, n in sorted(self._busy.items()))
                raise NotQuietError(f"still busy after {timeout_seconds:.0f} s: {held}")
