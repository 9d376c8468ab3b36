"""An execution is followed by its newest events: each of its steps is told once, in its order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

import everloop.cli.operations.training as training
from everloop.cli.operations.training import follow

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:everloop-late_train"


class Execution:
    """An execution whose history grows at every look, and between the pages of one."""

    def __init__(self, states: int, *, a_look: int, between_pages: int = 0) -> None:
        names = [f"S{number}" for number in range(states)]
        kinds = [(name, kind) for name in names for kind in ("Entered", "Exited")]
        self.events = [
            {
                "id": number,
                "type": f"TaskState{kind}",
                "timestamp": BEGIN + timedelta(seconds=number),
                f"state{kind}EventDetails": {"name": name},
            }
            for number, (name, kind) in enumerate(kinds, start=1)
        ]
        self.there, self.a_look, self.between_pages, self.given = 0, a_look, between_pages, 0

    def describe_execution(self, *, executionArn: str) -> dict[str, str]:
        self.there += self.a_look
        return {"status": "RUNNING" if self.there < len(self.events) else "SUCCEEDED"}

    def get_paginator(self, operation: str) -> Execution:
        assert operation == "get_execution_history"
        return self

    def paginate(
        self, *, executionArn: str, reverseOrder: bool, PaginationConfig: dict[str, int]
    ) -> Iterator[dict[str, Any]]:
        size, start = PaginationConfig["PageSize"], 0
        assert reverseOrder
        while start < min(self.there, len(self.events)):
            page = self.events[: self.there][::-1][start : start + size]
            self.given += len(page)
            yield {"events": page}
            start += size
            self.there += self.between_pages


def followed(execution: Execution, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[str]:
    monkeypatch.setattr(training, "POLL_SECONDS", 0)
    model = SimpleNamespace(state_machine_arn=MACHINE)
    account: Any = SimpleNamespace(client=lambda service: execution, model=lambda name: model)
    return [f"{step.state} {step.event}" for step in follow(account, "late_train", "train-1", **options)]


@pytest.mark.parametrize(("a_look", "between_pages"), [(1, 0), (3, 0), (45, 0), (500, 0), (45, 7), (90, 19)])
def test_each_step_is_told_once_and_in_order(monkeypatch: pytest.MonkeyPatch, a_look: int, between_pages: int) -> None:
    execution = Execution(60, a_look=a_look, between_pages=between_pages)
    told = followed(execution, monkeypatch, until_state=None)
    assert told == [f"S{number} {what}" for number in range(60) for what in ("started", "done")]


def test_it_ends_with_the_state_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert followed(Execution(60, a_look=4), monkeypatch, until_state="S5")[-1] == "S5 done"


def test_a_look_gives_the_newest_events_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    execution = Execution(200, a_look=2)
    assert len(followed(execution, monkeypatch, until_state=None)) == 400
    # THEN no look has more than a page, whatever the history has
    assert execution.given <= 200 * training.EVENTS_A_PAGE
