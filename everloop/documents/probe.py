"""A fresh probe: what is asked of its job, and what the job found, which the registry keeps.

A *probe* is a cheap model that learned from rows that were labelled when a window began, and was then scored on that
window; see :mod:`everloop.retraining.investment`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

RESULT = "probe.json"
STATE = "state.json"
"""Files of a probe beside its model and contract: what it found, and what recalibration learned of it and of the kept
ones up to the end of its window."""

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


class ProbePlan(TypedDict):
    """What the job of a probe is asked to do.

    ``learns_from`` is the day from which rows of the window's channel are scored: earlier than the window by the lag of
    the labels, so that probes are recalibrated on what was known each day. ``window_rows`` and ``labelled_rows`` say
    how many there were before they were sampled.
    """

    model: str
    window_start: datetime
    window_end: datetime
    as_of: datetime
    learns_from: datetime
    lag_days: int
    recent_days: int | None
    champion: int | None
    window_rows: int
    labelled_rows: int
    kept: list[KeptProbe]
    versions: list[OlderVersion]


class ProbePlaces(TypedDict):
    """What the state machine carries to the job: S3 prefixes with a final slash."""

    train_uri: str
    recent_uri: str
    window_uri: str
    plan_uri: str
    result_uri: str


class DailyLosses(TypedDict):
    """Sums by day: of ``gate.metric``'s loss, and of what decisions cost where ``problem.value`` has prices."""

    loss: list[float]
    money: list[float] | None


class PastProbe(TypedDict):
    """A kept probe on this window; ``age`` is in windows since its own."""

    window_end: datetime
    age: float
    losses: DailyLosses


class RecentProbe(TypedDict):
    """A probe that learned from the rows of the newest ``days`` days alone, ``trained_rows`` of them."""

    days: int
    trained_rows: int
    losses: DailyLosses


class VersionLosses(TypedDict):
    """An older version, as it was registered, on the rows that the champion answered."""

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
    recent : RecentProbe or None
        None where none is declared, or there were too few such rows.
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
    past: list[PastProbe]
    recent: RecentProbe | None
    champion: ChampionLosses | None
    left_out: dict[str, str]
    files: dict[str, str]
    code_sha256: str
