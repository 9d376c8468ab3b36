"""Holds what is deployed against the registry, notes what differs, and puts the traffic right where that is declared.

Who made a difference is asked of the account's history of calls. It shows them some minutes late: what is not known at
one look is asked again at the next, also of a difference that is gone by then.

While a rollout moves the traffic, registry and target differ for a moment: a difference counts when a second look finds
it again, and the registry has not moved in between. While a rollback is drilled, nothing can be said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import NotRequired, TypedDict, cast

from everloop.documents.deployment import DifferenceDocument
from everloop.manifest import MANIFEST
from everloop.objects import ObjectTooLargeError
from everloop.registry.records import Champion, Version
from everloop.registry.store import RegistryStore
from everloop.rollout.attributing import Attributing
from everloop.rollout.call_history import CallHistory
from everloop.rollout.differences import (
    TRAFFIC_MOVED,
    Difference,
    Seen,
    Signed,
    Told,
    differences,
    expected_traffic,
    registered_files,
)
from everloop.rollout.elsewhere import Elsewhere, Found
from everloop.rollout.observed import Observer
from everloop.rollout.targets import RolloutTarget, ServedArtifact
from everloop.signature import SIGNATURE

LOOKS = 5
"""So often it is looked before nothing is said: somebody moves traffic all the time."""

LOOK_AGAIN_SECONDS = 3.0
ACTOR = "reconciliation"


class Reconciled(TypedDict):
    """What a look found. ``settled`` is False where nothing could be said, because traffic moved meanwhile.

    ``explained`` is what an earlier look found, and is gone: of it is known by now who made it, or that it won't be.
    ``not_looked`` says what under other names could not be looked at.
    """

    settled: bool
    differences: list[DifferenceDocument]
    put_right: bool
    explained: NotRequired[list[DifferenceDocument]]
    not_looked: NotRequired[list[str]]


@dataclass(frozen=True)
class Reconciler:
    """What a model is reconciled with; ``put_right`` is what is declared.

    Without a ``history`` nobody is asked who made a difference, without ``elsewhere`` other names are not looked at.
    """

    store: RegistryStore
    target: RolloutTarget
    observer: Observer
    put_right: bool = False
    history: CallHistory | None = None
    elsewhere: Elsewhere | None = None
    pause: Callable[[float], None] = field(default=time.sleep, compare=False)

    def reconcile(self, *, at: datetime, actor: str = ACTOR) -> Reconciled:
        """Look once. What differs is in the audit chain before anything is moved.

        May be repeated: what is noted already is not noted again.
        """
        looked = self._look()
        if looked is None:
            return {"settled": False, "differences": [], "put_right": False}
        found, champion = looked
        other = self.elsewhere.look() if self.elsewhere is not None else Found()
        found = (*found, *other.differences)
        version = champion.version if champion else None
        mending = self.put_right and any(one.code == TRAFFIC_MOVED for one in found)
        documents, explained = self._attributed(found, at)
        note = partial(self.store.reconciliations.note, version=version, at=at, actor=actor)
        note(documents, putting_right=mending, explained=explained)
        if mending:
            self.move_back()
            left = [one for one in documents if one["code"] != TRAFFIC_MOVED]
            note(left, putting_right=False)
        answer: Reconciled = {"settled": True, "differences": documents, "put_right": mending}
        if explained:
            answer["explained"] = explained
        if other.not_looked:
            answer["not_looked"] = [*other.not_looked]
        return answer

    def _attributed(
        self, found: Sequence[Difference], at: datetime
    ) -> tuple[list[DifferenceDocument], list[DifferenceDocument]]:
        """What differs, with who made it so; and what differed before, where that is known by now."""
        documents = [cast("DifferenceDocument", one.as_dict()) for one in found]
        standing = self.store.reconciliations.latest() if self.history is not None else None
        if self.history is None or (not found and not (standing and (standing.owed or standing.reasons))):
            return documents, []
        asking = Attributing(self.history, self.store.model, at)
        before = standing.reasons if standing else []
        attributed = [asking.of_found(one, document, before) for one, document in zip(found, documents, strict=True)]
        owed = [*((standing.owed if standing else None) or []), *asking.gone(before, attributed)]
        return attributed, [one for one in map(asking.again, owed) if one["by"]["known"] != "not_yet"]

    def _look(self) -> tuple[tuple[Difference, ...], Champion | None] | None:
        files: dict[str, str | None] = {}
        signed: dict[int, Signed] = {}
        last: tuple[Difference, ...] | None = None
        for attempt in range(LOOKS):
            if attempt:
                self.pause(LOOK_AGAIN_SECONDS)
            before, last_drill = self.store.ledger.audit_head(), self.store.drills.latest()
            told = self._told()
            found = differences(told, self._seen(told, files, signed))
            drilled = last_drill is not None and last_drill.is_under_way
            unmoved = before == self.store.ledger.audit_head() and not drilled
            if unmoved and (not found or found == last):
                return found, told.champion
            last = found if unmoved else None
        return None

    def _told(self) -> Told:
        champion, rollouts = self.store.versions.champion(), tuple(self.store.rollouts.all())
        reached = {r.version for r in rollouts if r.is_open} | ({champion.version} if champion else set())
        return Told(
            champion=champion,
            rollouts=rollouts,
            serving=tuple(self.store.versions.get(number) for number in sorted(reached)),
            calibrated=frozenset(c.lambda_version for c in self.store.calibrations.of(champion.version))
            if champion
            else frozenset(),
            running=self.store.runs.active() is not None,
        )

    def _seen(self, told: Told, files: dict[str, str | None], signed: dict[int, Signed]) -> Seen:
        """What is deployed; ``files`` and ``signed`` keep what was read."""
        for key in registered_files(told.serving):
            if key not in files:
                files[key] = self.observer.sha256(key)
        for version in told.serving:
            if version.signer and version.version not in signed:
                signed[version.version] = self._signed(version)
        champion, variants, there, elsewhere, as_registered = told.champion, self.observer.variants(), True, False, True
        endpoint = ""
        if champion is not None:
            there = self.target.holds(champion.lambda_version)
            elsewhere = not there and champion.lambda_version in (variants or ())
            endpoint = "" if there else self.observer.passed_on_to(champion.lambda_version)
            version = next(one for one in told.serving if one.version == champion.version)
            as_registered = there and self.target.holds(champion.lambda_version, self._artifact(version, champion))
        return Seen(
            traffic=self.target.current(),
            champion_there=there or elsewhere,
            champion_elsewhere=elsewhere,
            champion_endpoint=endpoint,
            champion_as_registered=as_registered,
            aliases=self.observer.aliases(),
            endpoint=self.observer.endpoint,
            variants=variants,
            files=dict(files),
            signed=dict(signed),
        )

    def _signed(self, version: Version) -> Signed:
        return Signed(*(self._content(f"{version.artifact_prefix}{name}") for name in (MANIFEST, SIGNATURE)))

    def _content(self, key: str) -> bytes | None:
        try:
            return self.observer.content(key)
        except ObjectTooLargeError:
            return b""  # whatever it is, it is not what was registered

    def _artifact(self, version: Version, champion: Champion) -> ServedArtifact:
        record = self.store.calibrations.in_force(champion)
        calibration = record.calibration if record else ""
        return ServedArtifact.of(version, calibration)

    def move_back(self) -> None:
        """Send requests where the registry says, and where it says by then if it moved meanwhile.

        A rollback between reading and moving must win: its version is bad.
        """
        for _ in range(LOOKS):
            head = self.store.ledger.audit_head()
            self._move(head)
            if self.store.ledger.audit_head() == head:
                return

    def _move(self, head: object) -> None:
        wanted = expected_traffic(self._told())
        if wanted.primary is None:
            self.target.idle()
        elif wanted.candidate is None:
            self.target.settle(wanted.primary, only_if=lambda: self.store.ledger.audit_head() == head)
        else:
            self.target.shift(primary=wanted.primary, candidate=wanted.candidate, percent=wanted.percent)
