"""Decides whether a model is trained again, or an older version brought back: facts in, a decision with reasons out.

It is taken again at every window. What is held back today is therefore not lost: as long as its cause lasts, it is
asked for again as soon as nothing holds it back; where the cause has gone, the next decision says so. What a person
asked for has no cause that could last: it is kept, and a cause itself (:mod:`everloop.retraining.kept`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from everloop.documents.records import UpdateMode
from everloop.instants import instant_text
from everloop.numbers_of import number_of
from everloop.reasons import Reason
from everloop.registry.runs import BROKEN_RUNS, BROKEN_RUNS_WITHIN

if TYPE_CHECKING:
    from everloop.model_file.schema import Retraining
    from everloop.retraining.investment import Investment

Trigger = Literal["manual", "quality", "drift", "investment", "volume", "schedule", "older_version"]
Urgency = Literal["none", "low", "normal", "high"]
HeldBackBy = Literal["active_run", "quota", "broken_runs", "cooldown", "too_little_data"]

HIGH_URGENCY = 3.0
"""A loss this many times the declared smallest increase makes it urgent."""


@dataclass(frozen=True)
class PastRun:
    """A training run: when it started, and how it ended (``open`` while it has not).

    ``trained`` is false when it cost none of the quota: it broke before its training job got an instance, or by no
    fault of the model's.
    """

    started_at: datetime
    status: str
    trained: bool = True

    @property
    def broke(self) -> bool:
        """Whether it ended without a verdict on its candidate."""
        return self.status in ("failed", "released")


@dataclass(frozen=True)
class FallenQuality:
    """A way in which the champion's answers no longer fit the outcomes; see :mod:`everloop.monitoring.quality`."""

    kind: str
    amount: float
    increase: float
    p_value: float


@dataclass(frozen=True)
class OlderVersion:
    """An older version that would have lost less than what serves, beyond chance."""

    version: int
    sentence: str


@dataclass(frozen=True)
class Asked:
    """What people asked for while nothing could start, and still wait for.

    Attributes
    ----------
    count : int
        How many requests.
    told : str
        Since when and why, as the end of a sentence.
    update : str
        How the training is to learn: by warm start if all of them ask for one.
    """

    count: int
    told: str
    update: UpdateMode = "full"


@dataclass(frozen=True)
class HeldBefore:
    """What the decision of the window before found, and held back."""

    window_end: datetime
    trigger: str
    held_back_by: str


@dataclass(frozen=True)
class Facts:
    """What the decision is taken from.

    Attributes
    ----------
    as_of : datetime
        When it is taken.
    champion_version : int
    fallen : sequence of FallenQuality
        What the labelled days showed; ``quality_days`` of them.
    drifted : sequence of str
        The features that alarm in this window.
    windows_alarming : int
        Windows one after another, this one included, in which drift alarmed.
    runs : sequence of PastRun
        Training runs, newest first, as far back as the quota reaches and at least the last one.
    active_run : str or None
        The run that is open.
    labelled_since : int
        Labelled rows of the windows since the last training run; of enough, not all need be counted.
    minimum_rows : int
        Fewer new ones are no reason to train: the candidate would be the champion once more.
    investment : Investment or None
        Whether a retraining pays by this model's fresh probes; None where there are none.
    asked : Asked or None
        Requests of people that were kept.
    held_before : HeldBefore or None
        What the last decision held back, if it did.
    older : OlderVersion or None
        The one to bring back, by this model's fresh probes; None where there is none.
    restored_at : datetime or None
        When the last run started that was to bring a version back, whatever became of it.
    comparable_at : datetime or None
        When all rows that the gate tests on are later than what the newest version has learned from.
    warm : Reason or None
        Why a training is to continue what serves, by this model's fresh probes; None where it is to learn in full.
    """

    as_of: datetime
    champion_version: int
    fallen: Sequence[FallenQuality] = ()
    quality_days: int = 0
    drifted: Sequence[str] = ()
    windows_alarming: int = 0
    runs: Sequence[PastRun] = ()
    active_run: str | None = None
    labelled_since: int = 0
    minimum_rows: int = 1
    investment: Investment | None = None
    asked: Asked | None = None
    held_before: HeldBefore | None = None
    older: OlderVersion | None = None
    restored_at: datetime | None = None
    comparable_at: datetime | None = None
    warm: Reason | None = None


@dataclass(frozen=True)
class Decision:
    """Whether to train again, or to bring an older version back.

    Attributes
    ----------
    retrain : bool
    trigger : str or None
        The gravest cause; None when there is none.
    held_back_by : str or None
        What keeps a cause from starting a run.
    reasons : tuple of Reason
        Causes first, then what holds back; without a cause, why there is none.
    restore : int or None
        The older version to bring back; never together with a training.
    update : str
        How a training is to learn.
    """

    retrain: bool
    trigger: Trigger | None
    urgency: Urgency
    held_back_by: HeldBackBy | None
    reasons: tuple[Reason, ...]
    restore: int | None = None
    update: UpdateMode = "full"

    @property
    def outcome(self) -> Literal["retrain", "restore", "held_back", "none"]:
        """The decision in a word."""
        if self.retrain:
            return "retrain"
        if self.restore is not None:
            return "restore"
        return "held_back" if self.held_back_by else "none"


@dataclass(frozen=True)
class _Cause:
    trigger: Trigger
    urgency: Urgency
    reason: Reason


def decide(facts: Facts, policy: Retraining) -> Decision:
    """Decide.

    A training comes first where it may start: it learns what an older version knew, and more. An older version comes
    back where there is no cause to train, or while what holds trainings back does not hold it too.

    Parameters
    ----------
    policy : Retraining
        The declaration's section ``retraining``.
    """
    training = _training(facts, policy)
    if facts.older is None or policy.investment is None or training.retrain:
        return training
    found = Reason("older_version", facts.older.sentence)
    held_back_by, why = _restore_held_back(facts, policy)
    if held_back_by is None:
        return Decision(False, "older_version", "low", None, (found, *training.reasons), restore=facts.older.version)
    assert why is not None
    if training.held_back_by is not None:
        return replace(training, reasons=(*training.reasons, found, why))
    return Decision(False, "older_version", "low", held_back_by, (found, why))


def _restore_held_back(facts: Facts, policy: Retraining) -> tuple[HeldBackBy | None, Reason | None]:
    """Two versions that answer alike would take turns by chance: once in a cooldown is often enough.

    And one that can't be judged yet is not asked for: it would be refused, and then wait for a cooldown.
    """
    if facts.active_run is not None:
        return "active_run", Reason("active_run", f"The run {facts.active_run} is under way.")
    if facts.restored_at is not None:
        age = facts.as_of - facts.restored_at
        if age < timedelta(days=policy.cooldown_days):
            cooldown = number_of(policy.cooldown_days, "day")
            sentence = f"A version was last to be brought back {_days(age)} ago, within the cooldown of {cooldown}."
            return "cooldown", Reason("restore_cooldown", sentence)
    if facts.comparable_at is not None and facts.as_of < facts.comparable_at:
        sentence = (
            "The gate compares versions on rows that neither has learned from, and has all of them from "
            f"{instant_text(facts.comparable_at)} on."
        )
        return "too_little_data", Reason("restore_too_little_data", sentence)
    return None, None


def _training(facts: Facts, policy: Retraining) -> Decision:
    """Whether to train again."""
    causes = [
        *_asked(facts),
        *_quality(facts, policy),
        *_drift(facts, policy),
        *_investment(facts, policy),
        *_volume(facts, policy),
        *_schedule(facts, policy),
    ]
    if not causes:
        quiet = Reason("no_cause", f"Version {facts.champion_version} shows no cause for retraining.")
        return Decision(False, None, "none", None, (quiet, *_let_go(facts)))
    held_back_by, why = _held_back(facts, policy)
    reasons = tuple(c.reason for c in causes) + ((why,) if why else ())
    retrain = held_back_by is None
    update, how = _update(facts, policy) if retrain else ("full", ())
    return Decision(retrain, causes[0].trigger, causes[0].urgency, held_back_by, (*reasons, *how), update=update)


def _update(facts: Facts, policy: Retraining) -> tuple[UpdateMode, tuple[Reason, ...]]:
    """How a training learns: as people asked for it, else by the evidence, whatever its cause."""
    if facts.asked is not None:
        return facts.asked.update, ()
    if policy.investment is None or facts.warm is None:
        return "full", ()
    return "warm", (facts.warm,)


def _asked(facts: Facts) -> Iterator[_Cause]:
    if facts.asked is not None:
        sentence = f"A person asked for a training while none could start: waiting {facts.asked.told}."
        yield _Cause("manual", "normal", Reason("asked_for", sentence))


def _let_go(facts: Facts) -> Iterator[Reason]:
    """What becomes of a cause that was held back, and does not last."""
    held = facts.held_before
    if held is None:
        return
    end, runs = held.window_end, [r for r in facts.runs if r.started_at > held.window_end]
    since = "a training has started since" if runs else "the cause is gone"
    sentence = (
        f"The window that ended {instant_text(end)} had the cause {held.trigger}, held back by"
        f" {_HOLDS.get(held.held_back_by, held.held_back_by)}: {since}, so nothing is left to do."
    )
    yield Reason("let_go", sentence)


_HOLDS = {
    "active_run": "an active run",
    "quota": "the quota",
    "broken_runs": "failed runs",
    "cooldown": "the cooldown",
    "too_little_data": "too few new rows",
}


def _quality(facts: Facts, policy: Retraining) -> Iterator[_Cause]:
    if policy.quality is None:
        return
    for fallen in sorted(facts.fallen, key=lambda f: -f.increase):
        grave = fallen.increase >= HIGH_URGENCY * policy.quality.minimum_increase
        sentence = (
            f"Over {number_of(facts.quality_days, 'labelled day')} {_what_fell(fallen)}: the answers of version"
            f" {facts.champion_version} lose {100 * fallen.increase:.3g}% more than they would after a correction"
            f" (p =  {fallen.p_value:.2g} over days)."
        )
        yield _Cause("quality", "high" if grave else "normal", Reason(f"quality_{fallen.kind}", sentence))


def _what_fell(fallen: FallenQuality) -> str:
    if fallen.kind == "level":
        side = "above" if fallen.amount > 0 else "below"
        return f"outcomes were on average {abs(fallen.amount):.3g} {side} the scores"
    return f"outcomes followed the scores {100 * abs(fallen.amount):.3g}% less than the scores say"


def _drift(facts: Facts, policy: Retraining) -> Iterator[_Cause]:
    if policy.drift is None or not facts.drifted or facts.windows_alarming < policy.drift.windows:
        return
    several = " one after another" if facts.windows_alarming > 1 else ""
    windows = number_of(facts.windows_alarming, "window")
    sentence = f"Drift has alarmed in {windows}{several}: {', '.join(facts.drifted)}."
    yield _Cause("drift", "normal", Reason("drift", sentence))


def _investment(facts: Facts, policy: Retraining) -> Iterator[_Cause]:
    found = facts.investment
    if policy.investment is not None and found is not None and found.retrain:
        yield _Cause("investment", "normal", found.reasons[0])


def _volume(facts: Facts, policy: Retraining) -> Iterator[_Cause]:
    if policy.volume is None or facts.labelled_since < policy.volume.rows:
        return
    sentence = (
        f"{number_of(facts.labelled_since, 'labelled row')} or more arrived since the last training; a training"
        f" every {number_of(policy.volume.rows, 'row is', 'rows is')} declared."
    )
    yield _Cause("volume", "low", Reason("volume", sentence))


def _schedule(facts: Facts, policy: Retraining) -> Iterator[_Cause]:
    if policy.schedule_days is None or not facts.runs:
        return
    age = facts.as_of - facts.runs[0].started_at
    if age >= timedelta(days=policy.schedule_days):
        every = number_of(policy.schedule_days, "day")
        sentence = f"The last training started {_days(age)} ago; a training every {every} is declared."
        yield _Cause("schedule", "low", Reason("schedule", sentence))


def _held_back(facts: Facts, policy: Retraining) -> tuple[HeldBackBy | None, Reason | None]:
    if facts.active_run is not None:
        return "active_run", Reason("active_run", f"The run {facts.active_run} is running.")
    within = [r for r in facts.runs if r.trained and facts.as_of - r.started_at < timedelta(days=policy.quota.days)]
    if len(within) >= policy.quota.runs:
        sentence = (
            f"{number_of(len(within), 'training run')} started in the last {number_of(policy.quota.days, 'day')}, and "
            f"{number_of(policy.quota.runs, 'is', 'are')} allowed."
        )
        return "quota", Reason("quota", sentence)
    broken = [r for r in facts.runs if not r.trained and facts.as_of - r.started_at < BROKEN_RUNS_WITHIN]
    if len(broken) >= BROKEN_RUNS:
        hours = BROKEN_RUNS_WITHIN / timedelta(hours=1)
        sentence = f"{len(broken)} training runs failed in the last {hours:g} hours for other reasons than the model."
        return "broken_runs", Reason("broken_runs", sentence)
    if facts.asked is None and _cools_down(facts, policy):
        age = facts.as_of - facts.runs[0].started_at
        cooldown = number_of(policy.cooldown_days, "day")
        sentence = f"The last training started {_days(age)} ago, within the cooldown of {cooldown}."
        return "cooldown", Reason("cooldown", sentence)
    needed = facts.minimum_rows if facts.asked is None else _needed_by_people(facts)
    if facts.labelled_since < needed:
        sentence = (
            f"{number_of(facts.labelled_since, 'labelled row')} arrived since the last training, and"
            f" {number_of(needed, 'is', 'are')} needed: with fewer, the candidate would be the same model again."
        )
        return "too_little_data", Reason("too_little_data", sentence)
    return None, None


def _needed_by_people(facts: Facts) -> int:
    """New rows without which what was asked for would be trained already: by the last run, unless it broke."""
    return 1 if facts.runs and not facts.runs[0].broke else 0


def _cools_down(facts: Facts, policy: Retraining) -> bool:
    """Whether the last run is too recent. A run that broke is tried once more without waiting."""
    if not facts.runs or facts.as_of - facts.runs[0].started_at >= timedelta(days=policy.cooldown_days):
        return False
    broke = [r.broke for r in facts.runs[:2]]
    return not broke[0] or broke == [True, True]


def _days(age: timedelta) -> str:
    return number_of(float(f"{age / timedelta(days=1):.3g}"), "day")
