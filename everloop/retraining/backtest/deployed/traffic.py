"""Who answers: the champion with its calibration, and beside it a candidate in its canary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from everloop.recalibration.calibration import Calibration
from everloop.retraining.backtest.deployed.counts import Answers
from everloop.retraining.backtest.deployed.rows import LoopRows, instant
from everloop.retraining.backtest.deployed.training import Serving
from everloop.rollout.cadence import closest
from everloop.rollout.guardrails import Verdict, decide_step
from everloop.rollout.metrics import whole_minutes
from everloop.rollout.shadow import wait_in_shadow
from everloop.rollout.strategies import Situation, strategy_for
from everloop.rollout.version_metrics import Minute, VersionMetrics

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration
    from everloop.rollout.plan import RolloutPlan

Router = Callable[[np.ndarray, float, int], np.ndarray]
"""Which requests a canary answers: the places of their first rows, its percentage and its version in; bool out."""


@dataclass
class EvenRouter:
    """Sends a canary every so many requests: what chance does on average, the same in every backtest."""

    _owed: float = 0.0

    def __call__(self, requests: np.ndarray, percent: float, version: int) -> np.ndarray:
        """As :data:`Router`."""
        owed = self._owed + percent / 100 * np.arange(1, len(requests) + 1)
        whole = np.floor(owed + 1e-9)
        chosen = np.diff(np.concatenate([[np.floor(self._owed + 1e-9)], whole])) > 0
        if len(requests):
            self._owed = float(owed[-1] - np.floor(owed[-1] + 1e-9))
        return np.asarray(chosen)


@dataclass
class Canary:
    """A rollout under way; ``step`` is the one in effect, ``asked`` when requests came to the candidate."""

    run_id: str
    candidate: Serving
    plan: RolloutPlan
    step: int
    since: datetime
    percent: float = 0.0
    asked: list[np.datetime64] = field(default_factory=list)

    def metrics(self, at: datetime) -> VersionMetrics:
        """The candidate's since the step began, as a look at ``at`` counts them: by whole minutes.

        Requests do not fail in a backtest, and none is slow.
        """
        first, last = whole_minutes(self.since, at)
        asked = np.array(self.asked, dtype="datetime64[ms]")
        within = asked[(asked >= instant(first)) & (asked < instant(last))].astype("datetime64[m]")
        counted = zip(*np.unique(within, return_counts=True), strict=True)
        minutes = [Minute(begin.astype(datetime).replace(tzinfo=UTC), int(n), timed=int(n)) for begin, n in counted]
        return VersionMetrics.of(tuple(minutes), None, last)


@dataclass
class Traffic:
    """Answers requests in the order of time.

    Attributes
    ----------
    answers : Answers
        What has been answered, filled in as time goes on.
    until : datetime
        All that came before it is answered.
    """

    declaration: ModelDeclaration
    rows: LoopRows
    router: Router
    answers: Answers
    until: datetime
    champion: Serving | None = None
    canary: Canary | None = None
    _scores: dict[int, np.ndarray] = field(default_factory=dict)

    def answer_until(self, at: datetime) -> None:
        """Answer what came before an instant. Rows that came while nothing served stay without an answer."""
        rows = self.rows.between(self.until, at)
        self.until = at
        if self.champion is None or rows.stop <= rows.start:
            return
        places = np.arange(rows.start, rows.stop)
        to_canary = np.zeros(len(places), dtype=bool)
        if self.canary is not None and self.canary.percent > 0:
            request = self.rows.request[places]
            numbers, first = np.unique(request, return_index=True)
            chosen = self.router(places[first], self.canary.percent, self.canary.candidate.version)
            self.canary.asked.extend(self.rows.time[places[first[chosen]]])
            to_canary = np.isin(request, numbers[chosen])
            self._fill(places[to_canary], self.canary.candidate)
        self._fill(places[~to_canary], self.champion)

    def begin_rollout(self, run_id: str, candidate: Serving, at: datetime) -> bool:
        """Begin to roll a candidate out; whether it is the champion at once."""
        situation = Situation(str(candidate.version), self.champion is not None, changes_nothing=False)
        plan = strategy_for(self.declaration.rollout, situation).plan(self.declaration.rollout)
        if not plan.steps:
            self.champion = candidate
            return True
        self.canary = Canary(run_id, candidate, plan, 0, at, plan.steps[0].percent)
        return False

    def next_look(self) -> timedelta:
        """How long the first look at a canary's step lies after its begin."""
        assert self.canary is not None
        plan = self.canary.plan
        least = closest(plan, self.declaration.rollout.guardrail)
        return timedelta(seconds=min(plan.step(self.canary.step).seconds, least))

    def look(self, at: datetime) -> tuple[str, timedelta | None, list[str]]:
        """Look at the canary as the guardrail does: its decision, when it looks again, and its reasons.

        What came before then has been answered. A shadow takes its time, and is passed by every candidate.
        """
        canary = self.canary
        assert canary is not None
        verdict = self._verdict(canary, at)
        told = [reason.sentence for reason in verdict.reasons]
        if verdict.decision == "hold":
            return "hold", timedelta(seconds=verdict.wait_seconds), told
        if verdict.decision == "advance":
            canary.step, canary.since = canary.step + 1, at
            canary.percent = canary.plan.step(canary.step).percent
            return "advance", self.next_look(), told
        if verdict.decision == "promote":
            self.champion = canary.candidate
        self.canary = None
        return verdict.decision, None, told

    def _verdict(self, canary: Canary, at: datetime) -> Verdict:
        declared, plan, elapsed = self.declaration.rollout, canary.plan, (at - canary.since).total_seconds()
        step = plan.step(canary.step)
        if not step.is_shadow:
            return decide_step(
                plan,
                declared.guardrail,
                step_index=canary.step,
                elapsed_seconds=elapsed,
                metrics=canary.metrics(at),
            )
        if elapsed < step.seconds:
            return wait_in_shadow(declared, plan, left_seconds=step.seconds - elapsed)
        return Verdict("promote" if plan.is_last(canary.step) else "advance", ())

    def _fill(self, places: np.ndarray, by: Serving) -> None:
        if not len(places):
            return
        raw = self._raw(by, places)
        served = self._served(by.calibration, raw, places)
        self.answers.version[places], self.answers.raw[places], self.answers.served[places] = by.version, raw, served

    def _served(self, text: str, raw: np.ndarray, places: np.ndarray) -> np.ndarray:
        if not text:
            return raw
        made = Calibration.from_text(text)
        return made.apply(raw, None if made.by is None else self.rows.places(made.by, places))

    def _raw(self, by: Serving, places: np.ndarray) -> np.ndarray:
        """A model is asked about all rows that lie ahead at once, when it answers for the first time."""
        if by.version not in self._scores:
            ahead = np.arange(places[0], len(self.rows.frame))
            known = np.full(len(self.rows.frame), np.nan)
            known[ahead] = by.model.score(ahead)
            self._scores[by.version] = known
        raw: np.ndarray = self._scores[by.version][places]
        return raw
