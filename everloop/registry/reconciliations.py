"""What the last reconciliation found: whether what is deployed is what the registry says.

Only changes are recorded: that a difference appeared, that another one did, that it is gone. A look that finds what the
last one found leaves the audit chain as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from everloop.instants import instant_text
from everloop.reasons import ReasonDocument
from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.items import Record
from everloop.registry.ledger import Ledger, Plan
from everloop.registry.records import AuditRecord

DIFFERS = "deployment_differs"
PUT_RIGHT = "deployment_put_right"
AGREES = "deployment_agrees"
RECONCILED = (DIFFERS, PUT_RIGHT, AGREES)
"""What the audit chain calls them."""


@dataclass(frozen=True)
class Reconciliation(Record):
    """What differs since ``since``: by code, with a sentence; nothing where all agrees again."""

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset({"reasons"})

    model: str
    since: datetime
    reasons: list[ReasonDocument] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        """The one place for it in the model's partition."""
        return keys.partition(self.model), keys.RECONCILIATION


class Reconciliations:
    """What is on record of a model's reconciliations."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.model = ledger.model

    def latest(self) -> Reconciliation | None:
        """What the last look that found another thing than the one before found; None where none ever differed."""
        return self._ledger.read(Reconciliation, keys.RECONCILIATION)

    def note(
        self,
        reasons: list[ReasonDocument],
        *,
        putting_right: bool,
        version: int | None,
        at: datetime,
        actor: str,
    ) -> Reconciliation:
        """Record what a look found, where that is another thing than what is on record.

        Parameters
        ----------
        reasons : list of ReasonDocument
            What differs; empty for nothing.
        putting_right : bool
            The traffic is being moved back.
        version : int or None
            The champion.
        """
        standing = self.latest()
        if (standing.reasons if standing else []) == reasons:
            return standing or Reconciliation(self.model, at)
        action = AGREES if not reasons else PUT_RIGHT if putting_right else DIFFERS
        found = Reconciliation(self.model, at, reasons)
        why = "; ".join(reason["sentence"] for reason in reasons) or None

        def plan() -> Plan:
            before = self.latest()
            what = "nothing else was found meanwhile"
            if before is None:
                write = changes.create(found, what)
            else:
                write = changes.replace(found, changes.holds(what, since=instant_text(before.since)))
            return Plan((write,), (Entry(at, action, actor, version, None, why, {"reasons": reasons}),))

        self._ledger.commit(f"{action}:{instant_text(at)}", f"note that the {action.replace('_', ' ')}", plan)
        return self.latest() or found


def told_reconciliation(records: Sequence[AuditRecord]) -> dict[str, object] | None:
    """What the audit chain says that the last reconciliation found; None where none ever differed."""
    last = next((record for record in reversed(records) if record.action in RECONCILED), None)
    return None if last is None else {"since": last.at, "reasons": last.details.get("reasons")}
