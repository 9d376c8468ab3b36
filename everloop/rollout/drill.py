"""Rolls back to the previous champion and forward again while nothing is wrong, and says how long that took.

A rollback that was never tried may not work on the day when it is needed. The previous champion is published again and
asked first, so callers meet a version that is warm. They are answered all the time, by one version or the other.

What moves the traffic otherwise goes first: a drill does not begin while a rollout is open, takes the traffic only if
the registry has not moved since it looked, and gives it back to where the registry says by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypedDict, TypeVar

from everloop.manifest import CONTRACT, require_hash
from everloop.registry.drills import Drill
from everloop.registry.exceptions import RegistryError
from everloop.registry.records import Champion, Version
from everloop.registry.store import RegistryStore
from everloop.rollout.differences import registered_files
from everloop.rollout.exceptions import EndpointNotReadyError
from everloop.rollout.first_request import why_not_started
from everloop.rollout.previous import previous_champion
from everloop.rollout.reconciler import Reconciler
from everloop.rollout.targets import RolloutTarget, ServedArtifact
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import ServingError

ACTOR = "drill"

TRIES = 20
"""How often an endpoint is asked whether it is ready; each time takes up to 20 s."""

T = TypeVar("T")


class Drilled(TypedDict):
    """What came of a drill: ``status`` is ``passed``, ``failed``, ``gave_way`` or ``not_begun``; and the ``reason``."""

    status: str
    reason: str
    version: int | None
    previous_version: int | None
    back_seconds: float | None
    forward_seconds: float | None


@dataclass(frozen=True)
class Driller:
    """What a model is drilled with.

    Attributes
    ----------
    read : callable
        The bytes of a registered file by its key; None where there is none.
    timer : callable
        Seconds of a monotonic counter.
    """

    store: RegistryStore
    target: RolloutTarget
    reconciler: Reconciler
    read: Callable[[str], bytes | None]
    timer: Callable[[], float] = field(default=time.perf_counter, compare=False)

    def drill(self, *, at: datetime, actor: str = ACTOR) -> Drilled:
        """Drill once. May be repeated: what a drill left that was interrupted is put right first."""
        last = self.store.drills.latest()
        if last is not None and last.is_under_way:
            return self._interrupted(last, at, actor)
        if last is not None and last.begun_at == at:
            return _told(last)
        champion = self.store.versions.champion()
        previous = None if champion is None else previous_champion(self.store, champion.version)
        hindrance = self._hindrance(champion, previous)
        if hindrance or champion is None or previous is None:
            return _not_begun(hindrance)
        try:
            begun = self.store.drills.begin(champion.version, previous.version, at=at, actor=actor)
        except RegistryError as error:
            return _not_begun(str(error))
        return self._drilled(begun, previous, actor)

    def _hindrance(self, champion: Champion | None, previous: Version | None) -> str:
        """Why there is nothing to drill, or not now; empty for nothing."""
        if champion is None:
            return "nothing serves"
        moving = next((one for one in self.store.rollouts.all() if one.is_open), None)
        if moving is not None:
            return f"rollout {moving.rollout_id} is open"
        if previous is None:
            return f"version {champion.version} is the first champion: there is nothing to roll back to"
        serving = self.store.versions.get(champion.version)
        try:
            here, there = self._contract(serving), self._contract(previous)
        except ServingError as error:
            return str(error)
        if _asked(here) != _asked(there):
            return f"version {previous.version} takes other requests than version {serving.version}"
        for key, sha256 in registered_files([previous]).items():
            if self.reconciler.observer.sha256(key) != sha256:
                return f"{key} is not the file that was registered"
        return ""

    def _contract(self, version: Version) -> ServingContract:
        key = f"{version.artifact_prefix}{CONTRACT}"
        content = self.read(key) or b""
        require_hash(key, content, version.files[CONTRACT]["sha256"])
        return ServingContract.from_json(content)

    def _drilled(self, begun: Drill, previous: Version, actor: str) -> Drilled:
        started, head = self.timer(), self.store.ledger.audit_head()
        published, back, forward, reason, gave_way = "", None, None, "", False
        try:
            published = self._patiently(lambda: self.target.publish(self._artifact(previous))).lambda_version
            reason = self._warmed(published, begun)
            if not reason:
                before = self.timer()
                self.target.settle(published, only_if=lambda: self.store.ledger.audit_head() == head)
                if self.target.current().primary == published:
                    back = self.timer() - before
                else:
                    reason, gave_way = "the traffic was wanted otherwise meanwhile", True
        except Exception as error:  # whatever it is, the traffic goes back, and the drill has failed for this reason
            reason = f"{type(error).__name__}: {error}"
        before = self.timer()
        self._patiently(self.reconciler.move_back)
        if back is not None:
            forward = self.timer() - before
        if published and self.target.current().primary == published:
            reason, gave_way = reason or "the traffic did not come back", False
        elif published:
            self.target.release(published)
        ended = begun.begun_at + timedelta(seconds=self.timer() - started)
        return _told(self._end(begun, back, forward, reason, at=ended, actor=actor, gave_way=gave_way))

    def _artifact(self, version: Version) -> ServedArtifact:
        """The version with the calibration that was published for it last."""
        last = next(iter(self.store.calibrations.of(version.version, limit=1)), None)
        calibration = "" if last is None else last.calibration
        return ServedArtifact.of(version, calibration)

    def _patiently(self, act: Callable[[], T]) -> T:
        """Act, again while an endpoint is not ready: each try waits for it for a while."""
        for _ in range(TRIES - 1):
            try:
                return act()
            except EndpointNotReadyError:
                continue
        return act()

    def _warmed(self, lambda_version: str, begun: Drill) -> str:
        """Ask the previous version, so that it has started before callers meet it; why it can't serve, if it can't."""
        name, model = f"drill-{begun.begun_at:%Y%m%d%H%M%S}", self.store.model
        said = why_not_started(self.target, lambda_version, model=model, name=name, at=begun.begun_at)
        return f"version {begun.previous_version} does not start: it answers {said}" if said else ""

    def _interrupted(self, last: Drill, at: datetime, actor: str) -> Drilled:
        """End a drill that was begun and never ended, with the traffic where the registry says."""
        self.reconciler.move_back()
        reason = "it was interrupted; the traffic was given back by the next one"
        return _told(self._end(last, None, None, reason, at=max(at, last.begun_at), actor=actor))

    def _end(
        self,
        begun: Drill,
        back: float | None,
        forward: float | None,
        reason: str,
        *,
        at: datetime,
        actor: str,
        gave_way: bool = False,
    ) -> Drill:
        return self.store.drills.end(
            begun.begun_at,
            back_seconds=back,
            forward_seconds=forward,
            reason=reason or None,
            at=at,
            actor=actor,
            gave_way=gave_way,
        )


def _asked(contract: ServingContract) -> object:
    """What callers see of a contract: all but what training learned."""
    return (
        contract.problem_type,
        contract.key,
        contract.max_rows,
        contract.classes,
        [(f.name, f.min, f.max, f.missing) for f in contract.numbers],
        [
            (f.name, f.missing, f.unseen, f.max_length, f.values if f.unseen == "refuse" else ())
            for f in contract.categories
        ],
        contract.interval is not None,
    )


def _told(drill: Drill) -> Drilled:
    return {
        "status": drill.status,
        "reason": drill.reason,
        "version": drill.version,
        "previous_version": drill.previous_version,
        "back_seconds": drill.back_seconds,
        "forward_seconds": drill.forward_seconds,
    }


def _not_begun(reason: str) -> Drilled:
    return {
        "status": "not_begun",
        "reason": reason,
        "version": None,
        "previous_version": None,
        "back_seconds": None,
        "forward_seconds": None,
    }
