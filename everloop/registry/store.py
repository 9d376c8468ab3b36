"""The registry of one model in DynamoDB: everything that reads or writes it goes through here."""

from __future__ import annotations

from collections.abc import Iterator

from everloop.registry import keys
from everloop.registry.records import AuditRecord
from everloop.registry.rollouts import Rollouts


class RegistryStore(Rollouts):
    """Versions, runs, rollouts, snapshots, windows and the audit chain of one model.

    It writes itself. State and audit may be written by the registry function alone: everybody else reads by this, and
    writes by :class:`everloop.registry.remote.RemoteRegistry`, which sends its commands to that function.

    Parameters
    ----------
    client
        A boto3 ``dynamodb`` client.
    table : str
        The table's name.
    model : str
        The model's name.
    """

    def audit_records(self) -> Iterator[AuditRecord]:
        """The whole audit chain, oldest first."""
        return self._all(AuditRecord, keys.AUDIT)
