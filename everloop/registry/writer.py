"""The registry function's whole work: one command in, one answer out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from everloop.busy_services import ServiceBusyError, busy_services_named
from everloop.registry.commands import decoded
from everloop.registry.locked_audit import LockedAudit
from everloop.registry.refusals import REFUSALS, WriterAnswer, refusal_document
from everloop.registry.store import RegistryStore


def caller_of(invoked_function_arn: str) -> str | None:
    """The alias that was invoked; None for the function itself.

    ``arn:<partition>:lambda:<region>:<account>:function:<name>[:<alias>]``
    """
    parts = invoked_function_arn.split(":")
    return parts[7] if len(parts) == 8 else None


def answer(
    event: Any, caller: str | None, store_for: Callable[[str], RegistryStore], locked: LockedAudit
) -> WriterAnswer:
    """Carry out the command ``event`` of ``caller``, and lock its audit records.

    It is answered once they are locked. Where that fails, what was written stays; the same command, or any other, locks
    it later.

    Parameters
    ----------
    store_for : callable
        Caller to a store that writes it into each audit record.
    locked : LockedAudit
        Where the model's audit records are locked.

    Returns
    -------
    WriterAnswer

    Raises
    ------
    LockedRecordDiffersError
        When another audit record is locked in the place of one of the table's: somebody changed one of the two.
    """
    try:
        with busy_services_named():
            command = decoded(event, caller)
            store = store_for(str(caller))
            end = locked.end(store.ledger)
            record = command.carry_out(store)
    except REFUSALS as error:
        return {"refused": refusal_document(error)}
    try:
        with busy_services_named():
            locked.lock(store.ledger.audit_records(after=end))
    except ServiceBusyError as error:
        return {"refused": refusal_document(error)}
    return {"record": record.to_json() if record else None}
