"""Candidate and champion as they would be served: recalibrated window by window through the test part.

Both go on from what was learned when the first compared row came, which is what a promoted version goes on with too.
From then on each learns from its own raw scores and the same labels, by the learner that the monitor runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np

from everloop.evaluation.report import Recalibrated
from everloop.instants import format_instant
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.recalibrating_groups import KnownGroups, groups_before
from everloop.recalibration.calibration import group_places
from everloop.recalibration.daily import RowsApart, Terms, served_scores
from everloop.recalibration.declared import declared_groups, judged_scores, windows_late
from everloop.recalibration.exceptions import RecalibrationError
from everloop.recalibration.state import State
from everloop.registry.evidence import record_sha256
from everloop.registry.records import Window
from everloop.training.channels import Split
from everloop.training.exceptions import ChampionError

_EPOCH = date(1970, 1, 1).toordinal()

History = Callable[[], Iterable[Window]]
"""The model's recorded windows, newest first."""


@dataclass(frozen=True)
class Learned:
    """What was known of recalibration when the first compared row came; nothing where no window is on record."""

    state: State | None = None
    window: Window | None = None
    groups: KnownGroups = field(default_factory=KnownGroups)


@dataclass(frozen=True)
class Serving:
    """How rows would have been served.

    Attributes
    ----------
    windows : int array (rows,)
        The number of each row's window.
    apart : RowsApart or None
        The rows' groups, where they would have been recalibrated apart.
    """

    terms: Terms
    learned: Learned
    windows: np.ndarray
    apart: RowsApart | None = None

    def scores(self, raw: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
        """What a model's raw scores would have been served as, float array (rows,).

        Raises
        ------
        ChampionError
            When they can't be recalibrated.
        """
        try:
            return served_scores(self.learned.state, self.terms, self.windows, raw, outcomes, self.apart)
        except RecalibrationError as error:
            raise ChampionError(
                f"the test rows can't be recalibrated as they would have been served: {error}; declare"
                " `recalibration: none` to serve and compare raw scores"
            ) from error

    @property
    def facts(self) -> Recalibrated:
        """What the report says of it."""
        window, state = self.learned.window, self.learned.state
        return Recalibrated(
            windows=len(np.unique(self.windows)),
            windows_late=self.terms.delay,
            learned_windows=0 if state is None else state.labelled,
            learned_until=None if window is None else window.record.labelled_end,
            window_end=None if window is None else window.end,
            window_sha256=None if window is None else record_sha256(window),
        )


def serving(declaration: ModelDeclaration, rows: Split, history: History) -> Serving | None:
    """How ``rows`` would have been served; None where raw scores are.

    Raises
    ------
    ChampionError
        When a recorded window can't be read.
    """
    declared = declaration.recalibration
    if declared is None or judged_scores(declaration) == "raw":
        return None
    kind = "log_odds" if declaration.problem.type == "binary_classification" else "value"
    terms = Terms(kind, windows_late(declaration), declared.max_shift, declared.minimum_rows)  # type: ignore[arg-type]  # the text is one of the two
    length = declaration.monitoring.window_hours // 24
    learned = learned_before(history(), _midnight(rows.days.min()), terms.delay, length)
    return Serving(
        terms, learned, window_numbers(rows.days, length, learned.window), _apart(declaration, rows, learned.groups)
    )


def _apart(declaration: ModelDeclaration, rows: Split, known: KnownGroups) -> RowsApart | None:
    """The rows' groups; None where none are declared, or all were served by the shared calibration in the end."""
    by, declared = declared_groups(declaration), declaration.recalibration
    if by is None or declared is None or known.withheld:
        return None
    places = group_places(by, rows.features[by.feature].to_numpy())
    same = known.by is not None and known.by.feature == by.feature
    return RowsApart(by, places, declared.minimum_group_rows, known.states if same else {})


def learned_before(windows: Iterable[Window], first: datetime, delay: int, length: int) -> Learned:
    """What the newest window left behind whose labelled days ended before the first compared row's day.

    Parameters
    ----------
    windows : iterable of Window
        Newest first; read no further than needed.
    first : datetime
        The midnight that the first row's day begins with.
    delay, length : int
        Of labels in windows, and of a window in days.

    Raises
    ------
    ChampionError
        When its state can't be read.
    """
    for window in windows:
        record = window.record
        found = record.recalibration
        if found is None or found["state"] is None or record.labelled_end > first:
            continue
        try:
            state = State.from_document(found["state"])
            groups = groups_before(found.get("groups"), same_version=True)
        except RecalibrationError as error:
            raise ChampionError(
                f"the window that ended {format_instant(window.end)} has no readable state of recalibration:"
                f" {error}; `everloop audit verify {record.model}` reports what was changed"
            ) from error
        # A state of another delay makes new calibrations of all it knows: those labels had to be there already.
        if state.delay == delay or record.labelled_end <= first - timedelta(days=delay * length):
            return Learned(state, window, groups)
    return Learned()


def window_numbers(days: np.ndarray, length: int, window: Window | None = None) -> np.ndarray:
    """The numbers of the windows, ``length`` days each, that rows of these days (datetime64[D]) fall into.

    They are the monitor's own: windows end where the recorded one's labelled days did, or whole windows away.
    """
    following = days.astype(np.int64) + _EPOCH + 1
    phase = 0 if window is None else window.record.labelled_end.toordinal() % length
    ends: np.ndarray = following + (phase - following) % length
    return ends // length


def _midnight(day: np.datetime64) -> datetime:
    return datetime.combine(day.astype("datetime64[D]").astype(object), datetime.min.time(), UTC)
