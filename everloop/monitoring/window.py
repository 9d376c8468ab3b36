"""What the monitor records of one window, and what later windows read of it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from everloop.documents.investment import InvestmentDocument
from everloop.documents.recalibration import RecalibrationDocument
from everloop.documents.window import ProfileDocument, WindowMoneyDocument, WindowRecord
from everloop.limits import LARGEST_VALUE
from everloop.monitoring.drift import DriftReport
from everloop.monitoring.own_scores import OwnScores
from everloop.monitoring.profile import Profile
from everloop.monitoring.profile_answer import Counted
from everloop.monitoring.profile_query import Windows
from everloop.monitoring.quality import QualityReport
from everloop.monitoring.reference import Reference
from everloop.monitoring.watchable import part_of_reference
from everloop.numbers_of import number_of
from everloop.retraining.decision import Decision


@dataclass(frozen=True)
class Watched:
    """An earlier window of the same champion, as far as decisions need it."""

    end: datetime
    profile: Profile
    drift_alarm: bool
    labelled_rows: int


def watched_before(
    records: Sequence[WindowRecord], *, version: int, reference: Reference, watched: Reference, before: datetime
) -> list[Watched]:
    """The earlier windows in which this champion was watched over the same bins, newest first.

    Each has the profile of the features in ``watched``. A window that lacks one of them is none of these, nor is one
    in which the share of captured rows changed.

    Parameters
    ----------
    records : sequence of WindowRecord
        Recorded windows in any order.
    reference, watched : Reference
        The champion's, whole, and the part of it that is watched now.
    before : datetime
        The end of the window at hand: a window that is looked at again does not know what came after it.
    """
    whole: dict[tuple[str, ...], str] = {}

    def same_bins(profile: ProfileDocument) -> bool:
        names = tuple(n for n in reference.features if n in profile["features"])
        if names not in whole:
            whole[names] = part_of_reference(reference, list(names)).bins_id
        return set(watched.features) <= set(names) and profile["bins"] == whole[names]

    found = [
        Watched(
            record.end,
            Profile.from_dict(record.profile).only(watched.features, bins=watched.bins_id),
            record.drift_alarm,
            record.labelled_rows,
        )
        for record in records
        if record.version == version and record.end < before and not record.share_changed and same_bins(record.profile)
    ]
    return sorted(found, key=lambda w: w.end, reverse=True)


def without_gaps(end: datetime, length: timedelta, earlier: Sequence[Watched]) -> list[Watched]:
    """Those of ``earlier`` that lead up to the window ending at ``end`` one after another, newest first."""
    chain: list[Watched] = []
    for window in earlier:
        if window.end != end - length * (len(chain) + 1):
            break
        chain.append(window)
    return chain


def window_record(
    *,
    model: str,
    windows: Windows,
    version: int,
    counted: Counted,
    drift: DriftReport,
    quality: QualityReport,
    decision: Decision,
    not_watched: Mapping[str, str],
    score_reference: OwnScores | None,
    recalibration: RecalibrationDocument | None = None,
    investment: InvestmentDocument | None = None,
    money: WindowMoneyDocument | None = None,
) -> WindowRecord:
    """The record of a window that was judged."""
    sampled = counted.sampled
    return WindowRecord(
        model=model,
        scheduled_at=windows.as_of,
        start=windows.start,
        end=windows.end,
        labelled_start=windows.labelled_start,
        labelled_end=windows.labelled_end,
        version=version,
        rows=counted.profile.rows,
        labelled_rows=counted.labelled_rows,
        loss=counted.profile.outcomes.mean_loss,
        left_out_rows=counted.beyond,
        left_out_reason=_why_left_out(counted.beyond),
        labels_arrived=counted.labels.arrived,
        labels_corrected=counted.labels.corrections,
        labels_unmatched=counted.labels.unmatched,
        drift_evaluated=drift.evaluated,
        drift_alarm=bool(drift.alarmed),
        drift_reason=drift.reason,
        drift=drift.as_dict(),
        not_watched=dict(not_watched),
        score_reference=None if score_reference is None else score_reference.as_dict(),
        recalibration=recalibration,
        investment=investment,
        money=money,
        quality=quality.as_dict(),
        decision=decision.outcome,
        urgency=decision.urgency,
        trigger=decision.trigger,
        held_back_by=decision.held_back_by,
        reasons=decision.reasons,
        restore=decision.restore,
        update=decision.update,
        profile=counted.profile.as_dict(),
        answered_rows=None if sampled.is_whole or sampled.answered is None else round(sampled.answered),
        share_changed=not sampled.is_even,
    )


def _why_left_out(beyond: int) -> str:
    if not beyond:
        return ""
    rows = number_of(beyond, "row has", "rows have")
    return (
        f"{rows} a label or an answer beyond {LARGEST_VALUE:g}, too large to be summed: to correct a wrong label,"
        " send the right one"
    )
