"""What decisions rest on: data snapshots, monitoring windows and fresh probes, each written once, by the function that
made it.

They stand in partitions of their own, so their writers can't touch state or audit. A writer could still write over its
own records: of each one that a run was opened on, or a version registered with, the audit chain keeps the hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime

from everloop.json_text import canonical_json
from everloop.registry import keys
from everloop.registry.items import Record
from everloop.registry.ledger import Ledger
from everloop.registry.records import Probe, Snapshot, Window


def record_sha256(record: Record) -> str:
    """The hash of a record's content, as the audit chain keeps it."""
    return hashlib.sha256(canonical_json(record.to_json()).encode()).hexdigest()


class Snapshots:
    """The snapshots of a model."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._partition = keys.snapshots_partition(ledger.model)

    def put(self, snapshot: Snapshot) -> Snapshot:
        """Record a snapshot once; returns the one on record."""
        return self._ledger.create_once(snapshot)

    def find(self, snapshot_hash: str) -> Snapshot | None:
        """The snapshot of that content hash; None when it is not recorded."""
        return self._ledger.read(Snapshot, keys.snapshot(snapshot_hash), partition=self._partition)


class Windows:
    """The monitoring windows of a model."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._partition = keys.windows_partition(ledger.model)

    def put(self, window: Window) -> Window:
        """Record a window once; returns the one on record, which an earlier run may have written."""
        return self._ledger.create_once(window)

    def find(self, end: datetime) -> Window | None:
        """The window that ended at ``end``; None when it is not recorded."""
        return self._ledger.read(Window, keys.window(end), partition=self._partition)

    def after(self, instant: datetime) -> Iterator[Window]:
        """The windows that ended after ``instant``, oldest first, read page by page as they are asked for."""
        return self._ledger.all(Window, keys.WINDOWS, partition=self._partition, after=keys.window(instant))

    def newest_first(self) -> Iterator[Window]:
        """All windows, newest first, read page by page as they are asked for."""
        return self._ledger.all(Window, keys.WINDOWS, partition=self._partition, newest_first=True)

    def latest(self, count: int) -> list[Window]:
        """The ``count`` latest windows, newest first."""
        newest = self._ledger.all(Window, keys.WINDOWS, partition=self._partition, newest_first=True, limit=count)
        return list(newest)


class Probes:
    """The fresh probes of a model."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._partition = keys.probes_partition(ledger.model)

    def put(self, probe: Probe) -> Probe:
        """Record a probe once; returns the one on record, which an earlier job may have made."""
        return self._ledger.create_once(probe)

    def find(self, window_end: datetime) -> Probe | None:
        """The probe of the window that ended then; None when it is not recorded."""
        return self._ledger.read(Probe, keys.probe(window_end), partition=self._partition)

    def latest(self, count: int) -> list[Probe]:
        """The ``count`` latest probes, newest first."""
        newest = self._ledger.all(Probe, keys.PROBES, partition=self._partition, newest_first=True, limit=count)
        return list(newest)
