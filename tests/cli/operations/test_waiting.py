"""Who meets an active run is told what it waits for, until when, and what to type."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from everloop.cli.operations.waiting import Waiting, busy, waiting_of
from everloop.instants import format_instant
from everloop.registry.records import ActiveRun, Rollout

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACTIVE = ActiveRun(model="late_train", run_id="train-1", kind="train", started_at=datetime(2026, 3, 1, 11, tzinfo=UTC))


class StepFunctions:
    """An execution's history."""

    def __init__(self, *events: dict[str, Any], failing: str = "") -> None:
        self._events, self._failing = events, failing

    def get_execution_history(
        self, *, executionArn: str, reverseOrder: bool = False, maxResults: int = 100
    ) -> dict[str, Any]:
        if self._failing:
            raise ClientError({"Error": {"Code": self._failing, "Message": "as told"}}, "GetExecutionHistory")
        return {"events": [*(reversed(self._events) if reverseOrder else self._events)][:maxResults]}


def entered(name: str, answer: dict[str, Any], kind: str = "WaitStateEntered") -> dict[str, Any]:
    details = {"name": name, "input": json.dumps({"rollout": {"result": answer}})}
    return {"type": kind, "timestamp": AT, "stateEnteredEventDetails": details}


def rollout(**changes: Any) -> Rollout:
    facts = {
        "model": "late_train",
        "rollout_id": "train-1",
        "run_id": "train-1",
        "kind": "version",
        "version": 3,
        "lambda_version": "4",
        "code_sha256": "c",
        "fallback_lambda_version": "2",
        "started_at": datetime(2026, 3, 1, 11, 30, tzinfo=UTC),
    }
    return Rollout(**{**facts, **changes})


@pytest.mark.parametrize(
    "state",
    ["WaitForStep", "WaitForBake", "WaitForBakeAgain"],
)
def test_a_run_that_waits_says_until_when(state: str) -> None:
    """Until its step or its bake ends, not until the next look at it."""
    ends = AT + timedelta(hours=3)
    answer = {"wait_until": "2026-03-01T12:01:00Z", "phase_ends": format_instant(ends)}
    history = StepFunctions({"type": "ExecutionStarted"}, entered(state, answer))
    assert waiting_of(history, "arn") == Waiting(state, ends)


@pytest.mark.parametrize(
    "events",
    [
        [],
        [entered("Train", {}, kind="TaskStateEntered")],
        [entered("WaitForStep", {"phase_ends": "2026-03-01T15:00:00Z"}), {"type": "WaitStateExited"}],
        [entered("WaitForStep", {})],
        [entered("WaitForStep", {"phase_ends": "soon"})],
        [entered("WaitForSomethingNew", {"phase_ends": "2026-03-01T15:00:00Z"})],
    ],
)
def test_a_run_that_works_waits_for_nothing(events: list[dict[str, Any]]) -> None:
    assert waiting_of(StepFunctions(*events), "arn") is None


def test_an_execution_that_is_forgotten_waits_for_nothing() -> None:
    assert waiting_of(StepFunctions(failing="ExecutionDoesNotExist"), "arn") is None
    with pytest.raises(ClientError):
        waiting_of(StepFunctions(failing="ThrottlingException"), "arn")


def test_a_bake_is_told_with_its_end_and_both_ways_to_get_there() -> None:
    waiting = Waiting("WaitForBake", AT + timedelta(hours=22, minutes=30))
    message, remedy = busy("late_train", ACTIVE, waiting, rollout(status="baking"), AT)
    assert message == (
        "the run train-1 of late_train has been active since 2026-03-01T11:00:00Z: version 3 serves, and its bake"
        " lasts until 2026-03-02 10:30 UTC"
    )
    assert remedy == (
        "start again after that; in a local cloud, `everloop local pass 22h31m` moves the clock to that time"
    )


def test_a_canary_is_told_with_its_share_and_the_next_look() -> None:
    waiting = Waiting("WaitForStep", AT + timedelta(minutes=59))
    message, remedy = busy("late_train", ACTIVE, waiting, rollout(percent=10), AT)
    assert (
        "version 3 is in its canary with 10% of the requests, and the next decision is at 2026-03-01 12:59 UTC"
    ) in message
    assert remedy.startswith("send requests, ")
    assert "`everloop local pass 1h`" in remedy


def test_a_run_that_works_is_told_with_how_to_see_its_end() -> None:
    message, remedy = busy("late_train", ACTIVE, None, None, AT)
    assert message == "the run train-1 of late_train has been active since 2026-03-01T11:00:00Z"
    assert "everloop runs list late_train" in remedy
    assert "everloop runs release late_train train-1 --reason" in remedy
