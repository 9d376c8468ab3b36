"""Trainings of registered versions that people repeated, and what came out: evidence, in the audit chain alone."""

from __future__ import annotations

from datetime import datetime

from everloop.instants import instant_text
from everloop.registry.audit import Entry
from everloop.registry.ledger import Ledger
from everloop.registry.records import AuditRecord
from everloop.registry.versions import Versions

REPRODUCED = "reproduced"
"""What the audit chain calls it."""


class Reproductions:
    """The repeated trainings of a model's versions."""

    def __init__(self, ledger: Ledger, versions: Versions) -> None:
        self._ledger = ledger
        self._versions = versions

    def record(self, number: int, *, identical: bool, whole: bool, at: datetime, actor: str) -> None:
        """Record that ``actor`` trained a version again.

        Parameters
        ----------
        identical : bool
            Whether every model came out with the same bytes.
        whole : bool
            Whether the environment was the one of the version's lock.

        Raises
        ------
        UnknownVersionError
        """
        version = self._versions.get(number)
        outcome = "the same bytes came out" if identical else "other bytes came out"
        where = "in the environment of its lock" if whole else "in another environment than that of its lock"
        details = {"identical": identical, "whole": whole}
        entry = Entry(at, REPRODUCED, actor, number, version.run_id, f"{outcome}, {where}", details)
        self._ledger.note(entry, operation=f"reproduced:{number}:{actor}:{instant_text(at)}")

    def of(self, number: int) -> list[AuditRecord]:
        """Those of a version, newest first."""
        records = self._ledger.audit_records()
        return [one for one in records if one.action == REPRODUCED and one.version == number][::-1]
