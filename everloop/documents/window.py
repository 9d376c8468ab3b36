"""What the monitor records of one window, in code and, as JSON, in the registry.

The record has one writer and one reader, so that whatever reads a window (the monitor itself, the retraining decision,
the registry's verdict on a version, the command line) reads the same facts of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NotRequired, TypedDict

from everloop.documents.investment import InvestmentDocument
from everloop.documents.money import CostDocument
from everloop.documents.recalibration import RecalibrationDocument
from everloop.documents.records import UpdateMode
from everloop.reasons import Reason
from everloop.typed_json import ADDED, JsonObject, as_json, read_as

WindowDecision = Literal["retrain", "restore", "held_back", "none"]


class DriftDocument(TypedDict):
    """One feature's drift; see :class:`everloop.monitoring.drift.FeatureDrift`."""

    days: int
    effect: float
    p_value: float
    adjusted_p_value: float
    alarm: bool
    moved: str


class IntervalDocument(TypedDict):
    """A value with its interval; see :class:`everloop.monitoring.quality.Interval`."""

    value: float | None
    low: float | None
    high: float | None
    reason: str


class DeviationDocument(TypedDict):
    """One way in which scores and outcomes part; see :class:`everloop.monitoring.quality.Deviation`."""

    amount: float
    increase: float
    p_value: float
    fallen: bool


class QualityDocument(TypedDict):
    """The labelled days; see :class:`everloop.monitoring.quality.QualityReport`."""

    evaluated: bool
    days: int
    rows: int
    loss: IntervalDocument
    auc: IntervalDocument
    auc_error: float | None
    reference_loss: float | None
    deviations: dict[str, DeviationDocument]
    reason: str


class ScoreReferenceDocument(TypedDict):
    """A score reference that is collected from windows; see :class:`everloop.monitoring.own_scores.OwnScores`."""

    complete: bool
    days: int
    rows: int
    begin: datetime | None
    end: datetime | None
    sentence: str


class DecisionsDocument(TypedDict):
    """What became of decisions; see :class:`everloop.monitoring.profile.Decisions`."""

    hits: float
    false_alarms: float
    absolute_error: float


class WindowMoneyDocument(TypedDict):
    """What 1,000 decisions of the champion cost in the latest labelled windows, by the prices of that day.

    ``nobody`` and ``everybody`` are what it would have cost to act on no row and on all: None of a regression.
    """

    currency: str
    threshold: float | None
    windows: int
    rows: int
    champion: CostDocument
    nobody: float | None
    everybody: float | None


class OutcomesDocument(TypedDict):
    """Sums over labelled rows; see :class:`everloop.monitoring.profile.Outcomes`.

    Records of releases that did not count decisions have none.
    """

    decisions: NotRequired[DecisionsDocument]
    rows: int
    loss: float
    loss_squares: float
    label: float
    score: float
    deviance: float
    residual_z: float
    v: float
    v_z: float
    v_zz: float
    ones: list[int]
    zeros: list[int]


class ProfileDocument(TypedDict):
    """Counts of rows, the last cell of each feature for missing; see :class:`everloop.monitoring.profile.Profile`."""

    bins: str
    rows: int
    features: dict[str, list[int]]
    score: list[int]
    outcomes: OutcomesDocument


@dataclass(frozen=True)
class WindowRecord:
    """One window of a model's answers, as it was judged. Its document has the same fields, as JSON values.

    Attributes
    ----------
    scheduled_at, start, end : datetime
        When the monitor was due, and the window it looked at.
    labelled_start, labelled_end : datetime
        The days whose labels were due by then.
    version : int
        The champion.
    rows, labelled_rows, loss
        Of this window alone; ``quality`` is of all the days it was judged on.
    left_out_rows : int
        Labelled, but no part of loss or quality; ``left_out_reason`` says why.
    not_watched : mapping of str to str
        Of each feature that the declaration or the champion has alone, why it is left out.
    score_reference : ScoreReferenceDocument or None
        What was collected of a score reference from the version's own windows; None where the version was registered
        with one.
    recalibration : RecalibrationDocument or None
        What the labelled window taught of how scores should be served, and what came of it. ``profile`` counts what the
        model said (``score``, by the reference's bins); its outcomes, ``loss`` and ``quality`` are of what was served.
    investment : InvestmentDocument or None
        Whether a retraining pays by the probes on record; None where none is, or retraining is not an investment.
    money : WindowMoneyDocument or None
        What decisions cost. None where no labelled window has counted them.
    restore : int or None
        The older version to bring back, where that was decided.
    update : str
        How a training is to learn, where one was decided.
    answered_rows : int or None
        How many rows were answered by estimate, where ``rows`` are a sample of them; None where they are all.
    share_changed : bool
        Whether the share that is captured changed within the window, so that ``profile`` shows one part of it more than
        another. No drift is judged by it.
    """

    model: str
    scheduled_at: datetime
    start: datetime
    end: datetime
    labelled_start: datetime
    labelled_end: datetime
    version: int
    rows: int
    labelled_rows: int
    loss: float | None
    labels_arrived: int
    labels_corrected: int
    labels_unmatched: int
    drift_evaluated: bool
    drift_alarm: bool
    drift_reason: str
    drift: Mapping[str, DriftDocument]
    quality: QualityDocument
    decision: WindowDecision
    urgency: str
    trigger: str | None
    held_back_by: str | None
    reasons: tuple[Reason, ...]
    profile: ProfileDocument
    left_out_rows: int = field(default=0, metadata=ADDED)
    left_out_reason: str = field(default="", metadata=ADDED)
    not_watched: Mapping[str, str] = field(default_factory=dict, metadata=ADDED)
    score_reference: ScoreReferenceDocument | None = field(default=None, metadata=ADDED)
    recalibration: RecalibrationDocument | None = field(default=None, metadata=ADDED)
    investment: InvestmentDocument | None = field(default=None, metadata=ADDED)
    money: WindowMoneyDocument | None = field(default=None, metadata=ADDED)
    restore: int | None = field(default=None, metadata=ADDED)
    update: UpdateMode = field(default="full", metadata=ADDED)
    answered_rows: int | None = field(default=None, metadata=ADDED)
    share_changed: bool = field(default=False, metadata=ADDED)

    def to_document(self) -> JsonObject:
        """The record as JSON values."""
        document: JsonObject = as_json(self)
        return document

    @classmethod
    def from_document(cls, document: object) -> WindowRecord:
        """Read what :meth:`to_document` wrote, in this release or an earlier one.

        Raises
        ------
        DocumentRefusedError
            Naming what is missing or of another type.
        """
        remedy = "only the monitor writes windows: `everloop audit verify` reports what was changed"
        return read_as(cls, document, "record of a window", remedy)
