"""Which jobs are under way, so that who waits for one learns of its end at once."""

from __future__ import annotations

import threading


class JobRegistry:
    """Ends of jobs by kind (``TrainingJob``, ``ProcessingJob``) and name."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: set[tuple[str, str]] = set()

    def begin(self, kind: str, name: str) -> None:
        """A job was created."""
        with self._changed:
            self._under_way.add((kind, name))

    def end(self, kind: str, name: str) -> None:
        """A job's status is final."""
        with self._changed:
            self._under_way.discard((kind, name))
            self._changed.notify_all()

    def wait(self, kind: str, name: str, timeout_seconds: float) -> bool:
        """Wait for a job's end; whether it has ended. An unknown job has."""
        with self._changed:
            return self._changed.wait_for(lambda: (kind, name) not in self._under_way, timeout_seconds)


JOBS = JobRegistry()
