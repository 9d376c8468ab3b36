"""Warm workers per function version, within one bound on memory for all."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from localcloud.services.lambda_.runtime.exceptions import TooManyRequestsError
from localcloud.services.lambda_.runtime.worker import Worker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PoolLimits:
    """Bounds of the pools.

    Attributes
    ----------
    workers_per_version : int
        More concurrent events than this wait for a worker, where AWS would start another environment.
    idle_seconds : float
        Real time after which an unused worker is ended.
    idle_on_clock : timedelta, optional
        Time of the local clock after which an unused worker is not used again.
    freezes : bool
        Whether an idle worker is stopped until its next event.
    shares_processor : bool
        Whether a worker has a share of a processor by its function's memory, once it has initialised.
    memory_mb : int
        Idle workers are ended, the longest unused first, while all workers together hold more than this.
    wait_seconds : float
        How long an event waits for a worker before it is throttled.
    """

    workers_per_version: int = 4
    idle_seconds: float = 300.0
    memory_mb: int = 2048
    wait_seconds: float = 900.0
    idle_on_clock: timedelta | None = None
    freezes: bool = False
    shares_processor: bool = False


@dataclass
class _Pool:
    idle: list[Worker] = field(default_factory=list)
    busy: set[Worker] = field(default_factory=set)
    starting: int = 0
    retired: bool = False

    @property
    def size(self) -> int:
        return len(self.idle) + len(self.busy) + self.starting


class WorkerPools:
    """Lends workers. Keys are revisions of function versions.

    Parameters
    ----------
    limits : PoolLimits, optional
    now : callable
        The local clock's time.
    """

    def __init__(
        self, limits: PoolLimits | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.limits = limits or PoolLimits()
        self._now = now
        self._pools: dict[str, _Pool] = {}
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._tidy, name="worker-tidy", daemon=True).start()

    def borrow(self, key: str, start: Callable[[], Worker]) -> Worker:
        """An idle worker, or a new one while the bound allows, or the next that becomes idle.

        Raises
        ------
        TooManyRequestsError
            When none becomes idle in time.
        """
        deadline = time.monotonic() + self.limits.wait_seconds
        with self._changed:
            while True:
                if self._closed:
                    raise TooManyRequestsError("the local cloud is shutting down")
                pool = self._pools.setdefault(key, _Pool())
                worker = self._take_idle(pool)
                if worker is not None:
                    return worker
                if pool.size < self.limits.workers_per_version:
                    pool.starting += 1
                    break
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise TooManyRequestsError("Rate Exceeded: every local worker of this version stayed busy")
        worker = None
        try:
            worker = start()
            return worker
        finally:
            with self._changed:
                pool.starting -= 1
                if worker is not None:
                    pool.busy.add(worker)
                self._changed.notify_all()

    def give_back(self, key: str, worker: Worker, *, usable: bool) -> None:
        """Return a worker; one that is not usable, or whose version is gone, is ended."""
        if usable and self.limits.freezes:
            usable = worker.freeze()
        with self._changed:
            pool = self._pools[key]
            pool.busy.discard(worker)
            keep = usable and not pool.retired and not self._closed
            if keep:
                pool.idle.append(worker)
                worker.unused_since = self._now()
            elif pool.retired and not pool.size:
                self._pools.pop(key, None)
            self._changed.notify_all()
        if not keep:
            worker.kill()

    def retire(self, key: str) -> None:
        """End the workers of a version that nothing reaches any more, busy ones after their event."""
        with self._changed:
            pool = self._pools.get(key)
            if pool is None:
                return
            idle, pool.idle, pool.retired = pool.idle, [], True
            if not pool.size:
                del self._pools[key]
        for worker in idle:
            worker.kill()

    def close(self) -> None:
        """End every worker."""
        with self._changed:
            self._closed = True
            idle = [worker for pool in self._pools.values() for worker in pool.idle]
            busy = [worker for pool in self._pools.values() for worker in pool.busy]
            for pool in self._pools.values():
                pool.idle.clear()
            self._changed.notify_all()
        for worker in idle:
            worker.kill()
        for worker in busy:
            worker.interrupt()

    def memory_mb(self) -> int:
        """Resident memory of all workers together."""
        return sum(worker.memory_mb() for worker in self._workers())

    def _workers(self) -> list[Worker]:
        with self._changed:
            return [worker for pool in self._pools.values() for worker in (*pool.idle, *pool.busy)]

    def _take_idle(self, pool: _Pool) -> Worker | None:
        while pool.idle:
            worker = pool.idle.pop()
            if worker.is_alive and not self._is_stale(worker):
                pool.busy.add(worker)
                return worker
            worker.kill()
        return None

    def _is_stale(self, worker: Worker) -> bool:
        """Whether an idle worker was unused for so long that AWS would have ended it."""
        limit = self.limits.idle_on_clock
        return limit is not None and worker.unused_since is not None and self._now() - worker.unused_since > limit

    def _tidy(self) -> None:
        while not self._closed:
            time.sleep(5.0)
            for worker in self._pick_superfluous():
                worker.kill()

    def _pick_superfluous(self) -> list[Worker]:
        """Take out of the pools what is idle for too long, or too much for the memory bound."""
        horizon = time.monotonic() - self.limits.idle_seconds
        excess = self.memory_mb() - self.limits.memory_mb
        picked: list[Worker] = []
        with self._changed:
            idle = [(worker, pool) for pool in self._pools.values() for worker in pool.idle]
            for worker, pool in sorted(idle, key=lambda pair: pair[0].last_used):
                if worker.last_used < horizon or excess > 0:
                    pool.idle.remove(worker)
                    picked.append(worker)
                    excess -= worker.memory_mb()
        return picked
