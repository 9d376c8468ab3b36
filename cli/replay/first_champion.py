"""The time before something serves: candidates that are refused, rows that nobody answers, and the way to go on.

Without a champion the deployed system watches nothing and starts no training: quality and drift are a champion's. So
the replay does what a person would do, by the same operations: it imports each day's rows once their outcomes are
known, and trains again after a stated number of days, until a first champion serves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pandas as pd

from everloop.cli.account import Account
from everloop.cli.operations.history import import_rows
from everloop.cli.operations.training import Verdict, follow, start_training, verdict_of
from everloop.cli.replay.exceptions import LoopNotClosedError
from everloop.cli.replay.progress import Progress
from everloop.cli.replay.stream import ReplayData
from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of

FIRST = "first"
"""The kind of trigger of every training before the first champion."""

MORE_DAYS_MAY_MEND = ("ContractViolationError", "SplitError", "QuotaExceededError")
"""Errors of a run that come of what has arrived by then, or of the time: another day may have another answer."""


@dataclass(frozen=True)
class Attempt:
    """One training before the first champion that no champion came of."""

    at: datetime
    verdict: Verdict

    @property
    def against(self) -> list[str]:
        """What the gate held against the candidate, or what ended the run, each as a sentence."""
        failed = [f"{r['code']}: {r['sentence']}" for r in self.verdict.reasons if not r.get("passed")]
        return failed or [self.verdict.cause or f"the run ended as {self.verdict.status}"]

    @property
    def may_pass_later(self) -> bool:
        """Whether more rows can change the outcome: a refusal by the gate or the data contract, and no fault."""
        return self.verdict.verdict == "fail" or (self.verdict.cause or "").startswith(MORE_DAYS_MAY_MEND)


@dataclass
class FirstChampion:
    """Brings a model to its first champion.

    Attributes
    ----------
    move : callable
        Moves the cloud's clock to an instant and returns once everything due by then is done.
    again_every : timedelta or None
        How long after an attempt the next one is made; None where a refusal ends the replay.
    """

    account: Account
    declaration: ModelDeclaration
    data: ReplayData
    move: Callable[[datetime], object]
    progress: Progress
    again_every: timedelta | None = None
    serves: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    rows_waited: int = 0
    _waiting: set[str] = field(default_factory=set)

    def train(self, at: datetime) -> None:
        """Train a candidate at ``at``, and see whether it comes to serve.

        Raises
        ------
        LoopNotClosedError
            It does not serve, and no later attempt is made.
        """
        name = self.declaration.model
        run_id = start_training(self.account, name, reason=self._reason(), trigger=FIRST)
        for step in follow(self.account, name, run_id):
            self.progress.step = f"{step.state} {step.event} {step.detail}".strip()
            self.progress.show()
        # The run goes on to its rollout by itself.
        self.move(at)
        if self.account.registry(name).versions.champion() is not None:
            self.serves = True
            self.progress.step = "serving"
            return
        self.attempts.append(Attempt(at, verdict_of(self.account, name, run_id)))
        self._go_on_or_end()

    def wait(self, keys: Sequence[str]) -> None:
        """Count rows that are due now and that nothing answers."""
        self._waiting.update(keys)
        self.rows_waited += len(keys)

    def learn(self, rows: pd.DataFrame, at: datetime) -> pd.DataFrame:
        """Take the outcomes of a day: rows that nobody answered become history. The others are returned.

        Where it is time for it, the next candidate is trained then, at ``at``.
        """
        key = self.declaration.data.key
        waited = rows[key].isin(self._waiting)
        if waited.any():
            history = rows[waited].rename(columns={"time": self.declaration.data.time})
            import_rows(self.account, self.declaration, history, place=f"the rows until {at:%Y-%m-%d %H:%M}")
            self._waiting.difference_update(rows[key])
        if not self.serves and self.again_every is not None and at - self.attempts[-1].at >= self.again_every:
            self.train(at)
        return rows[~waited]

    def require(self) -> None:
        """See that there is a champion, at the end.

        Raises
        ------
        LoopNotClosedError
            There is none; with every attempt and what was held against it.
        """
        if self.serves:
            return
        tried = "\n".join(f"    {a.at:%Y-%m-%d}: {' '.join(a.against)}" for a in self.attempts)
        raise LoopNotClosedError(
            f"no candidate of {self.declaration.model} was promoted in"
            f" {number_of(len(self.attempts), 'training')}, and"
            f" {number_of(self.rows_waited, 'row was', 'rows were')} not answered\n{tried}",
            remedy(self.declaration, self.data, going_on=True),
        )

    def _reason(self) -> str:
        return f"first champion, attempt {len(self.attempts) + 1}" if self.attempts else "first champion"

    def _go_on_or_end(self) -> None:
        last, name = self.attempts[-1], self.declaration.model
        if self.again_every is not None and last.may_pass_later:
            when = last.at + self.again_every
            self.progress.event(f"nothing serves; the next training is on {when:%Y-%m-%d} with the days until then")
            self.progress.step = "no champion"
            return
        if last.verdict.verdict != "fail":
            raise LoopNotClosedError(
                f"the first model of {name} does not serve: {' '.join(last.against)}",
                f"fix models/{name} or its data, and replay again",
            )
        against = "\n".join(f"    {sentence}" for sentence in last.against)
        raise LoopNotClosedError(
            f"the gate refused the first candidate of {name}, so nothing serves\n{against}\n"
            f"    {history_told(self.declaration, self.data)}",
            remedy(self.declaration, self.data, going_on=False),
        )


def history_told(declaration: ModelDeclaration, data: ReplayData) -> str:
    """What the first candidate was trained and tested on, in figures."""
    labelled = data.history[data.history[declaration.data.target].notna()]
    times = labelled[declaration.data.time]
    days = times.dt.floor("D").nunique()
    span = f", {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}" if days else ""
    return (
        f"History has {number_of(len(labelled), 'labelled row')} on {number_of(days, 'day')}{span}; the newest "
        f"{declaration.data.split.test_days} of these days test a candidate."
    )


def remedy(declaration: ModelDeclaration, data: ReplayData, *, going_on: bool) -> str:
    """What a person can do where no candidate passes; ``going_on`` where the replay went on without a champion."""
    name, last = declaration.model, data.stream["time"].iloc[-1]
    ways = [
        f"more history: use a later --until-history (the file has rows until {last:%Y-%m-%d}), or a file with"
        " older rows",
        f"a longer test part (data.split.test_days) or other limits (gate), in models/{name}/model.yaml",
        f"other features, or another model in models/{name}/{declaration.training.script}",
    ]
    if not going_on:
        quota, days = declaration.retraining.quota, declaration.data.split.test_days
        ways.append(
            f"to continue without a champion: --train-again-every {days} imports each new day and trains again"
            f" every {number_of(days, 'day')}, until a candidate passes (retraining.quota allows"
            f" {number_of(quota.runs, 'training')} in {number_of(quota.days, 'day')})"
        )
    return "try one of these:\n" + "\n".join(f"    {way}" for way in ways)
