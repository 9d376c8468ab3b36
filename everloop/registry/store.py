"""The registry of one model in DynamoDB: everything that reads or writes it goes through here."""

from __future__ import annotations

from collections.abc import Iterator

from everloop.registry import keys
from everloop.registry.records import AuditRecord, Snapshot, Window
from everloop.registry.rollouts import Rollouts


class RegistryStore(Rollouts):
    """Versions, runs, rollouts, snapshots, windows and the audit chain of one model.

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

    def put_snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Record a snapshot once; returns the one on record."""
        return self._create_once(snapshot)

    def snapshot(self, snapshot_hash: str) -> Snapshot | None:
        """The snapshot of that content hash; None when it is not recorded."""
        return self._read(Snapshot, keys.snapshot(snapshot_hash))

    def put_window(self, window: Window) -> Window:
        """Record a monitoring window once; returns the one on record, which an earlier run may have written."""
        return self._create_once(window)

    def window(self, end: str) -> Window | None:
        """The window that ended at ``end``; None when it is not recorded."""
        return self._read(Window, keys.window(end))

    def latest_windows(self, count: int) -> list[Window]:
        """The ``count`` latest windows, newest first."""
        return list(self._all(Window, keys.WINDOWS, newest_first=True, limit=count))
