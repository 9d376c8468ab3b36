"""Maturity is what is on record, step by step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from everloop.registry.maturity import maturity
from everloop.registry.records import Champion, Run
from everloop.registry.trace import Status
from tests.helpers.window_records import registered, window_record

END = datetime(2013, 3, 22, tzinfo=UTC)
NOTHING = Status("late_train", None, None, None, None, None, None, None, {}, [], [], [])
EVALUATED = replace(NOTHING, versions={"experimenting": [1], "evaluated": [2]})
SERVING = replace(EVALUATED, champion=Champion("late_train", 3, END, "7", "hash", "r1"))


def run(kind: str, verdict: str | None) -> Run:
    trigger: Any = {"kind": kind, "reason": "as told", "requested_at": END, "window_end": None}
    return Run("late_train", "train-1", "train", END, END, "succeeded", trigger, verdict=verdict)


def watched(**changes: Any) -> Status:
    return replace(SERVING, windows=[registered("late_train", END, window_record(**changes))])


def test_each_step_takes_its_evidence() -> None:
    assert maturity(NOTHING).level == 0
    assert maturity(replace(NOTHING, versions={"experimenting": [1, 2]})).level == 0
    assert maturity(EVALUATED).level == 1
    assert maturity(SERVING).level == 2
    assert maturity(watched(rows=0, labelled_rows=0)).level == 2
    assert maturity(watched(rows=50, labelled_rows=0)).level == 3
    measured = watched(rows=50, labelled_rows=40, version=3)
    assert maturity(measured).level == 4
    # Labels of another version's answers say nothing of the champion.
    assert maturity(watched(rows=50, labelled_rows=40, version=2)).level == 3
    for kind, verdict, level in (("manual", "pass", 4), ("quality", None, 4), ("quality", "fail", 5)):
        assert maturity(replace(measured, runs=[run(kind, verdict)])).level == level


def test_it_says_by_what_and_what_comes_next() -> None:
    assert maturity(NOTHING).sentence == "0 of 5; next, evaluated: no version has passed the gate"
    told = maturity(SERVING).sentence
    assert told.startswith("2 of 5, serving: version 3 was promoted by a rollout; next, watched: ")


def test_a_gap_is_not_skipped() -> None:
    gap = replace(NOTHING, runs=[run("quality", "pass")])
    assert [step.reached for step in maturity(gap).steps] == [False, False, False, False, True]
    assert maturity(gap).level == 0
