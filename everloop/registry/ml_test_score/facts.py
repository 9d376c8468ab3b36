"""What the ML Test Score is computed from, and one test's outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.documents.training import TuningDocument
from everloop.evaluation.report import Report
from everloop.reasons import ReasonDocument
from everloop.registry.records import AuditRecord, Rollout, Run, Snapshot, Version, Window
from everloop.registry.trace import Status

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


@dataclass(frozen=True)
class Facts:
    """What is on record of a model.

    Attributes
    ----------
    version : Version or None
        The one that serves, or the newest where nothing does; ``report``, ``run`` and ``snapshot`` are its own.
    tuning : TuningDocument or None
        How its parameters were chosen; None where they are those that are declared.
    reproduced : AuditRecord or None
        What came out when it was last trained again.
    rollouts, runs : tuple
        All, newest first.
    probes : int
        Fresh probes on record, of the latest few.
    checked_in : bool or None
        Whether the model's folder is in a Git repository as it is; None where that is not known.
    test_files : tuple of str
        Files with tests of the model's code.
    """

    declaration: ModelDeclaration
    status: Status
    version: Version | None
    report: Report | None
    run: Run | None
    snapshot: Snapshot | None
    rollouts: tuple[Rollout, ...]
    runs: tuple[Run, ...]
    probes: int
    checked_in: bool | None
    test_files: tuple[str, ...]
    tuning: TuningDocument | None = None
    reproduced: AuditRecord | None = None

    @property
    def model(self) -> str:
        """The model's name."""
        return self.declaration.model

    @property
    def answered(self) -> list[Window]:
        """The latest windows with answers, newest first."""
        return [window for window in self.status.windows if window.record.rows]

    def gate_reason(self, code: str) -> ReasonDocument | None:
        """What the gate said of the version under this code; None where it said nothing, or nothing is registered."""
        reasons = self.version.gate.get("reasons", []) if self.version else []
        return next((reason for reason in reasons if reason["code"] == code), None)

    @property
    def report_link(self) -> str:
        """What shows the report."""
        return f"everloop report {self.model} --version {self.version.version}" if self.version else ""

    @property
    def trace_link(self) -> str:
        """What shows the version's record."""
        return f"everloop trace {self.model} --version {self.version.version}" if self.version else ""

    @property
    def status_link(self) -> str:
        """What shows the windows."""
        return f"everloop status {self.model}"


@dataclass(frozen=True)
class Finding:
    """The outcome of one test.

    Attributes
    ----------
    test : str
        As "Data 1".
    asks : str
        What the test is about.
    points : float
        0 for not done, 0.5 for done by hand and documented, 1 for done by a system again and again.
    evidence : str
        What is on record; for no points, what would earn them.
    link : str
        What shows the evidence: a command, or a file. Empty without points.
    """

    test: str
    asks: str
    points: float
    evidence: str
    link: str = ""


@dataclass(frozen=True)
class Test:
    """One of the 28."""

    __test__ = False  # no test of pytest's

    name: str
    asks: str

    def done(self, evidence: str, link: str) -> Finding:
        """A system does it again and again."""
        return Finding(self.name, self.asks, 1.0, evidence, link)

    def by_hand(self, evidence: str, link: str) -> Finding:
        """Somebody did it, and it is on record."""
        return Finding(self.name, self.asks, 0.5, evidence, link)

    def not_done(self, would_earn: str) -> Finding:
        """Nothing is on record."""
        return Finding(self.name, self.asks, 0.0, would_earn)
