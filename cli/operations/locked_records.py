"""The locked audit records of the account, held against its registry."""

from __future__ import annotations

from everloop.cli.account import Account
from everloop.registry import keys
from everloop.registry.locked_audit import LockedVerdict, compare
from everloop.registry.records import AuditRecord


def verify_locked(account: Account, model: str) -> LockedVerdict:
    """Whether the table has every audit record of ``model`` as it was locked.

    The locked ones are read first: each was in the table before it was locked.
    """
    locked = account.locked_audit(model).stored()
    records, _ = account.registry(model).ledger.readable(AuditRecord, keys.AUDIT)
    return compare(locked, records)
