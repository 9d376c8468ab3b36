"""Lives through a history as the deployed loop would: what the monitor decides, the gate, rollouts, calibrations.

What decides is what is deployed: :func:`everloop.monitoring.watch.judge` with its retraining decision, the gate, the
check of the refit, the rollout's guardrail, the recalibration. Only what they read is counted in memory, and no time
passes while a job runs. ``everloop replay`` lives through the same history on a local cloud, by the real templates.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from everloop.documents.records import Trigger
from everloop.documents.window import WindowRecord
from everloop.instants import format_instant
from everloop.model_file.schedule import due
from everloop.monitoring.profile_query import Windows, windows_at
from everloop.monitoring.recalibrating import Standing, calibration_event
from everloop.monitoring.watch import Scene, judge, reach_back
from everloop.registry.records import Champion, Run
from everloop.retraining.backtest.deployed.counts import Answers, CountedInMemory
from everloop.retraining.backtest.deployed.rows import LoopRows
from everloop.retraining.backtest.deployed.runs import carry_out
from everloop.retraining.backtest.deployed.traffic import EvenRouter, Router, Traffic
from everloop.retraining.backtest.deployed.training import Jobs, Serving
from everloop.retraining.exceptions import BacktestError
from everloop.retraining.requests import RetrainingRequest
from everloop.shown import shortened

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

LONGEST_CAUSE = 400
"""Characters of what a failed run says, in a sentence."""

FIRST = "first"
"""The kind of trigger of the training for the first champion."""


@dataclass(frozen=True)
class Promotion:
    """A version that came to serve, and when."""

    at: datetime
    version: int


@dataclass(frozen=True)
class Lived:
    """What the loop did.

    Attributes
    ----------
    runs : tuple of Run
        All training runs, oldest first, each with its trigger, verdict and the gate's reasons.
    promotions : tuple of Promotion
    windows : tuple of WindowRecord
        Oldest first.
    calibrations : int
        How many were published.
    answers : Answers
        Of each row of the history that was asked about.
    """

    runs: tuple[Run, ...]
    promotions: tuple[Promotion, ...]
    windows: tuple[WindowRecord, ...]
    calibrations: int
    answers: Answers

    @property
    def retrainings(self) -> tuple[Run, ...]:
        """The runs after the first."""
        return tuple(run for run in self.runs if run.trigger.get("kind") != FIRST)


def live(
    declaration: ModelDeclaration,
    rows: LoopRows,
    jobs: Jobs,
    *,
    end: datetime,
    router: Router | None = None,
    progress: Callable[[str], None] = lambda sentence: None,
) -> Lived:
    """Train a first champion at the rows' begin, then live through the days until ``end``.

    Where the gate refuses the first candidate nothing serves, and what is lived through ends there.

    Parameters
    ----------
    router : Router, optional
        Which requests a canary answers: in even turns when it is not given.
    progress : callable
        Is told what happens, a sentence each.

    Raises
    ------
    BacktestError
        When retraining is declared an investment: its fresh probes are not made here.
    ScheduleError
        When it can't be told when the monitor would run.
    """
    if declaration.retraining.investment is not None:
        raise BacktestError(
            "retraining.investment asks fresh probes after each of its windows, and none are made here: `everloop "
            "replay` lives through the history with them, and the policy 'investment' is near to it"
        )
    loop = _Loop(declaration, rows, jobs, router or EvenRouter(), progress)
    loop.train({"kind": FIRST, "reason": "first champion"}, rows.begin, f"{FIRST}-1")
    if loop.traffic.champion is not None:
        for at in due(declaration.monitoring.schedule, rows.begin, end):
            loop.until(at)
            loop.monitor(at)
        loop.until(end)
    return loop.lived()


@dataclass
class _Loop:
    declaration: ModelDeclaration
    rows: LoopRows
    jobs: Jobs
    router: Router
    progress: Callable[[str], None]
    runs: list[Run] = field(default_factory=list)
    windows: list[WindowRecord] = field(default_factory=list)
    promotions: list[Promotion] = field(default_factory=list)
    registered: dict[int, datetime] = field(default_factory=dict)
    calibrations: int = 0
    traffic: Traffic = field(init=False)
    _looks: list[tuple[datetime, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        answers = Answers.none(len(self.rows.frame))
        self.traffic = Traffic(self.declaration, self.rows, self.router, answers, self.rows.begin)

    def until(self, at: datetime) -> None:
        """Everything that is due by then: requests before it, looks at the rollout up to it."""
        while self._looks and self._looks[0][0] <= at:
            instant, what = heapq.heappop(self._looks)
            self.traffic.answer_until(instant)
            self._look(instant, what)
        self.traffic.answer_until(at)

    def monitor(self, at: datetime) -> None:
        """One run of the monitor, and what follows from it."""
        champion, windows = self.traffic.champion, windows_at(self.declaration, at)
        if champion is None or any(record.end == windows.end for record in self.windows[-1:]):
            return
        counts = CountedInMemory(self.declaration, self.rows, self.traffic.answers, windows, champion.version)
        record = judge(self.declaration, windows, self._scene(windows, champion), counts)
        self.windows.append(record)
        learned = calibration_event(record)
        if learned is not None:
            self.traffic.champion = replace(champion, calibration=learned.calibration)
            self.calibrations += 1
        if record.decision == "retrain":
            request = RetrainingRequest.from_window(record)
            self.train({**request.trigger}, at, request.execution_name)

    def train(self, trigger: Trigger, at: datetime, run_id: str) -> None:
        """One run of the pipeline, up to the first step of its rollout."""
        champion = self.traffic.champion
        version = max(self.registered, default=0) + 1
        standing = None if champion is None else champion.version
        opened = Run(self.declaration.model, run_id, "train", at, at, trigger=trigger, champion_version=standing)
        self.progress(f"{format_instant(at)} trains: {trigger['reason']}")
        made = carry_out(self.declaration, self.rows, self.jobs, opened, champion, version, self.windows)
        self.runs.append(made.run)
        if made.run.version is not None:
            self.registered[version] = at
        self.progress(f"{format_instant(at)} {told(made.run)}")
        if made.serves is None:
            return
        if self.traffic.begin_rollout(run_id, Serving(version, made.serves), at):
            self._promoted(at)
        else:
            heapq.heappush(self._looks, (at + self.traffic.next_look(), "step"))

    def lived(self) -> Lived:
        """All of it."""
        return Lived(
            tuple(self.runs), tuple(self.promotions), tuple(self.windows), self.calibrations, self.traffic.answers
        )

    def _look(self, at: datetime, what: str) -> None:
        if what == "bake":
            self._close("succeeded", at)
            return
        decision, wait, reasons = self.traffic.look(at)
        if wait is not None:
            heapq.heappush(self._looks, (at + wait, "step"))
        elif decision == "promote":
            self._promoted(at)
        else:
            self._close("rolled_back", at, "; ".join(reasons))

    def _promoted(self, at: datetime) -> None:
        champion = self.traffic.champion
        assert champion is not None
        self.promotions.append(Promotion(at, champion.version))
        self.progress(f"{format_instant(at)} version {champion.version} serves")
        bake = timedelta(minutes=self.declaration.rollout.bake_minutes)
        heapq.heappush(self._looks, (at + bake, "bake"))

    def _close(self, status: str, at: datetime, cause: str | None = None) -> None:
        self.runs[-1] = replace(self.runs[-1], status=status, ended_at=at, cause=cause)

    def _scene(self, windows: Windows, champion: Serving) -> Scene:
        newest_first = list(reversed(self.runs))
        active = next((run.run_id for run in newest_first if run.status == "open"), None)
        since, registered = self.promotions[-1].at, self.registered[champion.version]

        def latest(count: int) -> Sequence[WindowRecord]:
            return self.windows[: -count - 1 : -1]

        return Scene(
            champion=Champion(self.declaration.model, champion.version, since, "", "", self.runs[-1].run_id),
            reference=champion.model.reference,
            earlier=reach_back(self.declaration, windows, newest_first, latest),
            own=(record for record in self.windows if record.end >= registered),
            runs=newest_first,
            active_run=active,
            standing=Standing(champion.calibration, None if active is None else f"run {active} is under way"),
        )


def told(run: Run) -> str:
    """How a run ended up to its rollout, in a sentence."""
    if run.verdict is None:
        return f"failed: {shortened(' '.join((run.cause or 'without a cause').split()), LONGEST_CAUSE)}"
    if run.verdict == "pass":
        return f"version {run.version} passed the gate"
    why = next((r["sentence"] for r in run.gate_reasons if not r.get("passed")), "")
    return f"version {run.version} was refused: {why}"
