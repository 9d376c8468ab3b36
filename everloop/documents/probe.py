"""A fresh probe: what is asked of its job, and what the job found, which the registry keeps.

A *probe* is a cheap model that learned from rows that were labelled when a window began, and was then scored on that
window; see :mod:`everloop.retraining.investment`.
"""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

RESULT = "probe.json"
STATE = "state.json"
"""Files of a probe beside its model and contract: what it found, and what recalibration learned of it, of the kept ones
and of older versions up to the end of its window."""

SERVED, VERSION = "s", "v"
"""Columns of the window's rows beside those of the lake: the score that a caller got, and the version that answered."""


class ProbeRequest(TypedDict):
    """The window that a probe is asked for, and the instant as of which its labels are known: the monitor's."""

    model: str
    window_start: datetime
    window_end: datetime
    as_of: datetime


class KeptProbe(TypedDict):
    """A probe of an earlier window: where its files are (an S3 prefix with a final slash), and their SHA-256."""

    window_end: datetime
    uri: str
    files: dict[str, str]


class OlderVersion(TypedDict):
    """A registered version that has served before, and where its artefact is."""

    version: int
    uri: str


class PlannedSpan(TypedDict):
    """A span that another probe learns from: the newest ``days`` days, or all rows where they are None.

    Its rows, of ``labelled_rows`` that there were, stand in ``folder`` below the plan.
    """

    days: int | None
    labelled_rows: int
    folder: str


class PlannedWarmStart(TypedDict):
    """What another probe continues, with the rows that are later than its own: the champion, by its kept estimator."""

    version: int
    estimator_uri: str
    estimator_sha256: str


class ProbePlan(TypedDict):
    """What the job of a probe is asked to do.

    ``learns_from`` is the day from which rows of the window's channel are scored: earlier than the window by the lag of
    the labels, so that probes are recalibrated on what was known each day. ``window_rows`` and ``labelled_rows`` say
    how many there were before they were sampled. ``fresh_days`` is the span that the probe itself learns from; None for
    all rows.
    """

    model: str
    window_start: datetime
    window_end: datetime
    as_of: datetime
    learns_from: datetime
    lag_days: int
    fresh_days: int | None
    spans: list[PlannedSpan]
    champion: int | None
    window_rows: int
    labelled_rows: int
    kept: list[KeptProbe]
    versions: list[OlderVersion]
    warm_start: NotRequired[PlannedWarmStart | None]


class ProbePlaces(TypedDict):
    """What the state machine carries to the job: S3 prefixes with a final slash."""

    train_uri: str
    window_uri: str
    plan_uri: str
    result_uri: str


class DailyLosses(TypedDict):
    """Sums by day: of ``gate.metric``'s loss, and of what decisions cost; None in the records of earlier releases
    whose declaration had no prices.
    """

    loss: list[float]
    money: list[float] | None


class PastProbe(TypedDict):
    """A kept probe on this window; ``age`` is in windows since its own."""

    window_end: datetime
    age: float
    losses: DailyLosses


class SpanProbe(TypedDict):
    """A probe that learned from another span: the newest ``days`` days, or all rows where they are None.

    ``trained_rows`` are those it learned from, of ``labelled_rows`` that there were.
    """

    days: int | None
    trained_rows: int
    labelled_rows: int
    losses: DailyLosses


class WarmProbe(TypedDict):
    """The version that served, continued with the ``trained_rows`` later ones that there were, on this window.

    It had learned from all rows there were, so it is measured only where the fresh probe learned from all of its own.
    """

    version: int
    trained_rows: int
    losses: DailyLosses


class VersionLosses(TypedDict):
    """Another version that has served, on the rows that the champion answered: recalibrated, as it would be served."""

    version: int
    losses: DailyLosses


class ChampionLosses(TypedDict):
    """The champion as it was served, and others on the same rows: those that it answered in this window.

    ``best_threshold_money`` is what its scores would have cost with the threshold that costs least by
    ``problem.value``.
    """

    version: int
    rows: list[int]
    losses: DailyLosses
    best_threshold_money: list[float] | None
    fresh: DailyLosses
    versions: list[VersionLosses]


class ProbeDocument(TypedDict):
    """What a probe found.

    Attributes
    ----------
    days : list of str
        The days of the window, ISO 8601; all sums are by these.
    rows : list of int
        The scored rows of each day.
    window_rows : int
        The labelled rows of the window, of which ``rows`` may be a sample.
    trained_rows, labelled_rows : int
        From how many rows it learned, of how many.
    trained_until : str
        The newest of them.
    fresh_days : int or None
        The newest days that the probe learned from; None for all rows, as in documents that do not say it.
    spans : list of SpanProbe
        What other spans would have come to, on the same rows; those with too few rows are not among them.
    warm_start : WarmProbe or None
        What a warm start would have come to, on the same rows; None where there was nothing to continue.
    champion : ChampionLosses or None
        None where it answered no labelled row of this window.
    left_out : dict of str to str
        What could not be scored, and why.
    files : dict of str to str
        SHA-256 of the probe's own files.
    """

    model: str
    metric: str
    window_start: datetime
    window_end: datetime
    as_of: datetime
    days: list[str]
    rows: list[int]
    window_rows: int
    trained_rows: int
    labelled_rows: int
    trained_until: datetime
    fresh: DailyLosses
    fresh_days: NotRequired[int | None]
    past: list[PastProbe]
    spans: NotRequired[list[SpanProbe]]
    warm_start: NotRequired[WarmProbe | None]
    champion: ChampionLosses | None
    left_out: dict[str, str]
    files: dict[str, str]
    code_sha256: str
