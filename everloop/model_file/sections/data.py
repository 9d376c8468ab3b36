"""The data contract."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from everloop.model_file.sections.base import LONGEST_DAYS, Days, Fraction, Name, Section, Text


class Source(Section):
    """Where rows come from, and the licence or agreement by which they may be used."""

    name: Text
    licence: Text


class Feature(Section):
    """One input column.

    ``number`` features are float64; ``category`` features strings. ``missing: allow`` admits null, which
    reaches the model as NaN or as the empty string. ``unseen: accept`` lets a category that training never
    saw through to the model (it is counted), ``unseen: refuse`` answers 400. ``personal``: its values are not shown in
    reports.
    """

    name: Name
    type: Literal["number", "category"]
    description: str = ""
    min: float | None = None
    max: float | None = None
    missing: Literal["allow", "refuse"] = "refuse"
    max_missing_rate: Fraction = 1.0
    values: list[str] | None = None
    unseen: Literal["accept", "refuse"] = "accept"
    max_length: int = Field(default=64, ge=1, le=1024)
    personal: bool = False


class Split(Section):
    """The locked test part: the newest ``test_days`` days of labelled rows.

    ``grouped``: of these, the rows of held-out groups judge a model. The groups are the values of the category feature
    ``group``, and the ``share`` of them that is held out is the same for every version: none learns from a row of
    theirs (:mod:`everloop.dataset.held_groups`).

    ``stratified``: the test part has ``rows_of_each_class`` or more. Where a class is rare it has more days, up to
    ``most_test_days`` (:mod:`everloop.dataset.stratified`).
    """

    strategy: Literal["time", "grouped", "stratified"] = "time"
    test_days: Days
    group: Name | None = None
    share: float | None = Field(default=None, ge=0.05, le=0.5)
    rows_of_each_class: int | None = Field(default=None, ge=10, le=100_000)
    most_test_days: Days | None = None

    @property
    def longest_days(self) -> int:
        """The most days that a test part may have."""
        return self.test_days if self.most_test_days is None else self.most_test_days


class Data(Section):
    """The data contract.

    ``label_lag_hours`` is how long outcomes may take to arrive. With ``training_window_days`` only the newest days are
    trained on and tested with; with ``training_spans``, lengths in days, each training takes the newest days of one of
    them, or all rows, by the evidence of fresh probes (:mod:`everloop.retraining.spans`). With ``max_age_hours`` a
    training set is refused whose newest labelled row is older than that, counted from when its outcome had to be known.
    ``positive_rate`` is between which shares of ones a training set is believed, ``class_shares`` the same of each
    class of a multiclass classification that it names. ``sources`` are where the rows come from. With ``leakage: stop``
    a feature that may leak the outcome (:mod:`everloop.dataset.leakage`) stops the run, but for those that
    ``leakage_accepted`` names, each with the reason why it is known in time.
    """

    key: Name
    time: Name
    target: Name
    label_lag_hours: float = Field(ge=0, le=LONGEST_DAYS * 24)
    training_window_days: Days | None = None
    training_spans: list[Days] | None = Field(default=None, min_length=1, max_length=4)
    max_age_hours: float | None = Field(default=None, gt=0, le=LONGEST_DAYS * 24)
    minimum_rows: int = Field(ge=10)
    target_min: float | None = None
    target_max: float | None = None
    positive_rate: Annotated[tuple[Fraction, Fraction], Strict(False)] = (0.0, 1.0)
    class_shares: dict[str, Annotated[tuple[Fraction, Fraction], Strict(False)]] = Field(default={})
    split: Split
    sources: list[Source] = Field(default=[])
    leakage: Literal["report", "stop"] = "report"
    leakage_accepted: dict[Name, Text] = Field(default={})
    features: list[Feature] = Field(min_length=1)

    @property
    def numbers(self) -> list[Feature]:
        """The number features, in declared order: the columns of the model's ``num`` input."""
        return [f for f in self.features if f.type == "number"]

    @property
    def categories(self) -> list[Feature]:
        """The category features, in declared order: the columns of the model's ``cat`` input."""
        return [f for f in self.features if f.type == "category"]
