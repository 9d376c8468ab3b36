"""What a labelled window teaches of how scores should be served, and whether that is published."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import cast

from everloop.documents.calibration import LearnedCalibration
from everloop.documents.recalibration import (
    LossesDocument,
    RecalibrationDecision,
    RecalibrationDocument,
    SpreadDocument,
)
from everloop.documents.window import WindowRecord
from everloop.instants import format_instant
from everloop.model_file.schema import ModelDeclaration, Recalibration
from everloop.monitoring.bins import NumberBins
from everloop.monitoring.coverage import coverage_sentence
from everloop.monitoring.exceptions import RecalibrationUnreadableError
from everloop.monitoring.profile_query import Windows
from everloop.monitoring.recalibrating_groups import Apart, KnownGroups, groups_before, groups_learned
from everloop.monitoring.recalibrating_spread import (
    KnownSpread,
    Spread,
    interval_learned,
    spread_before,
    spread_of,
    widened,
)
from everloop.monitoring.reference import Reference
from everloop.numbers_of import number_of
from everloop.reasons import Reason
from everloop.recalibration.calibration import Calibration, Kind, calibration_name, identity
from everloop.recalibration.daily import Terms, continued
from everloop.recalibration.declared import LONGEST_DELAY
from everloop.recalibration.exceptions import RecalibrationError
from everloop.recalibration.learner import calibration as served_by
from everloop.recalibration.learner import calibration_for, learn
from everloop.recalibration.state import State
from everloop.recalibration.sums import LogOddsSums, Scale, Sums, ValueSums
from everloop.recalibration.worth import largest_move, losses

LEAST_MOVE = 0.001
"""A calibration that moves no score by more than this beside the one in force is not published: in probability, or in
the unit of a regression."""

_NO_LOSSES: LossesDocument = {"windows": 0, "rows": 0, "raw": 0.0, "calibrated": 0.0}


@dataclass(frozen=True)
class Standing:
    """What the registry says of calibrations as the monitor runs.

    Attributes
    ----------
    in_force : str
        The text of the calibration that serves; empty for none.
    held_by : str or None
        Why none may be published now, in a sentence: a rollout is open, or a person froze them.
    """

    in_force: str = ""
    held_by: str | None = None


@dataclass(frozen=True)
class Learned:
    """What was learned up to the window before, and what it was worth to the version that serves."""

    state: State | None
    losses: LossesDocument
    groups: KnownGroups = field(default_factory=KnownGroups)
    spread: KnownSpread = field(default_factory=KnownSpread)


def learned_before(records: Iterable[WindowRecord], *, version: int, windows: Windows) -> Learned:
    """What the newest earlier window left behind. A promoted version goes on with what was learned of the one before it
    (:func:`everloop.recalibration.learner.succeed`), and counts losses of its own.

    Raises
    ------
    RecalibrationUnreadableError
        When it can't be read.
    """
    earlier = [r for r in records if r.end < windows.end and r.recalibration is not None]
    for record in sorted(earlier, key=lambda r: r.end, reverse=True):
        found = cast("RecalibrationDocument", record.recalibration)
        if found["state"] is None:
            continue
        try:
            state = State.from_document(found["state"])
            groups = groups_before(found.get("groups"), same_version=record.version == version)
            spread = spread_before(found.get("spread"), same_version=record.version == version)
        except RecalibrationError as error:
            raise RecalibrationUnreadableError(
                f"the window that ended {format_instant(record.end)} has no readable state of recalibration:"
                f" {error}; `everloop audit verify {record.model}` reports what was changed"
            ) from error
        same = record.version == version
        return Learned(state, found["losses"] if same else _NO_LOSSES, groups, spread)
    return Learned(None, _NO_LOSSES)


def scale_of(learned: Learned, reference: Reference) -> Scale:
    """How a regression's scores are counted: as before, or at first from the middle of the reference's."""
    if learned.state is not None:
        return Scale(learned.state.center, learned.state.bin_width)
    bins = reference.score.bins if reference.score is not None else None
    return Scale(bins.edges[len(bins.edges) // 2] if isinstance(bins, NumberBins) and bins.edges else 0.0)


def recalibrate(
    declaration: ModelDeclaration,
    windows: Windows,
    sums: Sums,
    learned: Learned,
    standing: Standing,
    apart: Apart | None = None,
    intervals: Spread | None = None,
) -> RecalibrationDocument:
    """Learn from the labelled window, and decide.

    ``apart`` is there where rows are recalibrated by group, ``intervals`` where the champion answers with them. A model
    that declares ``recalibration: none`` is learned of as well, so that its report says what that costs.
    """
    declared = declaration.recalibration
    allowed = declared or Recalibration()
    known = sums if sums.rows >= allowed.minimum_rows else _none_of(sums)
    kind: Kind = sums.kind  # type: ignore[assignment]  # each kind of sums has its own
    delay = _delay(windows)
    if delay > LONGEST_DELAY:
        reason = Reason(
            "labels_too_late",
            f"labels come {delay} windows after their answers, and recalibration waits for at most {LONGEST_DELAY}",
        )
        return _document(sums, None, learned.losses, None, standing, "none", reason)
    before = continued(learned.state, Terms(kind, delay, allowed.max_shift, allowed.minimum_rows), known)
    number = windows.labelled_end.toordinal() // _days(windows)
    state, told, groups = before, learned.losses, apart.known(learned.groups, before) if apart else None
    if before.window is None or number > before.window:
        raw, calibrated = losses(calibration_for(before, number), known)
        if apart is not None and groups is not None:
            taught, minimum = known.rows > 0, allowed.minimum_group_rows
            groups, saved = apart.learned(groups, before, number, taught=taught, minimum_rows=minimum)
            calibrated -= saved
        told = _told(told, known.rows, raw, calibrated)
        state = learn(before, number, known)
    calibration, spread, told_of_groups = served_by(state), None, None
    if intervals is not None:
        spread = intervals.learned(learned.spread, number, delay, allowed.minimum_rows)
        calibration = replace(calibration, spread=spread_of(spread))
    if apart is not None and groups is not None:
        calibration, told_of_groups = apart.served(groups, calibration, _in_force(standing, kind), allowed)
    withheld = told_of_groups["withheld"] if told_of_groups else None
    decision, reason = _decide(declared is None, calibration, state, told, standing, withheld, spread)
    document = _document(sums, state, told, calibration, standing, decision, reason)
    if told_of_groups is not None:
        document["groups"] = told_of_groups
    if spread is not None:
        document["spread"] = spread
    return document


def calibration_event(record: WindowRecord) -> LearnedCalibration | None:
    """What is put on the bus after a window that decided to publish; None after any other."""
    found = record.recalibration
    if found is None or found["decision"] != "publish" or found["calibration"] is None:
        return None
    told, rows = found["losses"], found["losses"]["rows"]
    return LearnedCalibration(
        model=record.model,
        version=record.version,
        window_end=record.end,
        learned_until=record.labelled_end,
        calibration=found["calibration"],
        days=told["windows"] * max((record.labelled_end - record.labelled_start).days, 1),
        rows=rows,
        loss_raw=told["raw"] / rows if rows else None,
        loss_recalibrated=told["calibrated"] / rows if rows else None,
        groups=groups_learned(found["groups"]) if "groups" in found else None,
        interval=interval_learned(found["spread"]) if "spread" in found else None,
    )


def _decide(
    frozen: bool,
    calibration: Calibration,
    state: State,
    told: LossesDocument,
    standing: Standing,
    withheld: str | None,
    spread: SpreadDocument | None,
) -> tuple[RecalibrationDecision, Reason]:
    now = _in_force(standing, calibration.kind)
    worth = _worth(told, calibration.kind)
    if spread is not None:
        worth = f"{worth}; {coverage_sentence(spread)}"
    if withheld is not None:
        worth = f"no group is served apart: {withheld}; {worth}"
    if frozen:
        return "none", Reason("declared_none", f"recalibration: none is declared; {worth}")
    moved = largest_move(calibration, now, unit=state.spread, center=state.center)
    if moved <= LEAST_MOVE and not widened(calibration.spread, now.spread):
        return "none", Reason("nothing_new", f"no score would move by more than {LEAST_MOVE:g}; {worth}")
    if standing.held_by is not None:
        return "held_back", Reason("held_back", f"{standing.held_by}; {worth}")
    return "publish", Reason("learned", worth)


def _worth(told: LossesDocument, kind: str) -> str:
    rows, windows = told["rows"], told["windows"]
    if not rows:
        return "no labelled window was answered after anything was learned"
    what = "log loss" if kind == "log_odds" else "mean squared error"
    raw, calibrated = told["raw"] / rows, told["calibrated"] / rows
    over = f"{number_of(windows, 'labelled window')} ({number_of(rows, 'row')})"
    return f"over {over} {what} is {raw:.4g} raw and {calibrated:.4g} recalibrated"


def _told(told: LossesDocument, rows: int, raw: float, calibrated: float) -> LossesDocument:
    """The losses with the window's, by the calibration that was made for it from those before."""
    if not rows:
        return told
    return {
        "windows": told["windows"] + 1,
        "rows": told["rows"] + rows,
        "raw": told["raw"] + raw,
        "calibrated": told["calibrated"] + calibrated,
    }


def _in_force(standing: Standing, kind: Kind) -> Calibration:
    return Calibration.from_text(standing.in_force) if standing.in_force else identity(kind)


def _delay(windows: Windows) -> int:
    """Whole windows between the newest labelled one and the one that is served now."""
    return -(-(windows.end - windows.labelled_end).days // _days(windows))


def _days(windows: Windows) -> int:
    return (windows.end - windows.start).days


def _none_of(sums: Sums) -> Sums:
    return ValueSums.none(sums.center, sums.width) if isinstance(sums, ValueSums) else LogOddsSums.none()


def _document(
    sums: Sums,
    state: State | None,
    told: LossesDocument,
    calibration: Calibration | None,
    standing: Standing,
    decision: RecalibrationDecision,
    reason: Reason,
) -> RecalibrationDocument:
    in_force = Calibration.from_text(standing.in_force).sha256 if standing.in_force else None
    return {
        "sums": sums.to_document(),
        "state": state.to_document() if state else None,
        "losses": told,
        "calibration": calibration.to_text() if calibration else None,
        "in_force": calibration_name(in_force) if in_force else None,
        "decision": decision,
        "reasons": [reason.as_dict()],
    }
