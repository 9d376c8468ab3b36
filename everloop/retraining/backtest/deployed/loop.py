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

from everloop.documents.probe import OlderVersion, ProbeRequest
from everloop.documents.records import Trigger
from everloop.documents.window import WindowRecord
from everloop.instants import format_instant
from everloop.model_file.schedule import due
from everloop.monitoring.profile_query import Windows, windows_at
from everloop.monitoring.recalibrating import Standing, calibration_event
from everloop.monitoring.watch import Scene, judge, reach_back
from everloop.registry.records import Champion, Run
from everloop.registry.restorations import RESTORE
from everloop.retraining.backtest.deployed.counts import Answers, CountedInMemory
from everloop.retraining.backtest.deployed.lived import FIRST, Lived, Promotion, told
from everloop.retraining.backtest.deployed.probing import Probes
from everloop.retraining.backtest.deployed.put_aside import PutAside
from everloop.retraining.backtest.deployed.rows import LoopRows
from everloop.retraining.backtest.deployed.runs import Made, bring_back, carry_out
from everloop.retraining.backtest.deployed.traffic import EvenRouter, Router, Traffic
from everloop.retraining.backtest.deployed.training import Jobs, Model, Serving
from everloop.retraining.probe.plan import scored_versions
from everloop.retraining.requests import RestoreRequest, RestoreTrigger, RetrainingRequest, WindowTrigger

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


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
    ScheduleError
        When it can't be told when the monitor would run.
    """
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
    models: dict[int, Model] = field(default_factory=dict)
    served: set[int] = field(default_factory=set)
    taken_back: set[int] = field(default_factory=set)
    aside: PutAside | None = None
    calibrations: int = 0
    traffic: Traffic = field(init=False)
    probes: Probes = field(init=False)
    _looks: list[tuple[datetime, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        answers = Answers.none(len(self.rows.frame))
        self.traffic = Traffic(self.declaration, self.rows, self.router, answers, self.rows.begin)
        self.probes = Probes(self.declaration, self.rows)

    def until(self, at: datetime) -> None:
        """Everything that is due before then: requests, and looks at the rollout.

        At one instant the monitor comes first, then a look at the rollout, then the requests.
        """
        while self._looks and self._looks[0][0] < at:
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
            self.train({**_trigger(request.trigger)}, at, request.execution_name)
        if record.decision == "restore":
            restore = RestoreRequest.from_window(record)
            self.restore(restore.trigger, at, restore.execution_name)
        probe = self.probes.due(windows, self.runs)
        if probe is not None:
            self.probe(probe, at)

    def train(self, trigger: Trigger, at: datetime, run_id: str) -> None:
        """One run of the pipeline, up to the first step of its rollout."""
        champion = self.traffic.champion
        version = max(self.registered, default=0) + 1
        standing = None if champion is None else champion.version
        span = self.probes.training_span(at)
        opened = Run(
            self.declaration.model,
            run_id,
            "train",
            at,
            at,
            trigger={**trigger},
            champion_version=standing,
            training_span=span,
        )
        learns = "" if span is None else f" It learns from: {span['reason']['sentence']}"
        self.progress(f"{format_instant(at)} trains: {trigger['reason']}{learns}")
        made = carry_out(self.declaration, self.rows, self.jobs, opened, champion, version, self.windows, self.aside)
        self.aside = made.aside
        if made.run.version is not None:
            self.registered[version] = at
        if made.serves is not None:
            self.models[version] = made.serves
        self._roll_out(made, at)

    def restore(self, trigger: RestoreTrigger, at: datetime, run_id: str) -> None:
        """One run that is to bring an older version back, up to the first step of its rollout."""
        champion, number = self.traffic.champion, trigger["version"]
        assert champion is not None
        asked: Trigger = {**_trigger(trigger), "version": number}
        opened = Run(
            self.declaration.model, run_id, RESTORE, at, at, trigger={**asked}, champion_version=champion.version
        )
        self.progress(f"{format_instant(at)} brings version {number} back: {trigger['reason']}")
        older = Serving(number, self.models[number])
        made = bring_back(self.declaration, self.rows, self.jobs, opened, champion, older, self.windows, self.aside)
        self._roll_out(made, at)

    def probe(self, request: ProbeRequest, at: datetime) -> None:
        """Measure a fresh probe."""
        champion = self.traffic.champion
        assert champion is not None
        versions: list[OlderVersion] = [
            {"version": number, "uri": str(self.models[number].folder)}
            for number in scored_versions(self.served, champion.version)
        ]
        told = self.probes.measure(
            request, self.traffic.answers, self.jobs, champion=champion.version, versions=versions, at=at
        )
        self.progress(f"{format_instant(at)} {told}")

    def _roll_out(self, made: Made, at: datetime) -> None:
        self.runs.append(made.run)
        self.progress(f"{format_instant(at)} {told(made.run)}")
        if made.serves is None or made.run.version is None:
            return
        if self.traffic.begin_rollout(made.run.run_id, Serving(made.run.version, made.serves), at):
            self._promoted(at)
        else:
            heapq.heappush(self._looks, (at + self.traffic.next_look(), "step"))

    def lived(self) -> Lived:
        """All of it."""
        return Lived(
            tuple(self.runs),
            tuple(self.promotions),
            tuple(self.windows),
            self.calibrations,
            self.traffic.answers,
            tuple(self.probes.records),
            tuple(self.probes.failures),
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
        version = self.runs[-1].version
        if version is not None:
            (self.served if status == "succeeded" else self.taken_back).add(version)

    def _scene(self, windows: Windows, champion: Serving) -> Scene:
        newest_first = list(reversed(self.runs))
        active = next((run.run_id for run in newest_first if run.status == "open"), None)
        since, registered = self.promotions[-1].at, self.registered[champion.version]
        newest = max(self.served | {champion.version})
        others = self.served - self.taken_back - {champion.version}

        def latest(count: int) -> Sequence[WindowRecord]:
            return self.windows[: -count - 1 : -1]

        return Scene(
            champion=Champion(self.declaration.model, champion.version, since, "", "", self.runs[-1].run_id),
            reference=champion.model.reference,
            earlier=reach_back(self.declaration, windows, newest_first, latest),
            own=(record for record in self.windows if record.end >= registered),
            runs=newest_first,
            active_run=active,
            standing=Standing(champion.calibration, None if active is None else f"run {active} is running"),
            probes=self.probes.weighed(),
            newest_version=newest,
            trained_at=self.registered[newest],
            restorable=frozenset(() if self.declaration.retraining.investment is None else others),
        )


def _trigger(asked: WindowTrigger) -> Trigger:
    """What a window asks a run with, as the run keeps it."""
    return {
        "kind": asked["kind"],
        "reason": asked["reason"],
        "requested_at": asked["requested_at"],
        "window_end": asked["window_end"],
    }
