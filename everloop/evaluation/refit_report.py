"""The facts that the check of a refit found. :mod:`everloop.evaluation.refit` decides what follows from them.

A refit is the evaluated model trained once more, with the same code, seed and parameters, on the test rows as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from everloop.evaluation.exceptions import ReportError
from everloop.evaluation.report import Latency, ParityFacts
from everloop.json_text import read_json
from everloop.typed_json import as_json, read_as


@dataclass(frozen=True)
class ScoreDifference:
    """How far the refit's scores are from the evaluated model's, over the test rows.

    Attributes
    ----------
    mean, median, p95, largest : float
        Of the absolute differences, in the score's unit.
    outcome_deviation : float
        The standard deviation of the test rows' outcomes: what the differences are small or large against.
    """

    mean: float
    median: float
    p95: float
    largest: float
    outcome_deviation: float

    @property
    def relative(self) -> float | None:
        """The mean difference in units of the outcomes' deviation; None where the outcomes are all alike."""
        return self.mean / self.outcome_deviation if self.outcome_deviation > 0 else None


@dataclass(frozen=True)
class RefitReport:
    """The check of a refit: ``refit.json``.

    Attributes
    ----------
    report_sha256 : str
        Of ``report.json``, the evaluation of the evaluated model.
    rows : int
        Test rows, which both scored.
    learned_rows : int
        Rows the refit learned from, up to ``learned_until``.
    difference : ScoreDifference
    metric : str
        The gate's: on the test rows ``evaluated_loss`` is the evaluated model's, ``refit_loss`` the refit's. The refit
        has learned from these rows, so its loss says nothing about new ones.
    parity : ParityFacts
        Of the refit's own export, on the test rows.
    files, evaluated_files : dict of str to str
        SHA-256 of the refit's files to be served, and of the evaluated model's that were evaluated.
    """

    model: str
    run_id: str
    snapshot_hash: str
    report_sha256: str
    rows: int
    learned_rows: int
    learned_until: datetime
    difference: ScoreDifference
    metric: str
    evaluated_loss: float
    refit_loss: float
    parity: ParityFacts
    latency_ms: Latency
    artifact_bytes: int
    code_sha256: str
    files: dict[str, str] = field(default_factory=dict)
    evaluated_files: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The document ``refit.json``."""
        return json.dumps(as_json(self), indent=1, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> RefitReport:
        """Read ``refit.json``.

        Raises
        ------
        ReportError
            When it is not JSON, a key is missing, or a value is of another kind.
        """
        try:
            document = read_json(text)
        except ValueError as error:
            raise ReportError(f"the refit's report is not JSON: {error}") from error
        return read_as(RefitReport, document, "report of a refit's check", "start a new run", refusal=ReportError)
