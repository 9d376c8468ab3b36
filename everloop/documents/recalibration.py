"""What the monitor records of recalibration in a window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NotRequired, TypedDict

from everloop.reasons import ReasonDocument

RecalibrationDecision = Literal["publish", "held_back", "none"]


class LossesDocument(TypedDict):
    """Sums over the labelled rows of a version's windows so far: log loss, or the squared error of a regression.

    ``raw`` is by what the model said, ``calibrated`` by what its calibration made of it, each window by the one learned
    from those before it. Of rows before the first calibration both are the same.
    """

    windows: int
    rows: int
    raw: float
    calibrated: float


class EstimateDocument(TypedDict):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class ServedGroupDocument(TypedDict):
    """How a group's rows fare by one calibration; None where it has too few rows of an outcome.

    ``calibration`` is the mean of served scores less that of outcomes, ``slope`` that of the outcomes over the served
    scores (1 is right; of log odds, for a classification). The rates are of a classification, at its threshold.
    """

    calibration: EstimateDocument
    slope: EstimateDocument | None
    selection_rate: NotRequired[EstimateDocument]
    true_positive_rate: NotRequired[EstimateDocument | None]
    false_positive_rate: NotRequired[EstimateDocument | None]


class ComparedGroupDocument(TypedDict):
    """A group's labelled rows by three calibrations: the one in force ``before``, the ``shared`` one that was learned,
    and the one by group (``after``).
    """

    rows: int
    ones: int
    before: ServedGroupDocument
    shared: ServedGroupDocument
    after: ServedGroupDocument


class GapDocument(TypedDict):
    """The largest difference between the groups that have enough rows; None where fewer than two do."""

    before: float | None
    shared: float | None
    after: float | None
    limit: float | None


class FairnessDocument(TypedDict):
    """How groups fare before and after, on the newest ``days`` labelled days; ``gaps`` by what is measured."""

    by: str
    days: int
    groups: dict[str, ComparedGroupDocument]
    gaps: dict[str, GapDocument]


class GroupLossesDocument(TypedDict):
    """As :class:`LossesDocument`, of a group: by the shared calibration, and by its own."""

    rows: int
    shared: float
    own: float


class GroupDocument(TypedDict):
    """What was learned of a group; ``waits_for`` says why it is served as all others are, if it is."""

    sums: Mapping[str, object]
    state: Mapping[str, object]
    losses: GroupLossesDocument
    waits_for: str | None


class GroupsDocument(TypedDict):
    """Of the groups that are recalibrated apart; ``withheld`` says why the shared calibration stays, if it does.

    ``by`` is a :class:`everloop.recalibration.grouped_by.GroupBy`; ``groups`` are None where the champion does not
    know its feature.
    """

    by: Mapping[str, object]
    groups: dict[str, GroupDocument] | None
    fairness: FairnessDocument | None
    withheld: str | None


class IntervalDocument(TypedDict):
    """See :class:`everloop.recalibration.interval.Interval`."""

    coverage: float
    below: float
    above: float


class CoverageDocument(TypedDict):
    """Sums over the labelled windows of a version so far, each taken as a day: its rows, those ``inside`` their
    interval, what :class:`everloop.statistics.day_shares.DayShares` needs of both, and over all rows the intervals'
    width and how far outcomes lay outside.
    """

    days: int
    rows: int
    inside: int
    inside_squares: int
    inside_rows: int
    rows_squares: int
    width: float
    outside: float


class ToldSpreadDocument(TypedDict):
    """Of the intervals that were answered, and of those of the birth around what the model said."""

    served: CoverageDocument
    raw: CoverageDocument


class SpreadFigures(TypedDict):
    """Coverage with its 95 % interval (None of one window), mean width and mean interval score."""

    rows: int
    windows: int
    coverage: float
    low: float | None
    high: float | None
    mean_width: float
    score: float


class SpreadDocument(TypedDict):
    """What the labelled window taught of the spread of intervals.

    ``interval`` is the champion's at its birth; ``sums`` are those of :mod:`everloop.recalibration.spread.sums` over
    the window, ``state`` is the learner's afterwards. ``served`` and ``raw`` are the figures of ``told``; None of no
    rows. ``factors`` are how much wider both sides would be served from now on, below and above.
    """

    interval: IntervalDocument
    sums: Mapping[str, object]
    state: Mapping[str, object]
    told: ToldSpreadDocument
    served: SpreadFigures | None
    raw: SpreadFigures | None
    factors: list[float]


class RecalibrationDocument(TypedDict):
    """What the labelled window taught, and what came of it.

    ``sums`` are those of :mod:`everloop.recalibration.sums` over the window, by raw score; ``state`` is the learner's
    afterwards (None where nothing can be learned), ``calibration`` the text of what it would serve, and ``in_force``
    the name of what serves. ``groups`` are there where the declaration recalibrates by group, ``spread`` where the
    champion answers with intervals.
    """

    sums: Mapping[str, object]
    state: Mapping[str, object] | None
    losses: LossesDocument
    calibration: str | None
    in_force: str | None
    decision: RecalibrationDecision
    reasons: list[ReasonDocument]
    groups: NotRequired[GroupsDocument]
    spread: NotRequired[SpreadDocument]
