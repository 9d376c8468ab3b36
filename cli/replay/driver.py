"""Drives a model through its stream: moves the clock, asks, sends outcomes, and watches what the loop does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pandas as pd

from everloop.cli.account import Account, DeployedModel
from everloop.cli.operations.labels import send_labels
from everloop.cli.operations.predictions import predict
from everloop.cli.operations.status import model_alarms
from everloop.cli.operations.stories import describe
from everloop.cli.replay.answers import Answers
from everloop.cli.replay.asking import Instance, Refusal, ask, batches
from everloop.cli.replay.first_champion import FirstChampion
from everloop.cli.replay.progress import Progress
from everloop.cli.replay.stream import Outcomes, Questions, ReplayData, timeline
from everloop.cli.signed_http import SignedHttpClient
from everloop.model_file.schema import ModelDeclaration
from everloop.serving.protocols.predictions import PredictionsDocument
from everloop.typed_json import JsonObject

SETTLE = timedelta(days=2)
"""How long the clock runs on after the last outcome, so that the last windows are monitored."""


@dataclass
class Drive:
    """One replay under way.

    Attributes
    ----------
    advance : callable
        Moves the cloud's clock to an instant and returns once everything due by then is done.
    memory_mb : callable
        What the cloud and its children hold now, in MB.
    train_again_every : timedelta or None
        Where the gate refuses the first candidate: how long until the next one is trained. None ends the replay.
    """

    account: Account
    declaration: ModelDeclaration
    data: ReplayData
    advance: Callable[[datetime], object]
    memory_mb: Callable[[], float]
    progress: Progress
    train_again_every: timedelta | None = None
    answers: Answers = field(default_factory=Answers)
    refused: list[Refusal] = field(default_factory=list)
    requests: int = 0
    labels_sent: int = 0
    peak_memory_mb: float = 0.0
    first: FirstChampion = field(init=False)
    _audited: int = 0
    _alarms: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.answers.classes = tuple(map(str, self.declaration.problem.classes or ()))
        self.first = FirstChampion(
            self.account, self.declaration, self.data, self._move, self.progress, self.train_again_every
        )

    def run(self) -> None:
        """Train until something serves, then live through the rest of the stream.

        Raises
        ------
        LoopNotClosedError
            No model ever came to serve.
        ApiRefusedError
            The endpoint does not take this caller's requests at all, or refused labels. Rows that it refuses are kept
            in ``refused``.
        """
        self._move(self.data.starts_at)
        self.first.train(self.data.starts_at)
        self._look_around()
        model = self.account.model(self.declaration.model)
        http = SignedHttpClient(self.account, model)
        day: datetime | None = None
        for event in timeline(self.data, self.declaration):
            self._move(event.at)
            if day is None or event.at.date() > day.date():
                day = event.at
                self._look_around()
            if isinstance(event, Outcomes):
                self._send(http, model, self.first.learn(event.rows, event.at), event.at)
            elif self.first.serves:
                self._ask(http, model, event)
            else:
                self.first.wait([str(row[self.declaration.data.key]) for row in event.instances])
            self.progress.show()
        self.first.require()
        self._move(event.at + SETTLE)
        self._look_around()
        http.close()

    def _ask(self, http: SignedHttpClient, model: DeployedModel, questions: Questions) -> None:
        key = self.declaration.data.key

        def post(instances: list[Instance]) -> PredictionsDocument:
            self.requests += 1
            return predict(http, model, instances)

        for part in batches(questions.instances, self.declaration.serving.max_rows):
            for rows, answer in ask(post, part, key):
                if isinstance(answer, Refusal):
                    if not self.refused:
                        self.progress.event(f"a row was refused, {answer.key}: {answer.message}")
                    self.refused.append(answer)
                else:
                    self.answers.add(questions.at, [str(row[key]) for row in rows], answer)
        self.progress.requests, self.progress.rows = self.requests, len(self.answers.key)

    def _send(self, http: SignedHttpClient, model: DeployedModel, rows: pd.DataFrame, at: datetime) -> None:
        data = self.declaration.data
        known = rows[rows[data.target].notna()]
        pairs = [(str(k), float(v)) for k, v in zip(known[data.key], known[data.target], strict=True)]
        # A row that was refused has no prediction whose outcome could be sent.
        pairs = [(key, label) for key, label in pairs if self.answers.has(key)]
        classes = self.declaration.problem.classes
        labels: list[JsonObject] = [
            {
                "prediction_id": self.answers.prediction_id_of(key),
                "label": classes[int(label)] if classes else label,
            }
            for key, label in pairs
        ]
        self.labels_sent += send_labels(http, model, labels)
        for key, label in pairs:
            self.answers.add_label(key, label, at)

    def _move(self, to: datetime) -> None:
        self.advance(to)
        self.progress.simulated = to

    def _look_around(self) -> None:
        """Once a day: what the registry recorded since, who serves, what runs, what it all weighs."""
        registry = self.account.registry(self.declaration.model)
        head = registry.ledger.audit_head()
        if head is not None and head.sequence > self._audited:
            for record in registry.ledger.audit_records(after=self._audited):
                self.progress.event(describe(record), record.at)
            self._audited = head.sequence
        alarms = set(model_alarms(self.account, self.declaration.model))
        for name in sorted(alarms - self._alarms):
            self.progress.event(f"ALARM {name}")
        self._alarms = alarms
        champion, active = registry.versions.champion(), registry.runs.active()
        self.progress.champion = f"version {champion.version}" if champion else "none"
        idle = "serving" if champion else "no champion yet"
        self.progress.step = f"run {active.run_id}" if active else idle
        self.peak_memory_mb = max(self.peak_memory_mb, self.memory_mb())
