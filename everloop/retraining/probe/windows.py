"""For which window a probe is due."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from everloop.model_file.worst_case import PROBE_TRIES
from everloop.retraining.probe.requests import ProbeWindow, probe_request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from everloop.documents.probe import ProbeRequest
    from everloop.model_file.schema import ModelDeclaration
    from everloop.monitoring.profile_query import Windows
    from everloop.registry.records import Run

_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def newest_window(every_days: int, labelled_end: datetime) -> ProbeWindow:
    """The newest whole window whose labels are complete.

    Windows follow one another from the same days on, whoever asks and whenever: one starts every ``every_days`` days
    since 1970.

    Parameters
    ----------
    labelled_end : datetime
        The end of the monitor's labelled window.
    """
    length = timedelta(days=every_days)
    end = _EPOCH + length * ((labelled_end - _EPOCH) // length)
    return ProbeWindow(end - length, end)


def due_window(
    declaration: ModelDeclaration,
    labelled_end: datetime,
    *,
    served_since: datetime | None,
    probed: datetime | None,
) -> ProbeWindow | None:
    """The window for which a probe is asked for now; None where none is due.

    A job that fails is asked for again at the next runs of the monitor, ``PROBE_TRIES`` times in all.

    Parameters
    ----------
    served_since : datetime or None
        Since when there has been a champion: a window before it has no answers.
    probed : datetime or None
        The end of the newest window that has a probe.
    """
    investment = declaration.retraining.investment
    if investment is None or served_since is None:
        return None
    window = newest_window(investment.every_days, labelled_end)
    tries = (labelled_end - window.end) // timedelta(hours=declaration.monitoring.window_hours)
    known = probed is not None and probed >= window.end
    # The first champion is seldom promoted at midnight.
    too_early = window.start + _DAY < served_since
    return None if known or too_early or tries >= PROBE_TRIES else window


def due_probe(
    declaration: ModelDeclaration, windows: Windows, runs: Iterable[Run], *, probed: datetime | None
) -> ProbeRequest | None:
    """The fresh probe to ask for at a run of the monitor; asked for again, it is the same one.

    Parameters
    ----------
    runs : iterable of Run
        All of them, in any order: the first whose candidate passed brought the first champion.
    probed : datetime or None
        The end of the newest window that has a probe.
    """
    passed = [run.started_at for run in runs if run.kind == "train" and run.verdict == "pass"]
    window = due_window(declaration, windows.labelled_end, served_since=min(passed, default=None), probed=probed)
    return None if window is None else probe_request(declaration.model, window, windows.as_of)


def lag_days(declaration: ModelDeclaration) -> int:
    """How many days after its own a row's label is known."""
    return math.ceil(declaration.data.label_lag_hours / 24)
