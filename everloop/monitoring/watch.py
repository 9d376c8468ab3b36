"""One run of the monitor: count the windows, judge them, decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from everloop.documents.probe import ProbeDocument
from everloop.documents.recalibration import RecalibrationDocument
from everloop.documents.window import WindowRecord
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.drift import DriftPolicy, DriftReport, judge_drift
from everloop.monitoring.fairness_query import Comparison, fairness_query, read_counted
from everloop.monitoring.interval_query import interval_query, read_spread
from everloop.monitoring.money import window_money
from everloop.monitoring.own_scores import OwnScores, own_scores
from everloop.monitoring.profile_answer import Counted, Sampled, read_counts, read_unknown
from everloop.monitoring.profile_queries import profile_queries
from everloop.monitoring.profile_query import Windows, unknown_labels_query
from everloop.monitoring.quality import QualityReport, judge_quality
from everloop.monitoring.raw_scores_query import RowsApart, raw_scores_query, read_group_sums, read_sums
from everloop.monitoring.recalibrating import Standing, learned_before, recalibrate, scale_of
from everloop.monitoring.recalibrating_groups import all_of, apart
from everloop.monitoring.recalibrating_spread import Spread
from everloop.monitoring.reference import Reference
from everloop.monitoring.watchable import watchable
from everloop.monitoring.window import Watched, watched_before, window_record, without_gaps
from everloop.problem_types import MULTICLASS, REGRESSION
from everloop.recalibration.fairness import Counted as CountedGroups
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.interval import Interval
from everloop.recalibration.spread.sums import SpreadSums
from everloop.recalibration.sums import Scale, Sums
from everloop.registry.kept_requests import KeptRequest
from everloop.registry.records import Champion, Run
from everloop.registry.restorations import RESTORE
from everloop.retraining.decision import Asked, Decision, Facts, FallenQuality, HeldBefore, PastRun, decide
from everloop.retraining.kept import told_waiting, update_asked_for, waiting
from everloop.retraining.probe.serving import Serving
from everloop.retraining.probe.weigh import Weighed, weigh

Rows = list[dict[str, str | None]]


@dataclass(frozen=True)
class Scene:
    """What the registry knows as the monitor runs.

    Attributes
    ----------
    reference : Reference
        The champion's.
    earlier : sequence of WindowRecord
        Recorded windows, newest first, as far back as :func:`reach_back` wants them.
    own : iterable of WindowRecord
        Recorded windows, oldest first, from the champion's registration on. Read only where a score
        reference is taken from them, and then no further than it needs.
    runs : sequence of Run
        All runs, newest first.
    active_run : str or None
    standing : Standing
        What serves between raw scores and callers, and whether that may change.
    probes : sequence of (ProbeDocument, str)
        The latest fresh probes with the hashes of their records, where retraining is declared an investment.
    newest_version : int or None
        The newest version that has served: another one than the champion where an older version serves again. None
        stands for the champion.
    trained_at : datetime or None
        As of when the newest version's training set was gathered; None where that is not on record.
    restorable : frozenset of int
        The versions that may come back by themselves.
    kept : sequence of KeptRequest
        What people asked for while nothing could start.
    interval : Interval or None
        That the champion answers with, as it was at its birth.
    """

    champion: Champion
    reference: Reference
    earlier: Sequence[WindowRecord]
    own: Iterable[WindowRecord]
    runs: Sequence[Run]
    active_run: str | None
    standing: Standing = field(default_factory=Standing)
    probes: Sequence[tuple[ProbeDocument, str]] = ()
    newest_version: int | None = None
    trained_at: datetime | None = None
    restorable: frozenset[int] = frozenset()
    kept: Sequence[KeptRequest] = ()
    interval: Interval | None = None


def windows_needed(declaration: ModelDeclaration) -> int:
    """How many earlier windows are judged: those that are judged together, and as many again for gaps."""
    monitoring, retraining = declaration.monitoring, declaration.retraining
    days = max(monitoring.drift_days, retraining.quality.days if retraining.quality else 1)
    streak = retraining.drift.windows if retraining.drift else 1
    cooldown = int(retraining.cooldown_days) + 1
    return 2 * max(-(-days * 24 // monitoring.window_hours), streak, -(-cooldown * 24 // monitoring.window_hours))


def reach_back(
    declaration: ModelDeclaration,
    windows: Windows,
    runs: Sequence[Run],
    latest: Callable[[int], Sequence[WindowRecord]],
) -> Sequence[WindowRecord]:
    """The recorded windows that a run of the monitor reads, newest first.

    They reach back to the last training, unless fewer already hold as many labelled rows as a training needs: then
    whether there are more decides nothing. So a model with few rows a day reads many windows, and others do not.

    Parameters
    ----------
    latest : callable
        Reads that many of the latest windows.
    """
    count, last = windows_needed(declaration), last_training(runs, windows.as_of)
    while True:
        records = latest(count)
        whole = len(records) < count or (last is not None and records[-1].labelled_end <= last)
        if whole or _labelled_since(records, last, windows.end) >= _rows_that_decide(declaration):
            return records
        count *= 2


def _rows_that_decide(declaration: ModelDeclaration) -> int:
    """Labelled rows since the last training beyond which more of them decide nothing."""
    volume = declaration.retraining.volume
    return max(declaration.monitoring.minimum_rows, volume.rows if volume else 0)


def last_training(runs: Sequence[Run], as_of: datetime) -> datetime | None:
    """When the last training run before ``as_of`` started; None before the first."""
    return next((r.started_at for r in _trained(runs, as_of)), None)


class Counts(Protocol):
    """Counts the windows of one run of the monitor, wherever their rows are."""

    def window(self, reference: Reference) -> Counted:
        """The profile over the reference's bins; of scores and outcomes, the rows that the champion answered."""
        ...

    def raw_sums(self, scale: Scale) -> Sums:
        """What recalibration learns from: the champion's labelled rows by what it said, a regression's on ``scale``."""
        ...

    def group_sums(self, scale: Scale, by: GroupBy) -> Mapping[int, Sums]:
        """The same by groups: of each by its place, and of the rows in none."""
        ...

    def intervals(self, interval: Interval) -> SpreadSums:
        """How the intervals did that the champion's labelled rows were answered with."""
        ...

    def compared(self, comparison: Comparison, scale: Scale) -> CountedGroups:
        """The champion's labelled rows of the days on which fairness is measured."""
        ...


@dataclass(frozen=True)
class CountedOnLake:
    """Counts by queries on the lake.

    Attributes
    ----------
    version : int
        The champion's.
    query : callable
        Runs a query and returns its rows.
    """

    declaration: ModelDeclaration
    windows: Windows
    version: int
    query: Callable[[str], Rows]

    def window(self, reference: Reference) -> Counted:
        """See :class:`Counts`."""
        declaration, windows = self.declaration, self.windows
        queries = profile_queries(declaration, reference, windows, version=self.version)
        answer = [row for text in queries for row in self.query(text)]
        classification = declaration.problem.type != REGRESSION
        counted = read_counts(answer, reference, classification=classification)
        if counted.labels.unmatched:
            unknown = read_unknown(self.query(unknown_labels_query(declaration, windows)))
            counted = replace(counted, labels=replace(counted.labels, unmatched=unknown))
        return counted

    def raw_sums(self, scale: Scale) -> Sums:
        """See :class:`Counts`."""
        text = raw_scores_query(self.declaration, self.windows, version=self.version, scale=scale)
        return read_sums(self.declaration, self.query(text), scale=scale)

    def group_sums(self, scale: Scale, by: GroupBy) -> Mapping[int, Sums]:
        """See :class:`Counts`."""
        apart = RowsApart.of(by)
        text = raw_scores_query(self.declaration, self.windows, version=self.version, scale=scale, apart=apart)
        return read_group_sums(self.declaration, self.query(text), by, scale=scale)

    def intervals(self, interval: Interval) -> SpreadSums:
        """See :class:`Counts`."""
        text = interval_query(self.declaration, self.windows, interval, version=self.version)
        return read_spread(self.query(text), interval)

    def compared(self, comparison: Comparison, scale: Scale) -> CountedGroups:
        """See :class:`Counts`."""
        text = fairness_query(self.declaration, self.windows, comparison, version=self.version, scale=scale)
        return read_counted(self.declaration, self.query(text), comparison, scale=scale)


def watch(declaration: ModelDeclaration, windows: Windows, scene: Scene, query: Callable[[str], Rows]) -> WindowRecord:
    """The record of the windows, counted on the lake.

    Parameters
    ----------
    query : callable
        Runs a query on the lake and returns its rows.
    """
    return judge(declaration, windows, scene, CountedOnLake(declaration, windows, scene.champion.version, query))


def judge(declaration: ModelDeclaration, windows: Windows, scene: Scene, counts: Counts) -> WindowRecord:
    """The record of the windows, whoever counts them."""
    version, policy = scene.champion.version, drift_policy(declaration)
    collected = _own_scores(scene, policy, before=windows.end)
    seen = watchable(collected.judging(scene.reference) if collected else scene.reference, declaration)
    reference = seen.reference
    counted = counts.window(reference)
    judged = scene.earlier[: windows_needed(declaration)]
    earlier = watched_before(judged, version=version, reference=scene.reference, watched=reference, before=windows.end)
    chain = without_gaps(windows.end, windows.end - windows.start, earlier)
    drift = judge_drift(
        reference,
        [counted.profile, *(w.profile for w in chain)],
        policy,
        score_windows=collected.windows_after([windows.end, *(w.end for w in chain)]) if collected else None,
    )
    if not counted.sampled.is_even:
        drift = DriftReport(False, drift.rows, reason=_uneven(counted.sampled))
    outcomes = [counted.profile.outcomes, *(w.profile.outcomes for w in earlier)]
    quality = judge_quality(
        reference,
        outcomes,
        trigger=declaration.retraining.quality,
        window_days=declaration.monitoring.window_hours // 24,
        minimum_rows=declaration.monitoring.minimum_rows,
        rarest_fault=declaration.gate.rarest_fault,
    )
    recalibration = _recalibrated(declaration, windows, scene, counts)
    weighed = _weighed(declaration, windows, scene, recalibration)
    decision = _decide(declaration, windows, scene, counted, chain, drift, quality, weighed)
    return window_record(
        model=declaration.model,
        windows=windows,
        version=version,
        counted=counted,
        drift=drift,
        quality=quality,
        decision=decision,
        not_watched=seen.left_out,
        score_reference=collected,
        recalibration=recalibration,
        investment=None if weighed is None else weighed.document,
        money=window_money(declaration, outcomes),
    )


def _uneven(sampled: Sampled) -> str:
    return (
        f"the share of captured rows changed in the window, from {sampled.least:g} to {sampled.most:g} or back"
        " (serving.capture.share), so one part of it counts more than another; the next whole window is judged"
    )


def _weighed(
    declaration: ModelDeclaration, windows: Windows, scene: Scene, recalibration: RecalibrationDocument | None
) -> Weighed | None:
    """Whether a retraining pays, by the probes whose windows had ended; a window watched again knows no later ones."""
    if scene.trained_at is None or recalibration is None:
        return None
    known = [probe for probe in scene.probes if probe[0]["as_of"] < windows.as_of]
    told = recalibration["losses"]
    saved = (told["raw"] - told["calibrated"]) / told["rows"] if told["rows"] else None
    version = scene.champion.version
    newest = version if scene.newest_version is None else scene.newest_version
    serving = Serving(version, newest, scene.trained_at, scene.restorable)
    return weigh(declaration, known, serving, as_of=windows.as_of, raw_less_served=saved)


def _recalibrated(
    declaration: ModelDeclaration, windows: Windows, scene: Scene, counts: Counts
) -> RecalibrationDocument | None:
    """What the labelled window teaches of how scores should be served; None of several classes."""
    if declaration.problem.type == MULTICLASS:
        return None
    version = scene.champion.version
    learned = learned_before(scene.earlier, version=version, windows=windows)
    scale = scale_of(learned, scene.reference)
    groups = apart(
        declaration,
        scene.reference,
        lambda by: counts.group_sums(scale, by),
        lambda comparison: counts.compared(comparison, scale),
    )
    sums = counts.raw_sums(scale) if groups is None else all_of(groups.sums)
    intervals = None if scene.interval is None else Spread(scene.interval, counts.intervals(scene.interval))
    return recalibrate(declaration, windows, sums, learned, scene.standing, groups, intervals)


def _own_scores(scene: Scene, policy: DriftPolicy, *, before: datetime) -> OwnScores | None:
    """What there is of the champion's own score reference; None where its profile has one."""
    if not scene.reference.score_unjudged:
        return None
    return own_scores(scene.own, scene.reference, policy, version=scene.champion.version, before=before)


def drift_policy(declaration: ModelDeclaration) -> DriftPolicy:
    """What the declaration says of drift."""
    monitoring = declaration.monitoring
    return DriftPolicy(
        days=monitoring.drift_days,
        window_days=monitoring.window_hours // 24,
        minimum_rows=monitoring.minimum_rows,
        false_alarm_rate=monitoring.false_alarm_rate,
        minimum_effect=monitoring.minimum_effect,
        detector=monitoring.detector,
    )


def _decide(
    declaration: ModelDeclaration,
    windows: Windows,
    scene: Scene,
    counted: Counted,
    chain: Sequence[Watched],
    drift: DriftReport,
    quality: QualityReport,
    weighed: Weighed | None,
) -> Decision:
    last = last_training(scene.runs, windows.as_of)
    facts = Facts(
        as_of=windows.as_of,
        champion_version=scene.champion.version,
        fallen=[FallenQuality(d.kind, d.amount, d.increase, d.p_value) for d in quality.fallen],
        quality_days=quality.days,
        drifted=[f.name for f in drift.alarmed],
        windows_alarming=_streak(drift, chain),
        runs=[PastRun(r.started_at, r.status, r.trained) for r in _trained(scene.runs, windows.as_of)],
        active_run=scene.active_run,
        labelled_since=counted.labelled_rows + _labelled_since(scene.earlier, last, windows.end),
        minimum_rows=declaration.monitoring.minimum_rows,
        investment=None if weighed is None else weighed.investment,
        asked=_asked(windows, scene),
        held_before=_held_before(scene.earlier, windows),
        older=None if weighed is None else weighed.older,
        warm=None if weighed is None else weighed.warm,
        comparable_at=_comparable_at(declaration, scene),
        restored_at=max((r.started_at for r in _before(scene.runs, windows.as_of, RESTORE)), default=None),
    )
    return decide(facts, declaration.retraining)


def _comparable_at(declaration: ModelDeclaration, scene: Scene) -> datetime | None:
    """When the test part holds no row that the newest version has learned from; a refit has learned from all."""
    if scene.trained_at is None:
        return None
    lag = timedelta(hours=declaration.data.label_lag_hours)
    return scene.trained_at + timedelta(days=declaration.data.split.longest_days) + lag


def _asked(windows: Windows, scene: Scene) -> Asked | None:
    kept = waiting(scene.kept, scene.runs, as_of=windows.as_of)
    return Asked(len(kept), told_waiting(kept), update_asked_for(kept)) if kept else None


def _held_before(earlier: Sequence[WindowRecord], windows: Windows) -> HeldBefore | None:
    before = next((r for r in earlier if r.end < windows.end), None)
    if before is None or before.trigger is None or before.held_back_by is None:
        return None
    return HeldBefore(before.end, before.trigger, before.held_back_by)


def _trained(runs: Sequence[Run], as_of: datetime) -> list[Run]:
    return _before(runs, as_of, "train")


def _before(runs: Sequence[Run], as_of: datetime, kind: str) -> list[Run]:
    return [r for r in runs if r.kind == kind and r.started_at <= as_of]


def _streak(drift: DriftReport, chain: Sequence[Watched]) -> int:
    if not drift.alarmed:
        return 0
    alarming = 1
    for window in chain:
        if not window.drift_alarm:
            break
        alarming += 1
    return alarming


def _labelled_since(records: Sequence[WindowRecord], last: datetime | None, before: datetime) -> int:
    """Labelled rows of the recorded windows that ended after the last training began, whoever answered them."""
    return sum(r.labelled_rows for r in records if r.end < before and (last is None or r.labelled_end > last))
