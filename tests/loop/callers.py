"""Callers who ask all the time while something else goes on."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Seen = Counter[tuple[int, str]]
"""What callers got, by status and version or code."""

CALLERS = 2
SHARE = 3
"""Of the time that goes by, each waits for an answer at most one part in so many: the rest is for what goes on."""


@contextmanager
def calling(ask: Callable[[str], tuple[int, Any]], *, pause_seconds: float = 0.1) -> Iterator[Seen]:
    """What callers get from ``ask``, which takes a fresh key and gives status and answer; each asks after a pause.

    A slow answer makes the pause longer: callers of a slow model would keep the machine busy with nothing else.
    """
    seen: Seen = Counter()
    ended = threading.Event()

    def caller(name: str) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            began = time.monotonic()
            try:
                status, answer = ask(f"{name}-{number}")
            except OSError as error:
                seen[0, f"{type(error).__name__}: {error}"] += 1
                continue
            took = time.monotonic() - began
            # What API Gateway answers by itself has a message alone.
            refused = answer["error"]["code"] if "error" in answer else answer.get("message", "")
            seen[status, str(answer["version"]) if status == 200 else refused] += 1
            ended.wait(max(pause_seconds, (SHARE - 1) * took))

    callers = [threading.Thread(target=caller, args=(f"caller{i}",)) for i in range(CALLERS)]
    for each in callers:
        each.start()
    try:
        yield seen
    finally:
        ended.set()
        for each in callers:
            each.join()
