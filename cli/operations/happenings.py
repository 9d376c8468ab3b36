"""What happened in an account since it was last looked at, as a person would be told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from everloop.cli.account import Account
from everloop.cli.operations.status import model_alarms
from everloop.cli.operations.stories import describe
from everloop.instants import instant_text
from everloop.numbers_of import number_of
from everloop.registry.records import Window

LATEST_WINDOWS = 100
"""How far one look goes back in the windows of a model."""


@dataclass(frozen=True)
class Happening:
    """One thing that happened: when, to which model, and what."""

    at: datetime
    model: str
    what: str


@dataclass
class Happenings:
    """Looks at the registry and the alarms of some models, again and again, and tells each thing once."""

    account: Account
    models: Sequence[str]
    _audited: dict[str, int] = field(default_factory=dict)
    _windows: dict[str, datetime] = field(default_factory=dict)
    _alarms: dict[str, set[str]] = field(default_factory=dict)

    def skip(self) -> None:
        """Count all there is by now as told."""
        for _ in self._all(self.account.now()):
            pass

    def new(self) -> list[Happening]:
        """What happened since the last look, oldest first."""
        return sorted(self._all(self.account.now()), key=lambda happening: happening.at)

    def _all(self, now: datetime) -> Iterator[Happening]:
        for model in self.models:
            yield from self._recorded(model)
            yield from self._monitored(model)
            yield from self._alarmed(model, now)

    def _recorded(self, model: str) -> Iterator[Happening]:
        store, told = self.account.registry(model), self._audited.get(model, 0)
        head = store.ledger.audit_head()
        if head is None or head.sequence <= told:
            return
        for record in store.ledger.audit_records(after=told):
            yield Happening(record.at, model, describe(record))
        self._audited[model] = head.sequence

    def _monitored(self, model: str) -> Iterator[Happening]:
        last = self._windows.get(model)
        for window in reversed(self.account.registry(model).windows.latest(LATEST_WINDOWS)):
            if last is None or window.end > last:
                self._windows[model] = window.end
                yield Happening(window.record.scheduled_at, model, _window(window))

    def _alarmed(self, model: str, now: datetime) -> Iterator[Happening]:
        alarms, before = set(model_alarms(self.account, model)), self._alarms.get(model, set())
        yield from (Happening(now, model, f"ALARM {name}") for name in sorted(alarms - before))
        yield from (Happening(now, model, f"alarm over: {name}") for name in sorted(before - alarms))
        self._alarms[model] = alarms


def _window(window: Window) -> str:
    found = window.record
    drift = "drift alarms" if found.drift_alarm else "no drift alarm"
    end, rows = instant_text(window.end), number_of(found.rows, "row")
    return f"window until {end}: {rows}, {drift}, decision: {found.decision}"
