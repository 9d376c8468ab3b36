"""What a candidate must show."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from everloop.model_file.sections.base import Confidence, Days, Fraction, Name, Section


class AbsoluteThreshold(Section):
    """A bound every candidate keeps, whatever the champion does."""

    metric: Literal[
        "roc_auc", "log_loss", "brier", "accuracy", "balanced_accuracy", "macro_f1", "roc_auc_ovr", "mae", "rmse"
    ]
    min: float | None = None
    max: float | None = None


class MoneyGate(Section):
    """What a candidate must show in money as well, by the prices of ``problem.value``.

    What 1,000 decisions cost is compared, on the same rows and at ``gate.confidence``: it must be less than with the
    baseline by more than ``baseline_margin``. ``better``: less than with the champion by more than ``margin``;
    ``not_worse``: not more by more than ``margin``.
    """

    policy: Literal["better", "not_worse"] = "not_worse"
    margin: float = Field(default=0.0, ge=0)
    baseline_margin: float = Field(default=0.0, ge=0)


class GateRanking(Section):
    """What a candidate must show in the order of rows as well, by ``metric`` over the lists of ``problem.ranking``.

    List by list, at ``gate.confidence``, it must be better than the baseline by more than ``baseline_margin``; with the
    policy ``better`` than the champion by more than ``margin``, with ``not_worse`` not worse by more.
    """

    metric: Literal["ndcg", "map", "mrr", "precision"] = "ndcg"
    policy: Literal["better", "not_worse"] = "not_worse"
    margin: Fraction = 0.0
    baseline_margin: Fraction = 0.0


class By(Section):
    """A feature that takes rows apart: by its ``groups``, values of a category, or by the spans between ``edges`` of a
    number.

    Without ``groups`` each of the twenty commonest values is a group; without ``edges`` a number has four groups of
    about as many rows each.
    """

    by: Name
    groups: list[str] | None = Field(default=None, min_length=1, max_length=50)
    edges: list[float] | None = Field(default=None, min_length=1, max_length=50)


Require = Literal["not_broken", "estimate", "kept"]
"""What counts of a limit: that it is not shown to be broken, that the figures keep it, that it is shown to be kept."""


class GateSlices(Section):
    """What a candidate must keep on parts of the test rows: on those of each feature in ``by``, with ``pairs`` on those
    of two of them together, and with ``found`` where a shallow tree finds its errors to be large.

    Limits are in units of ``gate.metric``: ``max_worse_than_baseline`` and ``max_worse_than_champion`` of the paired
    difference on the slice, ``max_loss`` of the metric itself. Slices of fewer than ``minimum_rows`` are named and not
    judged. ``require`` says what counts, see :mod:`everloop.evaluation.slice_gate`.
    """

    by: list[By] = Field(default=[], max_length=12)
    pairs: bool = False
    found: bool = True
    minimum_rows: int = Field(default=100, ge=30)
    max_worse_than_baseline: float | None = None
    max_worse_than_champion: float | None = None
    max_loss: float | None = Field(default=None, gt=0)
    require: Require = "not_broken"


class GateFairness(Section):
    """How far apart groups of people may be on the test rows, for each feature in ``by``.

    A gap is the highest group's rate less the lowest's; ``min_selection_rate_ratio`` is of the lowest over the highest
    ("four fifths": 0.8). A row counts as selected from ``serving.threshold`` on; of several classes each is held
    against all others, and a row is selected where it is the likeliest. ``max_equalized_odds_gap`` limits the
    larger of the gaps in true and false positive rate, ``max_calibration_gap`` that between the groups' means of score
    less outcome. A group whose rate would be a mean over fewer than ``minimum_rows`` rows is not compared;
    ``too_few`` says whether that refuses the candidate, or is told alone.
    """

    by: list[By] = Field(min_length=1, max_length=6)
    minimum_rows: int = Field(default=30, ge=10)
    too_few: Literal["refuse", "tell"] = "refuse"
    max_selection_rate_gap: Fraction | None = None
    min_selection_rate_ratio: Fraction | None = None
    max_true_positive_rate_gap: Fraction | None = None
    max_false_positive_rate_gap: Fraction | None = None
    max_equalized_odds_gap: Fraction | None = None
    max_calibration_gap: float | None = Field(default=None, ge=0)
    require: Require = "estimate"


class GateRobustness(Section):
    """How much worse a candidate may answer when the test rows are disturbed.

    Each ``max_…_increase`` is in units of ``gate.metric`` and limits the worst disturbance of its kind:
    ``missing``, a feature that may be missing is; ``unseen``, a category is new; ``extreme``, a number is at an end of
    its declared range; ``noise``, all numbers move a little; ``unit``, a number comes in another unit and the contract
    takes it; ``search``, the worst of many small moves. ``max_noise_flips`` and ``max_search_flips`` limit the share of
    rows that get another decision.
    """

    max_missing_increase: float | None = None
    max_unseen_increase: float | None = None
    max_extreme_increase: float | None = None
    max_noise_increase: float | None = None
    max_unit_increase: float | None = None
    max_search_increase: float | None = None
    max_noise_flips: Fraction | None = None
    max_search_flips: Fraction | None = None


class GateStanding(Section):
    """What a candidate must not forget: older rows that are chosen once, kept, and learned from by no training.

    The first training puts the newest ``days`` before its test part aside. A candidate is refused if on these rows its
    ``gate.metric`` is worse than the champion's by more than ``max_increase``, at ``gate.confidence``.
    """

    days: Days = 14
    max_increase: float = Field(ge=0)


class Gate(Section):
    """What a candidate must show on the locked test rows.

    ``better``: the paired difference in ``metric`` to the champion is an improvement beyond ``margin`` at
    ``confidence``. ``not_worse``: it is not worse by more than ``margin`` at ``confidence``.

    ``confidence`` is kept for faults that at least the share ``rarest_fault`` of all rows has: rarer ones may not be
    among the test rows at all. How many test rows there must be follows from both.
    """

    metric: Literal["log_loss", "brier", "mae", "rmse"]
    policy: Literal["better", "not_worse"] = "better"
    margin: float = Field(default=0.0, ge=0)
    confidence: Confidence = 0.95
    rarest_fault: float = Field(default=0.02, ge=1e-6, le=0.05)
    baseline_margin: float = Field(default=0.0, ge=0)
    minimum_test_rows: int = Field(default=500, ge=30)
    absolute: list[AbsoluteThreshold] = Field(default=[])
    money: MoneyGate | None = None
    ranking: GateRanking | None = None
    slices: GateSlices | None = None
    fairness: GateFairness | None = None
    robustness: GateRobustness | None = None
    standing: GateStanding | None = None
    max_latency_ms: float | None = Field(default=None, gt=0)
    max_artifact_mb: float | None = Field(default=None, gt=0)
    max_usd_per_million: float | None = Field(default=None, gt=0)
