"""The control endpoints: what a driver of the local cloud asks that no AWS API tells."""

from __future__ import annotations

import hmac
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.core import allocator
from localcloud.core.activity import NotQuietError
from localcloud.core.context import CloudContext
from localcloud.core.http_server import HttpRequest, HttpResponse
from localcloud.core.json_text import read_json
from localcloud.core.processes import resident_mb
from localcloud.iam.usage import usage_of

_JSON = (("Content-Type", "application/json"),)
_SAMPLE_SECONDS = 2.0
_SAMPLES_PER_RELEASE = 5


class MemoryWatch:
    """Samples how much memory the cloud and its children hold, remembers the peak, and gives free memory back."""

    def __init__(self, sources: dict[str, Callable[[], int]]) -> None:
        self._sources = {"cloud": lambda: resident_mb(os.getpid()), **sources}
        self._peak = 0
        self._stop = threading.Event()
        threading.Thread(target=self._watch, name="memory-watch", daemon=True).start()

    def sample(self) -> dict[str, Any]:
        """Resident memory now, by part, and the peak of the sum so far, in MB."""
        parts = {name: source() for name, source in self._sources.items()}
        self._peak = max(self._peak, sum(parts.values()))
        return {"rss_mb": parts, "peak_mb": self._peak}

    def stop(self) -> None:
        """Sample no more."""
        self._stop.set()

    def _watch(self) -> None:
        samples = 0
        while not self._stop.wait(_SAMPLE_SECONDS):
            self.sample()
            samples += 1
            if samples % _SAMPLES_PER_RELEASE == 0:
                allocator.release()


class Control:
    """Answers what is under the control path.

    ``GET clock``, ``POST clock {"to": iso}`` of a moved clock, ``POST pass {"to": iso}`` of any, ``GET activity``,
    ``GET memory``, ``GET usage`` (of the roles' statements, as it is now), ``POST shutdown``. Each needs
    ``Authorization: Bearer`` with the control token of the operator's file: other users of this computer reach the
    port, too.
    """

    def __init__(self, context: CloudContext, memory: MemoryWatch, shut_down: Callable[[], None]) -> None:
        self._context = context
        self._memory = memory
        self._shut_down = shut_down

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        expected = f"Bearer {self._context.operator.control_token}"
        if not hmac.compare_digest((request.header("Authorization") or "").encode(), expected.encode()):
            return _error(403, "the control endpoints need the control token of this cloud's operator")
        place = (request.method, request.path.removeprefix(self._context.control_path))
        if place == ("GET", "clock"):
            return _answer(self._clock())
        if place == ("POST", "clock"):
            return self._advance(request, self._context.clock.advance)
        if place == ("POST", "pass"):
            return self._advance(request, self._context.clock.pass_time)
        if place == ("GET", "activity"):
            return _answer({"busy": self._context.activity.snapshot()})
        if place == ("GET", "memory"):
            return _answer(self._memory.sample())
        if place == ("GET", "usage"):
            return _answer(usage_of(self._context).counts())
        if place == ("POST", "shutdown"):
            threading.Thread(target=self._shut_down, name="shutdown").start()
            return _answer({"stopping": True})
        return _error(404, f"no control endpoint {request.method} {request.path}")

    def _clock(self) -> dict[str, Any]:
        clock = self._context.clock
        return {"now": clock.now().isoformat(), "moved": clock.is_moved}

    def _advance(self, request: HttpRequest, move: Callable[[datetime], list[str]]) -> HttpResponse:
        try:
            to = datetime.fromisoformat(read_json(request.body)["to"])
        except (ValueError, KeyError, TypeError) as error:
            return _error(400, f'expected {{"to": "<ISO 8601 time>"}}: {error}')
        if to.tzinfo is None:
            return _error(400, f"{to.isoformat()} has no time zone: end it with Z or an offset")
        try:
            ran = move(to.astimezone(UTC))
        except NotQuietError as error:
            return _error(504, str(error))
        except RuntimeError as error:
            return _error(409, str(error))
        return _answer({**self._clock(), "ran": ran})


def _answer(document: dict[str, Any]) -> HttpResponse:
    return HttpResponse(200, json.dumps(document).encode(), _JSON)


def _error(status: int, message: str) -> HttpResponse:
    return HttpResponse(status, json.dumps({"message": message}).encode(), _JSON)
