"""What the evaluation found: facts alone. What they are worth is the gate's business."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from everloop.evaluation.calibration_report import Calibrated
from everloop.evaluation.error_report import Errors
from everloop.evaluation.exceptions import ReportError
from everloop.evaluation.fairness_report import Fairness
from everloop.evaluation.held_groups_report import HeldGroupsFacts
from everloop.evaluation.interval_report import IntervalFacts
from everloop.evaluation.learning_report import LearningCurve
from everloop.evaluation.measured import MetricValue, PairedDifference, Parts
from everloop.evaluation.multiclass_report import Multiclass
from everloop.evaluation.ranking_report import Ranking
from everloop.evaluation.robustness_report import Robustness
from everloop.evaluation.serving_cost_report import ServingCost
from everloop.evaluation.slice_report import Slices
from everloop.evaluation.standing_report import StandingFacts
from everloop.evaluation.threshold_report import ThresholdChoice
from everloop.json_text import read_json
from everloop.typed_json import ADDED, as_json, read_as

__all__ = [
    "COST",
    "AsServed",
    "ClassCounts",
    "DayQuality",
    "EnvironmentFacts",
    "Latency",
    "MetricValue",
    "Money",
    "MoneyBesideChampion",
    "OlderFacts",
    "PairedDifference",
    "ParityFacts",
    "Parts",
    "ProbeFacts",
    "Recalibrated",
    "Report",
]


@dataclass(frozen=True)
class ClassCounts:
    """How many of the test rows are of each class, and on how many days it occurs."""

    ones: int
    zeros: int
    days_with_ones: int
    days_with_zeros: int


COST = "cost"
"""The metric of :class:`Money`: what 1,000 decisions cost."""


@dataclass(frozen=True)
class ParityFacts:
    """How the exported model compared with the trained one."""

    rows: int
    max_abs_difference: float
    label_flips: int


@dataclass(frozen=True)
class ProbeFacts:
    """What the exported model answered that its contract admits, whether or not the rows held it.

    Attributes
    ----------
    admitted : int
        Possibilities that the contract has: each feature missing, unseen, at its limits, and some together.
    possibilities : int
        Those the model was probed with, and had a usable score for.
    base_rows : int
        Training rows that each was laid into.
    rows : int
        Rows scored.
    """

    admitted: int
    possibilities: int
    base_rows: int
    rows: int


@dataclass(frozen=True)
class EnvironmentFacts:
    """Where the evaluation ran, beside where the model was trained.

    Attributes
    ----------
    python, platform : str
        As ``3.12.11`` and ``Linux-x86_64``.
    packages : int
        Installed distributions.
    lock_sha256 : str
        Of the lock of the jobs' packages.
    unmet : tuple of str
        Pins of the lock that the environment does not meet.
    differences : tuple of str
        What was another thing in the training's environment; empty where both were the same.
    """

    python: str
    platform: str
    packages: int
    lock_sha256: str
    unmet: tuple[str, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Latency:
    """Milliseconds to score one row in process, median and 99th percentile."""

    p50: float
    p99: float


@dataclass(frozen=True)
class DayQuality:
    """The gate's metric on the test rows of one UTC day; None where they do not define it."""

    day: str
    rows: int
    value: float | None


@dataclass(frozen=True)
class Recalibrated:
    """How scores were recalibrated through the compared rows, as they would have been served.

    Attributes
    ----------
    windows : int
        Monitoring windows that the rows are of.
    windows_late : int
        Windows that pass before a window's labels count as known.
    learned_windows : int
        Labelled windows that were learned from before the first of these rows; both models go on from there.
    learned_until : datetime or None
        The end of the last of them; None where nothing was learned.
    window_end, window_sha256 : datetime or None, str or None
        The monitoring window whose record says it, and that record's hash.
    """

    windows: int
    windows_late: int
    learned_windows: int
    learned_until: datetime | None
    window_end: datetime | None
    window_sha256: str | None


@dataclass(frozen=True)
class AsServed:
    """Candidate and champion on ``champion_rows`` by the scores that callers would have got.

    Attributes
    ----------
    candidate, champion : dict of str to MetricValue
    paired : PairedDifference
        In the gate's metric.
    """

    candidate: dict[str, MetricValue]
    champion: dict[str, MetricValue]
    paired: PairedDifference
    recalibrated: Recalibrated


@dataclass(frozen=True)
class MoneyBesideChampion:
    """What 1,000 decisions of candidate and champion cost on ``champion_rows``, and candidate less champion."""

    candidate: MetricValue
    champion: MetricValue
    paired: PairedDifference


@dataclass(frozen=True)
class Money:
    """What 1,000 decisions cost by the prices of ``problem.value``, below 0 where they earn.

    Attributes
    ----------
    currency : str
    threshold : float or None
        A classification is acted on from it on; None for a regression, which pays by the unit of error, and of several
        classes.
    candidate, baseline : MetricValue
        On all test rows, by raw scores.
    paired_baseline : PairedDifference
        Candidate less baseline.
    best_threshold : float or None
        The threshold that costs least where scores are calibrated.
    candidate_at_best : MetricValue or None
        What the candidate's decisions would cost with it; of several classes, by least expected cost.
    champion : MoneyBesideChampion or None
        By raw scores. None where there is no champion, or no row to compare on.
    as_served : MoneyBesideChampion or None
        By the scores that callers would have got. None where nothing is recalibrated too.
    decisions : str
        Of several classes what counts as decided: the ``likeliest``, or the one of ``least_cost``; else empty.
    """

    currency: str
    threshold: float | None
    candidate: MetricValue
    baseline: MetricValue
    paired_baseline: PairedDifference
    best_threshold: float | None
    candidate_at_best: MetricValue | None
    champion: MoneyBesideChampion | None
    as_served: MoneyBesideChampion | None
    decisions: str = field(default="", metadata=ADDED)


@dataclass(frozen=True)
class OlderFacts:
    """The registered version that was judged again in a candidate's place.

    Attributes
    ----------
    manifest_sha256 : str
        Of the manifest that its files were compared with.
    learned_until : datetime
        The newest row that it learned from: the test rows of the report are later.
    """

    version: int
    manifest_sha256: str
    learned_until: datetime


@dataclass(frozen=True)
class Report:
    """An evaluation. All scores are raw, what a model says by itself, but those of ``as_served``.

    Attributes
    ----------
    rows : int
        Test rows.
    days : int
        UTC days they are of.
    candidate, baseline : dict of str to MetricValue
    champion : dict of str to MetricValue, or None
        On ``champion_rows`` alone. None where there is no champion, or no such row.
    champion_version : int or None
    champion_rows : int or None
        The test rows that the champion has not learned from, which are those after ``champion_learned_until``: the
        rows the two are compared on. None where there is no champion.
    champion_learned_until : datetime or None
        The newest row that the champion learned from, ISO 8601.
    as_served : AsServed or None
        None where nothing is recalibrated, there is no champion, or no row to compare on.
    classes : ClassCounts or None
        None for a regression, and of several classes.
    paired_baseline, paired_champion : PairedDifference or None
        In the gate's metric.
    parity, probes, latency_ms
        None where they were not measured, which the gate does not forgive.
    artifact_bytes : int
        Size of ``model.onnx``.
    files : dict of str to str
        SHA-256 of the evaluated files, by name.
    code_sha256 : str
        Of the code that trained the candidate.
    money : Money or None
        None in the reports of earlier releases, whose declarations needed no prices.
    older : OlderFacts or None
        Of a version that was registered before; None of a new candidate. Parity and probes are those of its training.
    serving_cost : ServingCost or None
        None in the reports of earlier releases.
    interval : IntervalFacts or None
        None where no interval is declared, or of a version that was registered before: it keeps its own.
    environment : EnvironmentFacts or None
        None in the reports of earlier releases.
    slices : Slices or None
        None where ``gate.slices`` is not declared.
    fairness : Fairness or None
        None where ``gate.fairness`` is not declared.
    calibration : Calibrated or None
        Of the candidate's raw scores; None of a regression, of few rows, and in the reports of earlier releases. Of
        several classes it is of the likeliest one of each row: its probability, and whether it came.
    robustness : Robustness or None
        None in the reports of earlier releases.
    errors : Errors or None
        None in the reports of earlier releases.
    learning_curve : LearningCurve or None
        None where ``training.learning_curve`` is not declared.
    threshold_choice : ThresholdChoice or None
        None where ``training.learning_curve`` is not declared, and of a regression.
    multiclass : Multiclass or None
        Of several classes alone.
    standing : StandingFacts or None
        None where ``gate.standing`` is not declared, or no set was chosen yet.
    ranking : Ranking or None
        None where ``problem.ranking`` is not declared.
    held_groups : HeldGroupsFacts or None
        None where ``data.split`` takes rows apart by time alone. With it ``rows`` are those of held-out groups.
    """

    model: str
    run_id: str
    snapshot_hash: str
    problem_type: str
    rows: int
    days: int
    candidate: dict[str, MetricValue]
    baseline: dict[str, MetricValue]
    champion: dict[str, MetricValue] | None
    champion_version: int | None
    classes: ClassCounts | None
    paired_baseline: PairedDifference | None
    paired_champion: PairedDifference | None
    parity: ParityFacts | None
    probes: ProbeFacts | None
    latency_ms: Latency | None
    artifact_bytes: int | None
    code_sha256: str
    champion_rows: int | None = None
    champion_learned_until: datetime | None = None
    as_served: AsServed | None = field(default=None, metadata=ADDED)
    files: dict[str, str] = field(default_factory=dict)
    quality_over_days: tuple[DayQuality, ...] = ()
    money: Money | None = field(default=None, metadata=ADDED)
    older: OlderFacts | None = field(default=None, metadata=ADDED)
    serving_cost: ServingCost | None = field(default=None, metadata=ADDED)
    interval: IntervalFacts | None = field(default=None, metadata=ADDED)
    environment: EnvironmentFacts | None = field(default=None, metadata=ADDED)
    slices: Slices | None = field(default=None, metadata=ADDED)
    fairness: Fairness | None = field(default=None, metadata=ADDED)
    calibration: Calibrated | None = field(default=None, metadata=ADDED)
    robustness: Robustness | None = field(default=None, metadata=ADDED)
    errors: Errors | None = field(default=None, metadata=ADDED)
    learning_curve: LearningCurve | None = field(default=None, metadata=ADDED)
    threshold_choice: ThresholdChoice | None = field(default=None, metadata=ADDED)
    multiclass: Multiclass | None = field(default=None, metadata=ADDED)
    standing: StandingFacts | None = field(default=None, metadata=ADDED)
    ranking: Ranking | None = field(default=None, metadata=ADDED)
    held_groups: HeldGroupsFacts | None = field(default=None, metadata=ADDED)

    @property
    def test_rows(self) -> int:
        """Of the whole test part, whether or not all of them judge."""
        return self.rows if self.held_groups is None else self.held_groups.test_rows

    def to_json(self) -> str:
        """The document ``report.json``; an undefined number is null."""
        document = as_json(self)
        document["paired"] = {
            "baseline": document.pop("paired_baseline"),
            "champion": document.pop("paired_champion"),
        }
        return json.dumps(_finite(document), indent=1, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Report:
        """Read ``report.json``.

        Raises
        ------
        ReportError
            When it is not JSON, a key is missing, or a value is of another kind; with the key.
        """
        try:
            document = read_json(text)
        except ValueError as error:
            raise ReportError(f"the report is not JSON: {error}") from error
        return read_as(Report, _unpaired(document), "report of an evaluation", "evaluate again", refusal=ReportError)


def _unpaired(document: object) -> object:
    """The document with its two differences as the record has them; an undefined one is null, and no number here."""
    if not isinstance(document, dict) or not isinstance(document.get("paired"), dict):
        return document
    known = {f"paired_{other}": _defined(found) for other, found in document["paired"].items()}
    served = document.get("as_served")
    if isinstance(served, dict) and "paired" in served:
        known["as_served"] = {**served, "paired": _defined(served["paired"])}
    return {**{name: value for name, value in document.items() if name != "paired"}, **known}


def _defined(found: object) -> object:
    undefined = isinstance(found, dict) and "difference" in found and found["difference"] is None
    return {**found, "difference": math.nan} if isinstance(found, dict) and undefined else found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
