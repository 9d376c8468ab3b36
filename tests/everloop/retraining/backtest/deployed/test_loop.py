"""The deployed loop on a history: what trains when, what the gate says, who serves from when on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

import numpy as np
import pytest

from everloop.model_file.schema import ModelDeclaration
from everloop.recalibration.calibration import Calibration
from everloop.retraining.backtest.deployed.lived import Lived
from everloop.retraining.backtest.deployed.loop import live
from everloop.retraining.backtest.deployed.rows import LoopRows, instant
from everloop.retraining.backtest.deployed.traffic import EvenRouter
from tests.everloop.retraining.backtest.deployed.scenes import BEGIN, DAYS, SaidJobs, declaration, history
from tests.helpers.present import present

END = BEGIN + timedelta(days=DAYS)


def lived(declared: ModelDeclaration, *, days: int = DAYS, **jobs: object) -> tuple[Lived, LoopRows, SaidJobs]:
    rows = LoopRows.of(history(), declared, BEGIN)
    made = SaidJobs(declared, rows.frame, **jobs)  # type: ignore[arg-type]  # fields by name
    return live(declared, rows, made, end=BEGIN + timedelta(days=days)), rows, made


@cache
def lived_as_declared() -> tuple[Lived, LoopRows, SaidJobs]:
    """What several tests look at, and none changes."""
    return lived(declaration())


def monitored(day: int) -> datetime:
    return BEGIN + timedelta(days=day, hours=10)


@pytest.mark.slow
def test_a_schedule_trains_when_it_is_due_and_every_row_is_answered() -> None:
    found, rows, jobs = lived_as_declared()
    # THEN the first window after ten days asks for a training, and each later one ten days after the last
    assert [run.started_at for run in found.runs] == [BEGIN, monitored(10), monitored(20), monitored(30)]
    assert {run.trigger["kind"] for run in found.retrainings} == {"schedule"}
    assert [run.verdict for run in found.runs] == ["pass"] * 4
    assert [run.status for run in found.runs] == ["succeeded"] * 4
    assert (found.answers.version[: rows.first_asked] == 0).all()
    assert (found.answers.version[rows.first_asked :] > 0).all()
    assert len(found.windows) == DAYS
    # AND each candidate was judged beside the champion of the time
    assert [champion for _, _, _, champion, _ in jobs.asked] == [None, 1, 2, 3]


@pytest.mark.slow
def test_a_candidate_has_its_canary_first() -> None:
    found, rows, jobs = lived_as_declared()
    declared = jobs.declaration
    started, promoted = found.runs[1].started_at, found.promotions[1].at
    steps = [timedelta(minutes=step.minutes) for step in declared.rollout.steps]
    assert promoted >= started + sum(steps, timedelta())
    during = rows.between(started, promoted)
    by = Counter(found.answers.version[during].tolist())
    assert by[1] > by[2] > 0
    assert set(found.answers.version[rows.between(promoted, found.runs[2].started_at)]) == {2}
    assert set(found.answers.version[rows.between(BEGIN, started)]) == {1}
    # AND rows that are asked about together are answered together
    for request in np.unique(rows.request[during]):
        assert len(set(found.answers.version[rows.request == request])) == 1


@pytest.mark.slow
def test_a_shadow_takes_its_time_and_nobody_is_answered_by_its_candidate() -> None:
    shadow = {"minutes": 600, "max_disagreement": 0.1}
    found, rows, _ = lived(declaration(rollout={"shadow": shadow}), days=13)
    started, promoted = found.runs[1].started_at, found.promotions[1].at
    unseen = started + timedelta(minutes=600)
    assert set(found.answers.version[rows.between(started, unseen)]) == {1}
    assert set(found.answers.version[rows.between(unseen, promoted)]) == {1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("asked_at_the_begin", [True, False])
def test_a_request_as_a_step_ends_counts_to_the_next_step(asked_at_the_begin: bool) -> None:
    declared = declaration(rollout={"guardrail": {"max_error_rate": 0.02, "max_p99_latency_ms": 800,
                                                  "minimum_requests": 1, "max_hold_minutes": 600}})  # fmt: skip
    rows = LoopRows.of(history(), declared, BEGIN)
    first, second = (timedelta(minutes=step.minutes) for step in declared.rollout.steps)
    started = monitored(10)
    asked = [instant(started + first), *([instant(started)] if asked_at_the_begin else [])]

    def at_those_instants(places: np.ndarray, percent: float, version: int) -> np.ndarray:
        return np.isin(rows.time[places], asked)

    end = started + timedelta(days=3)
    found = live(declared, rows, SaidJobs(declared, rows.frame), end=end, router=at_those_instants)
    # THEN each step has had a request; or the first one waits, has the one that came as it ended, and the second none
    assert [one.at for one in found.promotions[1:]] == ([started + first + second] if asked_at_the_begin else [])


@pytest.mark.slow
def test_too_little_traffic_takes_a_candidate_back() -> None:
    guardrail = {"max_error_rate": 0.02, "max_p99_latency_ms": 800, "minimum_requests": 200, "max_hold_minutes": 120}
    found, _, _ = lived(declaration(rollout={"guardrail": guardrail}), days=22)
    for taken_back in found.runs[1:3]:
        assert taken_back.status == "rolled_back"
        assert "requests reached the candidate; 200 are required" in (taken_back.cause or "")
    assert [promotion.version for promotion in found.promotions] == [1]


@pytest.mark.slow
def test_a_worse_candidate_is_refused_and_the_champion_stays() -> None:
    found, rows, _ = lived(declaration(gate={"margin": 0.02}), strengths=[1.0, -1.0, 1.0])
    refused = found.runs[1]
    assert (refused.verdict, refused.status, refused.version) == ("fail", "rejected", 2)
    assert any(r["code"] == "not_worse_than_champion" and not r["passed"] for r in refused.gate_reasons)
    assert set(found.answers.version[rows.between(BEGIN, found.runs[2].started_at)]) == {1}
    assert [promotion.version for promotion in found.promotions] == [1, 3, 4]


def test_nothing_serves_where_the_first_candidate_is_refused() -> None:
    found, _, _ = lived(declaration(), strengths=[-1.0])
    assert [run.verdict for run in found.runs] == ["fail"]
    assert (found.promotions, found.windows) == ((), ())
    assert not found.answers.version.any()


@pytest.mark.slow
def test_a_training_that_fails_is_tried_once_more_without_waiting() -> None:
    found, _, _ = lived(declaration(), days=21, fails_at=1)
    assert [run.started_at for run in found.runs[1:3]] == [monitored(10), monitored(20)]
    assert found.runs[1].status == "failed"
    assert "no luck" in (found.runs[1].cause or "")
    quality = {"days": 7, "minimum_increase": 0.01, "confidence": 0.9}
    retraining = {"quality": quality, "schedule_days": None}
    found, _, _ = lived(declaration(retraining=retraining, recalibration=None), strengths=[1.7], fails_at=1)
    first, again = (run.started_at for run in found.retrainings[:2])
    assert {run.trigger["kind"] for run in found.retrainings} == {"quality"}
    assert again - first == timedelta(days=1)


def test_rows_too_few_for_the_contract_fail_the_run_without_a_training() -> None:
    found, _, jobs = lived(declaration(data={"minimum_rows": 10**6}))
    assert (found.runs[0].status, found.runs[0].trained) == ("failed", False)
    assert "at least 1000000 are required" in (found.runs[0].cause or "")
    assert jobs.asked == []


@pytest.mark.slow
def test_a_model_that_says_too_much_is_recalibrated_unless_that_is_declared_away() -> None:
    declared = declaration(retraining={"schedule_days": None})
    found, rows, _ = lived(declared, strengths=[1.7])
    frozen, _, _ = lived(declared.model_copy(update={"recalibration": None}), strengths=[1.7])
    late = rows.between(BEGIN + timedelta(days=DAYS // 2), END)
    assert found.calibrations > 0
    assert frozen.calibrations == 0
    assert (frozen.answers.served[late] == frozen.answers.raw[late]).all()
    assert (found.answers.raw[late] == frozen.answers.raw[late]).all()

    def loss(scores: np.ndarray) -> float:
        label = rows.label[late]
        return float(-(label * np.log(scores) + (1 - label) * np.log(1 - scores)).mean())

    assert loss(found.answers.served[late]) < loss(found.answers.raw[late]) - 0.01
    # AND nothing is published within the first champion's bake
    bake = timedelta(minutes=declared.rollout.bake_minutes)
    published = [w for w in found.windows if w.recalibration and w.recalibration["decision"] == "publish"]
    assert all(window.scheduled_at >= BEGIN + bake for window in published)
    assert all(Calibration.from_text(present(w.recalibration["calibration"])) for w in published if w.recalibration)


def test_a_label_counts_from_when_it_came() -> None:
    declared = declaration()
    rows = LoopRows.of(history(), declared, BEGIN)
    # A label of the day before the begin, of which the lag is not over then, never comes.
    late = (rows.time > instant(BEGIN - timedelta(hours=8))) & (rows.time < instant(BEGIN))
    assert late.any()
    assert np.isnan(rows.label[late]).all()
    as_of = monitored(10)
    parts = rows.snapshot(declared, as_of)
    newest = max(parts.test["time"])
    assert newest < (as_of - timedelta(hours=10)).replace(tzinfo=None)
    assert parts.snapshot.rows["train"] + parts.snapshot.rows["test"] + parts.snapshot.rows["unlabelled"] == int(
        (rows.time <= instant(as_of - timedelta(hours=8))).sum()
    )


def test_a_training_window_leaves_older_rows_out() -> None:
    declared = declaration(data={"training_window_days": 20})
    rows = LoopRows.of(history(), declared, BEGIN)
    parts = rows.snapshot(declared, monitored(10))
    assert parts.train["time"].min() > (monitored(10) - timedelta(days=20, hours=8)).replace(tzinfo=None)


@pytest.mark.parametrize("percent", [10.0, 25.0, 50.0, 99.9])
def test_the_even_router_sends_the_share_that_is_asked_for(percent: float) -> None:
    router = EvenRouter()
    chosen = np.concatenate([router(np.arange(n), percent, 2) for n in (1, 2, 3, 94, 0, 100)])
    assert chosen.sum() == pytest.approx(2 * percent, abs=1)


def test_requests_are_split_where_an_hour_has_more_rows_than_one_may_have() -> None:
    declared = declaration(serving={"max_rows": 2})
    rows = LoopRows.of(history(days=32), declared, BEGIN)
    asked = rows.request[rows.first_asked :]
    assert (rows.request[: rows.first_asked] == -1).all()
    assert max(Counter(asked.tolist()).values()) == 2
    hours = rows.time[rows.first_asked :].astype("datetime64[h]")
    assert all(len(set(hours[asked == request])) == 1 for request in np.unique(asked))


@pytest.mark.slow
def test_the_same_history_is_lived_through_alike() -> None:
    one, _, _ = lived_as_declared()
    other, _, _ = lived(declaration())
    assert [replace(run) for run in one.runs] == list(other.runs)
    assert [w.to_document() for w in one.windows] == [w.to_document() for w in other.windows]


@pytest.mark.slow
def test_groups_are_answered_by_their_own_calibrations() -> None:
    # GIVEN two lines of which, from the first champion on, one is late more often than it says, and one less often
    declared = declaration(recalibration={"by": "line", "minimum_group_rows": 300}, retraining={"schedule_days": 90})
    frame, rng = history(), np.random.default_rng(3)
    level = np.where(frame["line"] == "north", -1.5, 1.5)
    late = rng.random(len(frame)) < 1 / (1 + np.exp(-(frame["wind"] + level)))
    frame["label"] = np.where(frame["time"] < BEGIN.replace(tzinfo=None), frame["label"], late.astype(float))
    rows = LoopRows.of(frame, declared, BEGIN)
    found = live(declared, rows, SaidJobs(declared, rows.frame), end=END)
    # THEN after some days each has a calibration of its own, and its rows are answered by it
    asked = np.arange(len(rows.frame)) >= rows.between(BEGIN + timedelta(days=30), END).start
    north = (rows.frame["line"] == "north").to_numpy()
    moved = np.log(found.answers.served / (1 - found.answers.served)) - np.log(
        found.answers.raw / (1 - found.answers.raw)
    )
    assert moved[asked & north].max() < -0.2 < 0.2 < moved[asked & ~north].min()
    told = found.windows[-1].recalibration
    assert told is not None
    made = Calibration.from_text(told["calibration"] or "")
    assert made.by is not None
    assert made.by.names == ("north", "south")
    fairness = told["groups"]["fairness"]
    assert fairness is not None
    assert fairness["groups"]["north"]["rows"] > 100
