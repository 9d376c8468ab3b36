"""What the last reconciliation found: whether what is deployed is what the registry says, and who made it differ.

Only changes are recorded: that a difference appeared, that another one did, that it is gone, that it is known who made
it. A look that finds what the last one found leaves the audit chain as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from everloop.documents.deployment import ChangedBy, DifferenceDocument, told_difference
from everloop.instants import instant_text, parse_instant
from everloop.json_text import canonical_json
from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.items import Record
from everloop.registry.ledger import Ledger, Plan
from everloop.registry.records import AuditRecord

DIFFERS = "deployment_differs"
PUT_RIGHT = "deployment_put_right"
AGREES = "deployment_agrees"
EXPLAINED = "deployment_explained"
RECONCILED = (DIFFERS, PUT_RIGHT, AGREES, EXPLAINED)
"""What the audit chain calls them."""

MOST_OWED = 20
"""So many differences that are gone are remembered until it is known who made them: the newest."""

_RANK = {"yes": 3, "no": 2, "not_yet": 1}


@dataclass(frozen=True)
class Reconciliation(Record):
    """What differs since ``since``: by code, with a sentence; nothing where all agrees again.

    ``owed`` is what differed before, and is gone, where it is not known yet who made it; None for nothing.
    """

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset({"reasons", "owed"})

    model: str
    since: datetime
    reasons: list[DifferenceDocument] = field(default_factory=list)
    owed: list[DifferenceDocument] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The one place for it in the model's partition."""
        return keys.partition(self.model), keys.RECONCILIATION


@dataclass(frozen=True)
class Noted:
    """What is to be recorded of a look: under which action, and what it explains."""

    found: Reconciliation
    action: str
    explained: list[DifferenceDocument]

    def entry(self, at: datetime, actor: str, version: int | None) -> Entry:
        """The audit record."""
        said = self.explained if self.action == EXPLAINED else [*self.found.reasons, *self.explained]
        details: dict[str, object] = {"reasons": self.found.reasons}
        if self.action == EXPLAINED:
            details["since"] = instant_text(self.found.since)
        if self.explained:
            details["explained"] = self.explained
        why = "; ".join(told_difference(one) for one in said) or None
        return Entry(at, self.action, actor, version, None, why, details)


def noted(
    before: Reconciliation,
    reasons: Sequence[DifferenceDocument],
    explained: Sequence[DifferenceDocument],
    *,
    putting_right: bool,
    at: datetime,
) -> Noted | None:
    """What a look adds to what is on record; None for nothing.

    What is known of who made a difference is never known less by a later look.
    """
    standing = {_finding(one): one for one in before.reasons}
    found = [_completed(standing.get(_finding(one)), one) for one in reasons]
    gone = [one for one in before.reasons if _pending(one) and not _among(one, found)]
    resolved = [one for one in explained if not _pending(one)]
    known = {_occurrence(one): one for one in resolved}
    remembered = [*(before.owed or []), *gone]
    owed = [one for one in remembered if _occurrence(one) not in known][-MOST_OWED:]
    told = [known[_occurrence(one)] for one in remembered if _occurrence(one) in known]
    if [_finding(one) for one in before.reasons] != [_finding(one) for one in found]:
        action = AGREES if not found else PUT_RIGHT if putting_right else DIFFERS
        return Noted(Reconciliation(before.model, at, found, owed or None), action, told)
    told += [one for one in found if _known(one) > _known(standing[_finding(one)]) and not _pending(one)]
    record = Reconciliation(before.model, before.since, found, owed or None)
    return None if record == before else Noted(record, EXPLAINED, told)


def _finding(one: DifferenceDocument) -> str:
    """A difference without who made it."""
    return canonical_json({name: value for name, value in one.items() if name != "by"})


def _occurrence(one: DifferenceDocument) -> tuple[str, str]:
    """The difference that one look found: it may come again, by somebody else."""
    by = one.get("by")
    return _finding(one), by["found_at"] if by else ""


def _among(one: DifferenceDocument, others: Iterable[DifferenceDocument]) -> bool:
    return any(_finding(one) == _finding(other) for other in others)


def _known(one: DifferenceDocument) -> int:
    by: ChangedBy | None = one.get("by")
    return _RANK[by["known"]] if by else 0


def _pending(one: DifferenceDocument) -> bool:
    return _known(one) == _RANK["not_yet"]


def _completed(standing: DifferenceDocument | None, found: DifferenceDocument) -> DifferenceDocument:
    """A difference that stands, with what is known best."""
    return found if standing is None or _known(found) > _known(standing) else standing


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
        reasons: list[DifferenceDocument],
        *,
        putting_right: bool,
        version: int | None,
        at: datetime,
        actor: str,
        explained: list[DifferenceDocument] | None = None,
    ) -> Reconciliation:
        """Record what a look found, where that is another thing than what is on record.

        Parameters
        ----------
        reasons : list of DifferenceDocument
            What differs; empty for nothing.
        putting_right : bool
            The traffic is being moved back.
        version : int or None
            The champion.
        explained : list of DifferenceDocument, optional
            Those of ``owed`` of which it is known by now who made them, or that it won't be.
        """
        standing = self.latest()
        nothing = Reconciliation(self.model, at)

        def adds(before: Reconciliation | None) -> Noted | None:
            return noted(before or nothing, reasons, explained or [], putting_right=putting_right, at=at)

        now = adds(standing)
        if now is None:
            return standing or nothing
        action = now.action

        def plan() -> Plan:
            before = self.latest()
            found = adds(before) or now
            what = "nothing else was found meanwhile"
            if before is None:
                write = changes.create(found.found, what)
            else:
                write = changes.replace(found.found, changes.holds(what, since=instant_text(before.since)))
            return Plan((write,), (found.entry(at, actor, version),))

        self._ledger.commit(f"{action}:{instant_text(at)}", f"note that the {action.replace('_', ' ')}", plan)
        return self.latest() or now.found


def told_reconciliation(records: Sequence[AuditRecord]) -> dict[str, object] | None:
    """What the audit chain says that the last reconciliation found; None where none ever differed."""
    last = next((record for record in reversed(records) if record.action in RECONCILED), None)
    if last is None:
        return None
    since = last.details.get("since")
    return {
        "since": last.at if since is None else parse_instant(str(since)),
        "reasons": last.details.get("reasons"),
    }
