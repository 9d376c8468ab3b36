"""What a calibration may do between a model's score and its caller."""

from __future__ import annotations

from pydantic import Field

from everloop.model_file.sections.base import Fraction, Name, Section


class Grouped(Section):
    """Rows taken apart by a feature: by its ``groups``, values of a category, or by the spans between ``edges`` of a
    number. A category that lists its ``values`` makes a group of each where ``groups`` names none.
    """

    by: Name | None = None
    groups: list[str] | None = None
    edges: list[float] | None = None


class Fairness(Grouped):
    """What a calibration by group may do to the differences between groups: those of ``recalibration.by``, unless
    another ``by`` is named.

    They are measured on the newest ``days`` labelled days that the champion answered. A gap is that between the group
    with the highest and the one with the lowest rate; ``max_calibration_gap`` is between the groups' mean of served
    scores less outcomes, in units of the score.
    """

    days: int = Field(default=7, ge=1, le=31)
    max_selection_rate_gap: Fraction | None = None
    max_true_positive_rate_gap: Fraction | None = None
    max_false_positive_rate_gap: Fraction | None = None
    max_calibration_gap: float | None = Field(default=None, ge=0)


class Recalibration(Grouped):
    """What a calibration may do between a model's score and its caller, learned from the labels as they arrive.

    ``max_shift`` is the most a score is moved: in log odds, or, of a regression, in standard deviations of the scores
    in the first labelled window there was. A window with fewer than ``minimum_rows`` labelled rows teaches nothing.

    With ``by``, each group has a calibration of its own as soon as it has had ``minimum_group_rows`` labelled rows.
    ``fairness`` says what must not become worse by that.
    """

    max_shift: float = Field(default=8.0, gt=0, le=30)
    minimum_rows: int = Field(default=1, ge=1)
    minimum_group_rows: int = Field(default=200, ge=1)
    fairness: Fairness | None = None
