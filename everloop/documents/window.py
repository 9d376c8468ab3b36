"""What the monitor records of one window: the document as it stands in the registry, and the record as code has it.

The record has one writer and one reader, so that whatever reads a window (the monitor itself, the retraining decision,
the registry's verdict on a version, the command line) reads the same facts of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

from everloop.documents.recalibration import RecalibrationDocument
from everloop.instants import format_instant, parse_instant
from everloop.reasons import Reason, ReasonDocument
from everloop.typed_json import InstantText, read_as

WindowDecision = Literal["retrain", "held_back", "none"]


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
    begin: InstantText | None
    end: InstantText | None
    sentence: str


class OutcomesDocument(TypedDict):
    """Sums over labelled rows; see :class:`everloop.monitoring.profile.Outcomes`."""

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


class WindowDocument(TypedDict):
    """The document of a window. What is not required is not in those that earlier releases wrote."""

    model: str
    scheduled_at: InstantText
    start: InstantText
    end: InstantText
    labelled_start: InstantText
    labelled_end: InstantText
    version: int
    rows: int
    labelled_rows: int
    loss: float | None
    left_out_rows: NotRequired[int]
    left_out_reason: NotRequired[str]
    labels_arrived: int
    labels_corrected: int
    labels_unmatched: int
    drift_evaluated: bool
    drift_alarm: bool
    drift_reason: str
    drift: dict[str, DriftDocument]
    not_watched: NotRequired[dict[str, str]]
    score_reference: NotRequired[ScoreReferenceDocument | None]
    recalibration: NotRequired[RecalibrationDocument | None]
    quality: QualityDocument
    decision: WindowDecision
    urgency: str
    trigger: str | None
    held_back_by: str | None
    reasons: list[ReasonDocument]
    profile: ProfileDocument


@dataclass(frozen=True)
class WindowRecord:
    """One window of a model's answers, as it was judged.

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
    left_out_rows: int = 0
    left_out_reason: str = ""
    not_watched: Mapping[str, str] = field(default_factory=dict)
    score_reference: ScoreReferenceDocument | None = None
    recalibration: RecalibrationDocument | None = None

    def to_document(self) -> WindowDocument:
        """The record as JSON values."""
        return {
            "model": self.model,
            "scheduled_at": format_instant(self.scheduled_at),
            "start": format_instant(self.start),
            "end": format_instant(self.end),
            "labelled_start": format_instant(self.labelled_start),
            "labelled_end": format_instant(self.labelled_end),
            "version": self.version,
            "rows": self.rows,
            "labelled_rows": self.labelled_rows,
            "loss": self.loss,
            "left_out_rows": self.left_out_rows,
            "left_out_reason": self.left_out_reason,
            "labels_arrived": self.labels_arrived,
            "labels_corrected": self.labels_corrected,
            "labels_unmatched": self.labels_unmatched,
            "drift_evaluated": self.drift_evaluated,
            "drift_alarm": self.drift_alarm,
            "drift_reason": self.drift_reason,
            "drift": dict(self.drift),
            "not_watched": dict(self.not_watched),
            "score_reference": self.score_reference,
            "recalibration": self.recalibration,
            "quality": self.quality,
            "decision": self.decision,
            "urgency": self.urgency,
            "trigger": self.trigger,
            "held_back_by": self.held_back_by,
            "reasons": [reason.as_dict() for reason in self.reasons],
            "profile": self.profile,
        }

    @classmethod
    def from_document(cls, document: object) -> WindowRecord:
        """Read what :meth:`to_document` wrote, in this release or an earlier one.

        Raises
        ------
        DocumentRefusedError
            Naming what is missing or of another type.
        """
        remedy = "only the monitor writes windows: `everloop audit verify` tells what else was changed"
        given = read_as(WindowDocument, document, "record of a window", remedy)
        read: dict[str, Any] = {name: given[name] for name in cls.__dataclass_fields__ if name in given}  # type: ignore[literal-required]  # the fields are its keys
        read |= {name: parse_instant(read[name]) for name in _INSTANTS}
        return cls(**read | {"reasons": tuple(Reason.from_dict(reason) for reason in given["reasons"])})


_INSTANTS = ("scheduled_at", "start", "end", "labelled_start", "labelled_end")
