"""What a loop did, as a report tells it: an older version that was to come back has a row of its own."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from everloop.cli.operations.backtest_deployed import deployed
from everloop.cli.operations.backtest_loop_told import DeployedRun, candidate_told
from everloop.cli.operations.backtest_shape import Shape
from everloop.registry.records import Run
from everloop.registry.restorations import RESTORE
from everloop.retraining.backtest.deployed.counts import Answers
from everloop.retraining.backtest.deployed.lived import FIRST, Lived, Promotion
from everloop.retraining.backtest.deployed.rows import LoopRows
from tests.everloop.retraining.backtest.deployed.scenes import BEGIN, DAYS, HISTORY_DAYS, declaration, history

SHAPE = Shape(str((BEGIN - timedelta(days=HISTORY_DAYS)).date()), DAYS // 10, 10, HISTORY_DAYS, 1, 7, 1, 100, 100)


def run(kind: str, day: int, version: int, verdict: str) -> Run:
    at = BEGIN + timedelta(days=day)
    trigger = {"kind": FIRST if day == 0 else "schedule", "reason": "why"}
    status = "succeeded" if verdict == "pass" else "rejected"
    return Run("late_train", f"{kind}-{day}", kind, at, at, status, trigger, version=version, verdict=verdict)  # type: ignore[arg-type]  # texts of a trigger


def told(*runs: Run, promotions: list[tuple[int, int]]) -> tuple[tuple[DeployedRun, ...], float, int]:
    rows = LoopRows.of(history(), declaration(), BEGIN)
    answered = (np.arange(len(rows.frame)) >= rows.first_asked).astype(int)
    answers = Answers(answered, *(np.full(len(rows.frame), 0.5) for _ in range(2)))
    came = tuple(Promotion(BEGIN + timedelta(days=day), version) for day, version in promotions)
    found, walk = deployed(
        Lived(runs, came, (), 0, answers),
        rows,
        SHAPE,
        policy="this one",
        metric="log_loss",
        costs=lambda label, scores: np.zeros(len(label)),
        cost=50.0,
        fresh=0.0,
    )
    return found.runs, walk.cost, walk.retrainings


def test_a_version_that_came_back_serves_from_then_and_cost_no_training() -> None:
    runs = run("train", 0, 1, "pass"), run("train", 10, 2, "pass"), run(RESTORE, 20, 1, "pass")
    found, cost, retrainings = told(*runs, promotions=[(0, 1), (11, 2), (21, 1)])
    assert [each.kind for each in found] == ["train", "train", RESTORE]
    assert [(each.promoted_at or "")[:10] for each in found] == ["2013-03-01", "2013-03-12", "2013-03-22"]
    assert (cost, retrainings) == (50.0, 1)


def test_a_version_whose_return_was_refused_does_not_serve_from_its_first_promotion() -> None:
    runs = run("train", 0, 1, "pass"), run("train", 10, 2, "pass"), run(RESTORE, 20, 1, "fail")
    found, _, _ = told(*runs, promotions=[(0, 1), (11, 2)])
    assert found[-1].promoted_at is None
    assert candidate_told(found[-1]) == "version 1 refused"
    assert found[0].promoted_at is not None
