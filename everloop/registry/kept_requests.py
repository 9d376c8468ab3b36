"""Requests to train that came while nothing could start: kept once each, until a run answers them.

What becomes of one is not written: the runs say it (:mod:`everloop.retraining.kept`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from everloop.documents.records import Trigger
from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.items import Record
from everloop.registry.ledger import Ledger, Plan


@dataclass(frozen=True)
class KeptRequest(Record):
    """A request to train that nothing was started for.

    Attributes
    ----------
    kept_at : datetime
        When it came. Only a run that starts later can answer it.
    trigger : Trigger
        As it was given.
    held_by : str
        What was in its way, in a sentence.
    """

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset({"trigger"})

    model: str
    request_id: str
    kept_at: datetime
    trigger: Trigger
    held_by: str
    actor: str

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the model's partition, under ``REQUEST#`` and its id."""
        return keys.partition(self.model), keys.kept_request(self.request_id)


class KeptRequests:
    """The requests of a model that were kept."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.model = ledger.model

    def find(self, request_id: str) -> KeptRequest | None:
        """The request of that id; None when none was kept."""
        return self._ledger.read(KeptRequest, keys.kept_request(request_id))

    def all(self) -> list[KeptRequest]:
        """All that were ever kept, newest first."""
        return sorted(self._ledger.all(KeptRequest, keys.KEPT_REQUESTS), key=lambda r: r.kept_at, reverse=True)

    def keep(self, request_id: str, *, trigger: Trigger, held_by: str, at: datetime, actor: str) -> KeptRequest:
        """Keep a request, once however often it comes; the one on record."""

        def plan() -> Plan:
            record = KeptRequest(self.model, request_id, at, trigger, held_by, actor)
            details = {"request_id": request_id, "trigger": trigger, "held_by": held_by}
            entry = Entry(at=at, action="request_kept", actor=actor, reason=trigger.get("reason"), details=details)
            return Plan((changes.create(record, f"request {request_id} is not kept yet"),), (entry,))

        self._ledger.commit(f"keep:{request_id}", f"keep request {request_id}", plan)
        return self._kept(request_id)

    def keep_refused(self, request_id: str, *, trigger: Trigger, held_by: str, at: datetime, actor: str) -> KeptRequest:
        """As :meth:`keep`, of the execution ``request_id`` that was started and could not open its run."""
        return self.keep(request_id, trigger=trigger, held_by=held_by, at=at, actor=actor)

    def _kept(self, request_id: str) -> KeptRequest:
        found = self.find(request_id)
        assert found is not None  # it was just written, or had been
        return found
