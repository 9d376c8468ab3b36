"""What the pipeline sends each function is what that function reads, and what it refers to is what another answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from everloop.documents.pipeline import GateState, RefitState, RegisteredState, RolloutState, RunState
from everloop.documents.snapshot import SnapshotAnswer
from everloop.functions.gate import handler as gate
from everloop.functions.register import handler as register
from everloop.functions.rollout import handler as rollout
from everloop.functions.run import handler as run
from everloop.functions.snapshot import handler as snapshot
from everloop.infra.pipeline_definition import pipeline_definition
from tests.helpers.declarations import binary_document, declare

READS: dict[tuple[str, str | None], Any] = {
    ("run", "open"): run.OpenEvent,
    ("run", "close"): run.CloseEvent,
    ("snapshot", None): snapshot.SnapshotEvent,
    ("gate", "candidate"): gate.CandidateEvent,
    ("gate", "refit"): gate.RefitEvent,
    ("gate", "refit_failed"): gate.RefitFailedEvent,
    ("gate", "older"): gate.OlderEvent,
    ("register", None): register.RegisterEvent,
    ("register", "restore"): register.RestoreEvent,
    ("rollout", "start"): rollout.StartEvent,
    ("rollout", "shift"): rollout.ShiftEvent,
    ("rollout", "check"): rollout.CheckEvent,
    ("rollout", "promote"): rollout.RolloutEvent,
    ("rollout", "retire"): rollout.RolloutEvent,
    ("rollout", "rollback"): rollout.RollbackEvent,
}
"""What each action reads."""

ANSWERED = {
    "$.run.result": RunState,
    "$.snapshot.result": SnapshotAnswer,
    "$.gate.result": GateState,
    "$.refit.result": RefitState,
    "$.registered.result": RegisteredState,
    "$.rollout.result": RolloutState,
}
"""What stands at a place of the pipeline's state."""


def sent(refit: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each state that calls a function: its name, the function, and the event."""
    document = binary_document()
    document["training"]["refit"] = refit
    for name, state in pipeline_definition(declare(document))["States"].items():
        if state["Type"] == "Task" and "Payload" in state["Parameters"]:
            function = state["Parameters"]["FunctionName"].removeprefix("${").removesuffix("Function}").lower()
            yield name, function, state["Parameters"]["Payload"]


STATES = [(refit, *state) for refit in ("after_gate", "none") for state in sent(refit)]


def fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """The keys of a typed dict: the type of each, and whether it has to be there."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        name: (get_args(hint)[0], False) if get_origin(hint) is NotRequired else (hint, kind.__total__)
        for name, hint in hints.items()
    }


def wanted_of(hint: Any) -> Any:
    """The typed dict in a hint, or None."""
    return next((kind for kind in (hint, *get_args(hint)) if is_typeddict(kind)), None)


def missing(wanted: Any, given: Any, place: str) -> list[str]:
    """The keys that ``wanted`` asks for, and ``given`` does not promise."""
    found = []
    for name, (hint, required) in fields(wanted).items():
        if name not in fields(given):
            found += [f"{place}.{name}"] if required else []
        elif wanted_of(hint) is not None and wanted_of(fields(given)[name][0]) is not None:
            found += missing(wanted_of(hint), wanted_of(fields(given)[name][0]), f"{place}.{name}")
    return found


@pytest.mark.parametrize(("refit", "name", "function", "event"), STATES, ids=[f"{s[0]}-{s[1]}" for s in STATES])
def test_an_event_has_what_its_function_reads(refit: str, name: str, function: str, event: dict[str, Any]) -> None:
    reads = READS[function, event.get("action")]
    keys = {key.removesuffix(".$"): value for key, value in event.items()}
    assert {key for key, (_, required) in fields(reads).items() if required} <= set(keys)
    for key, (hint, _) in fields(reads).items():
        place = keys.get(key)
        if isinstance(place, str) and place in ANSWERED and wanted_of(hint) is not None:
            assert missing(wanted_of(hint), ANSWERED[place], f"{name}.{key}") == []


def test_every_action_is_asked_for() -> None:
    assert {(function, event.get("action")) for _, _, function, event in STATES} == set(READS)


def test_a_key_that_nobody_answers_is_found() -> None:
    assert missing(gate.RefitSnapshot, RunState, "s") == ["s.snapshot_hash", "s.rows", "s.time_range"]
    assert missing(gate.JudgedRun, RunState, "r") == []
