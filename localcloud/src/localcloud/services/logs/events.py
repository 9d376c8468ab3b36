"""The events of one log stream: the newest in memory, the others in files, none beyond their retention."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from moto.logs.models import LogEvent

IN_MEMORY = 256
PER_FILE = 16_384

_numbers = itertools.count(1)


@dataclass
class _File:
    """Events that were written: where, how many, and the time of the newest, in milliseconds."""

    path: Path
    events: int
    newest: int


class LogEvents:
    """What moto takes for the list of a stream's events.

    Parameters
    ----------
    directory : Path
        Where the files are; exists.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._recent: list[LogEvent] = []
        self._files: list[_File] = []
        self._lock = threading.Lock()
        self.oldest: int | None = None
        self.newest: int | None = None

    def __len__(self) -> int:
        with self._lock:
            return len(self._recent) + sum(file.events for file in self._files)

    def __iadd__(self, events: Iterable[LogEvent]) -> LogEvents:
        self.extend(events)
        return self

    def __iter__(self) -> Iterator[LogEvent]:
        with self._lock:
            files, recent = [(file.path, file.events) for file in self._files], list(self._recent)
        for path, count in files:
            yield from _read(path, count)
        yield from recent

    def extend(self, events: Iterable[LogEvent]) -> None:
        """Keep more events."""
        with self._lock:
            for event in events:
                self._recent.append(event)
                self.oldest = event.timestamp if self.oldest is None else min(self.oldest, event.timestamp)
                self.newest = event.timestamp if self.newest is None else max(self.newest, event.timestamp)
            if len(self._recent) >= IN_MEMORY:
                self._write()

    def expire(self, before: int) -> None:
        """Drop files whose events are all older than a time in milliseconds."""
        with self._lock:
            while self._files and self._files[0].newest < before:
                self._files.pop(0).path.unlink(missing_ok=True)
                self.oldest = before

    def spill(self) -> None:
        """Put in files what is in memory: nothing more is expected soon."""
        with self._lock:
            if self._recent:
                self._write()

    def clear(self) -> None:
        """Drop everything: the stream is deleted."""
        with self._lock:
            for file in self._files:
                file.path.unlink(missing_ok=True)
            self._files, self._recent = [], []

    def _write(self) -> None:
        if not self._files or self._files[-1].events >= PER_FILE:
            self._files.append(_File(self._directory / f"{next(_numbers)}.jsonl", 0, 0))
        file, events = self._files[-1], self._recent
        lines = [json.dumps([e.event_id, e.ingestion_time, e.timestamp, e.message]) for e in events]
        with file.path.open("a") as target:
            target.write("\n".join(lines) + "\n")
        file.events += len(events)
        file.newest = max(file.newest, *(event.timestamp for event in events))
        self._recent = []


def _read(path: Path, count: int) -> Iterator[LogEvent]:
    try:
        with path.open() as file:
            for line in itertools.islice(file, count):
                event = cast(LogEvent, LogEvent.__new__(LogEvent))
                event.event_id, event.ingestion_time, event.timestamp, event.message = json.loads(line)
                yield event
    except FileNotFoundError:  # expired in the meantime
        return
