"""The registry of one model in DynamoDB: everything that reads or writes it goes through here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from everloop.registry.calibrations import Calibrations
from everloop.registry.drills import Drills
from everloop.registry.evidence import Probes, Snapshots, Windows
from everloop.registry.kept_requests import KeptRequests
from everloop.registry.ledger import Ledger
from everloop.registry.looks import Looks
from everloop.registry.reconciliations import Reconciliations
from everloop.registry.removals import Removals
from everloop.registry.reproductions import Reproductions
from everloop.registry.restorations import Restorations
from everloop.registry.rollouts import Rollouts
from everloop.registry.runs import Runs
from everloop.registry.standing import StandingSets
from everloop.registry.versions import Versions
from everloop.registry.waivers import Waivers


class RegistryStore:
    """Versions, runs, rollouts, calibrations, reconciliations, drills, kept requests, snapshots, looks, the standing
    set, windows, probes, and the audit chain.

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
    via : str, optional
        The caller on whose command this writes; each audit record keeps it.
    pause : callable
        Waits the given seconds between two attempts to write.

    Attributes
    ----------
    ledger : Ledger
        Every read and commit goes through it; it reads the audit chain.
    versions : Versions
        And the champion.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        model: str,
        *,
        via: str | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.model = model
        self.ledger = Ledger(client, table, model, via=via, pause=pause)
        self.snapshots = Snapshots(self.ledger)
        self.looks = Looks(self.ledger)
        self.standing = StandingSets(self.ledger)
        self.windows = Windows(self.ledger)
        self.probes = Probes(self.ledger)
        self.versions = Versions(self.ledger, self.snapshots)
        self.runs = Runs(self.ledger, self.versions, self.windows)
        self.rollouts = Rollouts(self.ledger, self.versions, self.runs)
        self.waivers = Waivers(self.ledger, self.versions, self.runs)
        self.restorations = Restorations(
            self.ledger, self.versions, self.runs, self.rollouts, self.snapshots, self.waivers
        )
        self.calibrations = Calibrations(self.ledger, self.versions)
        self.kept_requests = KeptRequests(self.ledger)
        self.reproductions = Reproductions(self.ledger, self.versions)
        self.removals = Removals(self.ledger, self.runs, self.rollouts)
        self.reconciliations = Reconciliations(self.ledger)
        self.drills = Drills(self.ledger, self.versions, self.rollouts)
