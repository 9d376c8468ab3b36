"""The drill of a rollback: that it was begun, and how it ended.

The record has the last one. The audit chain has them all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from everloop.instants import instant_text
from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.changes import champion_is, holds
from everloop.registry.exceptions import ChampionChangedError, RolloutEndedError, UnknownStatusError
from everloop.registry.items import Record
from everloop.registry.ledger import Ledger, Plan
from everloop.registry.records import AuditRecord
from everloop.registry.rollouts import Rollouts
from everloop.registry.versions import Versions

BEGUN, ENDED = "drill_begun", "drill_ended"
"""What the audit chain calls them."""

UNDER_WAY, PASSED, FAILED, GAVE_WAY = "under_way", "passed", "failed", "gave_way"


@dataclass(frozen=True)
class Drill(Record):
    """A rollback that was tried while nothing was wrong.

    Attributes
    ----------
    begun_at : datetime
        Its name too: a model has one at a time.
    version, previous_version : int
        The champion, and the version that its requests were sent to.
    status : str
        ``under_way``, ``passed``, ``failed``, or ``gave_way`` to what moved the traffic otherwise.
    back_seconds, forward_seconds : float or None
        How long it took until all requests went to the previous version, and to the champion again.
    reason : str
        Why it failed or gave way; empty where it passed.
    """

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset()

    model: str
    begun_at: datetime
    version: int
    previous_version: int
    status: str = UNDER_WAY
    back_seconds: float | None = None
    forward_seconds: float | None = None
    reason: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The one place for it in the model's partition."""
        return keys.partition(self.model), keys.DRILL

    @property
    def is_under_way(self) -> bool:
        """Whether its end is not on record."""
        return self.status == UNDER_WAY


class Drills:
    """What is on record of a model's drills."""

    def __init__(self, ledger: Ledger, versions: Versions, rollouts: Rollouts) -> None:
        self._ledger = ledger
        self._versions = versions
        self._rollouts = rollouts
        self.model = ledger.model

    def latest(self) -> Drill | None:
        """The last one; None where there was none."""
        return self._ledger.read(Drill, keys.DRILL)

    def begin(self, version: int, previous_version: int, *, at: datetime, actor: str) -> Drill:
        """Note that one begins, while nothing else moves the traffic.

        Raises
        ------
        ChampionChangedError
            When ``version`` is not the champion.
        RolloutEndedError
            While a rollout is open.
        UnknownStatusError
            While another drill is under way.
        """
        begun = Drill(self.model, at, version, previous_version)

        def plan() -> Plan:
            champion, last = self._versions.champion(), self.latest()
            if champion is None or champion.version != version:
                standing = champion.version if champion else None
                raise ChampionChangedError(f"model {self.model}: the champion is version {standing}, not {version}")
            moving = next((one for one in self._rollouts.all() if one.is_open), None)
            if moving is not None:
                raise RolloutEndedError(
                    f"model {self.model}: rollout {moving.rollout_id} is open; a drill waits for it"
                )
            if last is not None and last.is_under_way:
                raise UnknownStatusError(
                    f"model {self.model}: the drill of {instant_text(last.begun_at)} is under way; end it first"
                )
            what = "no other drill began meanwhile"
            write = changes.create(begun, what) if last is None else changes.replace(begun, _is(last, what))
            still = changes.require((keys.partition(self.model), keys.CHAMPION), champion_is(champion))
            details = {"previous_version": previous_version}
            return Plan((write, still), (Entry(at, BEGUN, actor, version, None, None, details),))

        self._ledger.commit(f"drill:{instant_text(at)}", "begin a drill", plan)
        return self.latest() or begun

    def end(
        self,
        begun_at: datetime,
        *,
        back_seconds: float | None,
        forward_seconds: float | None,
        reason: str | None,
        at: datetime,
        actor: str,
        gave_way: bool = False,
    ) -> Drill:
        """Note how the drill that began then ended: where there is a reason, it failed or gave way.

        Raises
        ------
        UnknownStatusError
            When no such drill is under way.
        """

        def plan() -> Plan:
            last = self.latest()
            if last is None or not last.is_under_way or last.begun_at != begun_at:
                raise UnknownStatusError(f"model {self.model}: no drill of {instant_text(begun_at)} is under way")
            ended = replace(
                last,
                status=(GAVE_WAY if gave_way else FAILED) if reason else PASSED,
                back_seconds=back_seconds,
                forward_seconds=forward_seconds,
                reason=reason or "",
            )
            details = {
                "begun_at": instant_text(begun_at),
                "status": ended.status,
                "previous_version": last.previous_version,
                "back_seconds": back_seconds,
                "forward_seconds": forward_seconds,
            }
            entry = Entry(at, ENDED, actor, last.version, None, reason or None, details)
            return Plan((changes.replace(ended, _is(last, "it is under way")),), (entry,))

        self._ledger.commit(f"drill_ended:{instant_text(begun_at)}", "end a drill", plan)
        found = self.latest()
        assert found is not None, "it was just written"
        return found


def _is(drill: Drill, meaning: str) -> changes.Condition:
    return holds(meaning, begun_at=instant_text(drill.begun_at), status=drill.status)


def told_drill(records: list[AuditRecord]) -> dict[str, object] | None:
    """What the audit chain says of the last drill; None where there was none."""
    last = next((record for record in reversed(records) if record.action in (BEGUN, ENDED)), None)
    if last is None:
        return None
    previous = last.details.get("previous_version")
    if last.action == BEGUN:
        return {"begun_at": last.at, "version": last.version, "previous_version": previous, "status": UNDER_WAY}
    return {"version": last.version, "previous_version": previous, "status": last.details.get("status")}
