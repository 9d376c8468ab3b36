"""The rule that tomorrow is as today was: the last outcome of the row's group that was known when it was asked.

A regression is answered with that outcome itself. A classification is answered with the rate of 1 among training rows
whose last known outcome was the same, so that one surprise does not refute it.

The evaluation lets it see outcomes of earlier test rows as they became known, as it would have in production. Of
training rows it keeps the last outcome of each group that was known when the training rows ended.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from everloop.evaluation.baselines import Answers, Asked, BaselineRule, Learned, Rows
from everloop.evaluation.group_means import means_by_group

_NOTHING_KNOWN = "unknown"
"""The kind of rows before which no outcome was known."""


class LastValue:
    """The last known outcome."""

    def fit(self, asked: Asked, rows: Rows, target: np.ndarray) -> Learned:
        """The mean, the last outcome of each group, and of classes the rate after each outcome."""
        groups, target = _groups(asked, rows), np.asarray(target, dtype=np.float64)
        known = rows.times + rows.lag <= rows.times.max()
        order = np.flatnonzero(known)[np.argsort(rows.times[known], kind="stable")]
        last = dict(zip(groups[order].tolist(), target[order].tolist(), strict=True))
        if not asked.classification:
            return Learned(float(np.mean(target)), last)
        before = _last_known(groups, rows.times, rows.lag, target, {})
        mean, after = means_by_group(target, _kinds(before))
        return Learned(mean, last, {kind: after.get(kind, mean) for kind in ("0", "1", _NOTHING_KNOWN)})

    def answer(self, asked: Asked, learned: Learned, rows: Rows) -> Answers:
        """By what was known when each row's answer was needed."""
        groups = _groups(asked, rows)
        outcomes = np.full(len(rows), np.nan) if rows.outcomes is None else np.asarray(rows.outcomes, dtype=np.float64)
        last = _last_known(groups, rows.times, rows.lag, outcomes, learned.groups)
        if not asked.classification:
            return Answers(np.where(np.isnan(last), learned.value, last))
        rates = (learned.numbers[kind] for kind in _kinds(last).tolist())
        return Answers(np.fromiter(rates, dtype=np.float64, count=len(rows)))


def _groups(asked: Asked, rows: Rows) -> np.ndarray:
    if asked.by is None:
        return np.full(len(rows), "", dtype=object)
    return np.asarray(rows.features[asked.by]).astype(str).astype(object)


def _kinds(last: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(last), _NOTHING_KNOWN, np.where(last == 1, "1", "0"))


def _last_known(
    groups: np.ndarray, times: np.ndarray, lag: np.timedelta64, outcomes: np.ndarray, before: Mapping[str, float]
) -> np.ndarray:
    """The newest outcome of a row's group that was known at its time; ``before`` has those of earlier rows.

    NaN where nothing was known. Outcomes that are NaN never become known.
    """
    found = np.array([before.get(group, np.nan) for group in groups.tolist()], dtype=np.float64)
    for group in set(groups.tolist()):
        inside = np.flatnonzero(groups == group)
        told = inside[~np.isnan(outcomes[inside])]
        told = told[np.argsort(times[told], kind="stable")]
        place = np.searchsorted(times[told] + lag, times[inside], side="right") - 1
        seen = place >= 0
        found[inside[seen]] = outcomes[told[place[seen]]]
    return found


RULE: BaselineRule = LastValue()
