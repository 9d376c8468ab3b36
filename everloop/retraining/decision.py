"""Decides whether a model is trained again: facts in, a decision with its reasons out.

It is taken anew at every window. What is held back today is therefore not lost: as long as its cause lasts, it is
asked for again as soon as nothing holds it back; where the cause has gone, the next decision says so. What a person
asked for has no cause that could last: it is kept, and a cause itself (:mod:`everloop.retraining.kept`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from everloop.instants import instant_text
from everloop.numbers_of import number_of
from everloop.reasons import Reason
from everloop.registry.runs import BROKEN_RUNS, BROKEN_RUNS_WITHIN

if TYPE_CHECKING:
    from everloop.model_file.schema import Retraining
    from everloop.retraining.investment import Investment

Trigger = Literal["manual", "quality", "drift", "investment", "volume", "schedule"]
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
class Asked:
    """What people asked for while nothing could start, and still wait for.

    Attributes
    ----------
    count : int
        How many requests.
    told : str
        Since when and why, as the end of a sentence.
    """

    count: int
    told: str


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


@dataclass(frozen=True)
class Decision:
    """Whether to train again.

    Attributes
    ----------
    retrain : bool
    trigger : str or None
        The gravest cause; None when there is none.
    held_back_by : str or None
        What keeps a cause from starting a run.
    reasons : tuple of Reason
        Causes first, then what holds back; without a cause, why there is none.
    """

    retrain: bool
    trigger: Trigger | None
    urgency: Urgency
    held_back_by: HeldBackBy | None
    reasons: tuple[Reason, ...]

    @property
    def outcome(self) -> Literal["retrain", "held_back", "none"]:
        """The decision in a word."""
        if self.retrain:
            return "retrain"
        return "held_back" if self.held_back_by else "none"


@dataclass(frozen=True)
class _Cause:
    trigger: Trigger
    urgency: Urgency
    reason: Reason


def decide(facts: Facts, policy: Retraining) -> Decision:
    """Decide.

    Parameters
    ----------
    policy : Retraining
        The declaration's section ``retraining``.
    """
    causes = [
        *_asked(facts),
        *_quality(facts, policy),
        *_drift(facts, policy),
        *_investment(facts, policy),
        *_volume(facts, policy),
        *_schedule(facts, policy),
    ]
    if not causes:
        quiet = Reason("no_cause", f"Version {facts.champion_version} shows no cause to train again.")
        return Decision(False, None, "none", None, (quiet, *_let_go(facts)))
    held_back_by, why = _held_back(facts, policy)
    reasons = tuple(c.reason for c in causes) + ((why,) if why else ())
    return Decision(held_back_by is None, causes[0].trigger, causes[0].urgency, held_back_by, reasons)


def _asked(facts: Facts) -> Iterator[_Cause]:
    if facts.asked is not None:
        sentence = f"A training that was asked for while none could start waits {facts.asked.told}."
        yield _Cause("manual", "normal", Reason("asked_for", sentence))


def _let_go(facts: Facts) -> Iterator[Reason]:
    """What becomes of a cause that was held back, and does not last."""
    held = facts.held_before
    if held is None:
        return
    end, runs = held.window_end, [r for r in facts.runs if r.started_at > held.window_end]
    since = "a training has started since" if runs else "it shows no more"
    sentence = (
        f"The window that ended {instant_text(end)} had the cause {held.trigger}, held back by "
        f"{_HOLDS.get(held.held_back_by, held.held_back_by)}: {since}, so nothing is left to answer."
    )
    yield Reason("let_go", sentence)


_HOLDS = {
    "active_run": "an active run",
    "quota": "the quota",
    "broken_runs": "runs that broke",
    "cooldown": "the cooldown",
    "too_little_data": "too few new rows",
}


def _quality(facts: Facts, policy: Retraining) -> Iterator[_Cause]:
    if policy.quality is None:
        return
    for fallen in sorted(facts.fallen, key=lambda f: -f.increase):
        grave = fallen.increase >= HIGH_URGENCY * policy.quality.minimum_increase
        sentence = (
            f"Over {number_of(facts.quality_days, 'labelled day')} {_what_fell(fallen)}: the answers of version "
            f"{facts.champion_version} lose {100 * fallen.increase:.3g}% more than they would if put right "
            f"(p = {fallen.p_value:.2g} over days)."
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
        f"{number_of(facts.labelled_since, 'labelled row')} or more came since the last training; one every "
        f"{number_of(policy.volume.rows, 'row is', 'rows is')} declared."
    )
    yield _Cause("volume", "low", Reason("volume", sentence))


def _schedule(facts: Facts, policy: Retraining) -> Iterator[_Cause]:
    if policy.schedule_days is None or not facts.runs:
        return
    age = facts.as_of - facts.runs[0].started_at
    if age >= timedelta(days=policy.schedule_days):
        every = number_of(policy.schedule_days, "day")
        sentence = f"The last training started {_days(age)} ago; one every {every} is declared."
        yield _Cause("schedule", "low", Reason("schedule", sentence))


def _held_back(facts: Facts, policy: Retraining) -> tuple[HeldBackBy | None, Reason | None]:
    if facts.active_run is not None:
        return "active_run", Reason("active_run", f"The run {facts.active_run} is under way.")
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
        sentence = f"{len(broken)} training runs broke in the last {hours:g} hours, none by the model's fault."
        return "broken_runs", Reason("broken_runs", sentence)
    if facts.asked is None and _cools_down(facts, policy):
        age = facts.as_of - facts.runs[0].started_at
        cooldown = number_of(policy.cooldown_days, "day")
        sentence = f"The last training started {_days(age)} ago, within the cooldown of {cooldown}."
        return "cooldown", Reason("cooldown", sentence)
    needed = facts.minimum_rows if facts.asked is None else _needed_by_people(facts)
    if facts.labelled_since < needed:
        sentence = (
            f"{number_of(facts.labelled_since, 'labelled row')} came since the last training, and "
            f"{number_of(needed, 'is', 'are')} needed for a candidate that could differ."
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
