"""What a deployed loop trains with, as a backtest sees it: two jobs, and the models that come of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from everloop.dataset.snapshot import SnapshotParts
from everloop.documents.probe import ProbePlan
from everloop.documents.window import WindowRecord
from everloop.evaluation.refit_report import RefitReport
from everloop.evaluation.report import Report
from everloop.exceptions import TerminalError
from everloop.monitoring.reference import Reference
from everloop.retraining.probe.tables import LearnedRows, ScoredRows


class TrainingFailedError(TerminalError):
    """A job failed; the message is the job's own."""


@dataclass(frozen=True)
class Model:
    """A model that may serve.

    Attributes
    ----------
    reference : Reference
        Its ``profile.json``.
    score : callable
        What it says of rows, given by their places in the history: int array (rows,) in, float64 array (rows,) out.
    folder : Path
        Where its files are, for whoever made it.
    sha256 : str
        Of its file: what stands for the hash of a registered version's manifest.
    """

    reference: Reference
    score: Callable[[np.ndarray], np.ndarray]
    folder: Path
    sha256: str = ""


@dataclass(frozen=True)
class Serving:
    """A champion: its version, its model, and the text of the calibration that it is served with; empty for none."""

    version: int
    model: Model
    calibration: str = ""


@dataclass(frozen=True)
class Evaluated:
    """A candidate with its evaluation; ``report_sha256`` is of the report's text."""

    model: Model
    report: Report
    report_sha256: str


@dataclass(frozen=True)
class Refitted:
    """A candidate's refit with its check."""

    model: Model
    report: RefitReport


@dataclass(frozen=True)
class JudgedAgain:
    """What an evaluation says of a version that has served before."""

    report: Report


@dataclass(frozen=True)
class Measured:
    """What the job of a probe wrote: its document as bytes, and where its files are, with a final slash."""

    result: bytes
    uri: str


class Jobs(Protocol):
    """Trains and evaluates. Each raises :class:`TrainingFailedError` when a job fails."""

    def evaluated(
        self, parts: SnapshotParts, run_id: str, champion: Serving | None, windows: Sequence[WindowRecord]
    ) -> Evaluated:
        """Train on a snapshot's training part, and evaluate beside the champion on its test part.

        ``windows`` are those recorded so far, oldest first: what was learned of recalibration is in them.
        """
        ...

    def refitted(self, parts: SnapshotParts, run_id: str, candidate: Evaluated) -> Refitted:
        """Train on all of a snapshot, and check the model against the evaluated one."""
        ...

    def older(
        self,
        parts: SnapshotParts,
        run_id: str,
        version: Serving,
        champion: Serving,
        windows: Sequence[WindowRecord],
    ) -> JudgedAgain:
        """Evaluate a version that has served before beside the champion, on test rows that it has not learned from."""
        ...

    def probed(self, plan: ProbePlan, learned: LearnedRows, scored: ScoredRows) -> Measured:
        """Train a fresh probe and those of other spans, and score them with what the plan names."""
        ...
