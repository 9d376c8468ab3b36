"""A history in which each training learns from the span of rows that evidence chose, as it is deployed.

At the start of each window the span is chosen from what fresh probes of each span lost in the windows before it
(:mod:`everloop.retraining.spans`). The choice rests on probes alone, and so it is the same for every policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from everloop.retraining.backtest.history import History
from everloop.retraining.backtest.losses import LossTable
from everloop.retraining.backtest.timeline import Fit, Rows, Timeline
from everloop.retraining.spans import Lead, SpanChoice, choose_span

Span = int | None
"""The newest so many days; None for all rows."""


def chosen_spans(timeline: Timeline, own: Mapping[Span, np.ndarray], *, unit: str = "loss") -> list[SpanChoice]:
    """The choice at the start of each window.

    Parameters
    ----------
    own : mapping of int or None to float array, shape (days,)
        Of each span, what was lost on each day by the probe that was fresh in its window; all rows under None.
    unit : str
        Of the losses, as sentences call it.
    """
    found = []
    for now in range(timeline.windows):
        known = timeline.first_day(now) - timeline.lag_days
        leads = {}
        for days in (span for span in own if span is not None):
            less: list[list[float]] = []
            for window in range(now):
                first, end = timeline.first_day(window), timeline.first_day(window + 1)
                rows = timeline.rows_by_day[first:end]
                # A window counts once all of it is labelled, and where the newest days were not all there were.
                if end <= known and first - timeline.lag_days > days and rows.any():
                    mean = rows.sum() / (rows > 0).sum()
                    less.append(((own[None][first:end] - own[days][first:end])[rows > 0] / mean).tolist())
            leads[days] = Lead.of(less)
        found.append(choose_span(leads, unit=unit))
    return found


def fresh_losses(probes: LossTable) -> np.ndarray:
    """What the probe that was fresh lost on each day, float, shape (days,); NaN before the first window."""
    line = probes.timeline
    window = np.array([line.window_of(day) for day in range(line.days)])
    return np.asarray(probes.daily[np.maximum(window, 0), np.arange(line.days)])


def by_evidence(histories: Mapping[Span, History], spans: Sequence[Span]) -> History:
    """The history whose model of each window learned from that window's span.

    The reference is its own: a model that is always new, trained as this product would.

    Parameters
    ----------
    histories : mapping of int or None to History
        By span, those of all rows under None.
    spans : sequence of int or None
        By window.
    """
    whole = histories[None]

    def of(name: str) -> LossTable:
        tables: dict[Span, LossTable] = {days: getattr(history, name) for days, history in histories.items()}
        daily = np.array([tables[days].daily[window] for window, days in enumerate(spans)])
        return LossTable(whole.served.timeline, daily)

    def shift_of(name: str) -> np.ndarray | None:
        shifts: dict[Span, np.ndarray | None] = {days: getattr(history, name) for days, history in histories.items()}
        chosen = [shifts[days] for days in spans]
        return None if any(each is None for each in chosen) else np.array([s[w] for w, s in enumerate(chosen)])  # type: ignore[index]  # none is None

    served = of("served")
    return replace(
        whole,
        served=served,
        probe=of("probe"),
        raw=of("raw"),
        errors=of("errors"),
        fresh=np.diag(served.by_window).copy(),
        shift_stability=shift_of("shift_stability"),
        shift_distance=shift_of("shift_distance"),
    )


def learned_rows(
    timeline: Timeline, window: int, days: Span, *, most_rows: int | None = None, held_out_days: int = 0, seed: int = 0
) -> Rows:
    """What a training at the start of a window learns from, a sample where there are more than ``most_rows``."""
    known = timeline.rows_before(window, days=days, held_out_days=held_out_days)
    if most_rows is None or len(known) <= most_rows:
        return known
    chosen = np.random.default_rng([seed, window]).choice(len(known), most_rows, replace=False)
    return known[np.sort(chosen)]


def fresh_scores(timeline: Timeline, fit: Fit, days: Span, *, fewest: int, most_rows: int, seed: int) -> np.ndarray:
    """What the probe that is fresh in each window says of the window's own rows, float32, shape (rows,).

    A span with fewer than ``fewest`` rows, or all of one outcome, counts as all rows: no training takes it. NaN where
    the newest days are all there are.
    """
    found = np.full(timeline.day_starts[-1], np.nan, dtype=np.float32)
    for window in range(timeline.windows):
        known = timeline.rows_before(window, days=days)
        if days is not None and len(known) == len(timeline.rows_before(window)):
            continue
        usable = len(known) >= fewest and len(np.unique(timeline.target[known])) > 1
        rows = learned_rows(timeline, window, days if usable else None, most_rows=most_rows, seed=seed)
        starts = timeline.day_starts
        own = slice(starts[timeline.first_day(window)], starts[timeline.first_day(window + 1)])
        found[own] = fit(rows)(np.arange(own.start, own.stop))
    return found
