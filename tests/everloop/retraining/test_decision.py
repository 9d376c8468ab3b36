from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.model_file.schema import DriftTrigger, QualityTrigger, Quota, Retraining
from everloop.retraining.decision import Facts, FallenQuality, PastRun, decide

NOW = datetime(2013, 6, 1, 11, tzinfo=UTC)
POLICY = Retraining(
    quality=QualityTrigger(days=10, minimum_increase=0.02),
    drift=DriftTrigger(windows=3),
    schedule_days=90,
    cooldown_days=14,
    quota=Quota(runs=3, days=100),
)
LEVEL = FallenQuality("level", 0.08, 0.04, 0.001)
SPREAD = FallenQuality("spread", -0.4, 0.09, 0.002)


def ago(days: float, status: str = "succeeded", *, trained: bool = True) -> PastRun:
    return PastRun(NOW - timedelta(days=days), status, trained)


BROKEN = [ago(hours / 24, "failed", trained=False) for hours in range(1, 24, 2)]


QUIET = Facts(as_of=NOW, champion_version=3, quality_days=10, runs=[ago(30)], labelled_since=5000, minimum_rows=200)


def codes(decision) -> list[str]:
    return [r.code for r in decision.reasons]


@pytest.mark.parametrize(
    ("facts", "outcome", "trigger", "urgency", "held_back_by", "reasons"),
    [
        ({}, "none", None, "none", None, ["no_cause"]),
        ({"fallen": [LEVEL]}, "retrain", "quality", "normal", None, ["quality_level"]),
        ({"fallen": [SPREAD]}, "retrain", "quality", "high", None, ["quality_spread"]),
        ({"fallen": [LEVEL, SPREAD]}, "retrain", "quality", "high", None, ["quality_spread", "quality_level"]),
        ({"drifted": ["wind"], "windows_alarming": 2}, "none", None, "none", None, ["no_cause"]),
        ({"drifted": ["wind"], "windows_alarming": 3}, "retrain", "drift", "normal", None, ["drift"]),
        ({"runs": [ago(90)]}, "retrain", "schedule", "low", None, ["schedule"]),
        ({"runs": [ago(89)]}, "none", None, "none", None, ["no_cause"]),
        (
            {"fallen": [LEVEL], "drifted": ["wind"], "windows_alarming": 9, "runs": [ago(95)]},
            "retrain",
            "quality",
            "normal",
            None,
            ["quality_level", "drift", "schedule"],
        ),
        (
            {"fallen": [LEVEL], "active_run": "train-1"},
            "held_back",
            "quality",
            "normal",
            "active_run",
            ["quality_level", "active_run"],
        ),
        (
            {"fallen": [LEVEL], "runs": [ago(30), ago(60), ago(99)]},
            "held_back",
            "quality",
            "normal",
            "quota",
            ["quality_level", "quota"],
        ),
        ({"fallen": [LEVEL], "runs": [ago(30), ago(60), ago(100)]}, "retrain", "quality", "normal", None, None),
        (
            {"fallen": [LEVEL], "runs": [ago(13.9)]},
            "held_back",
            "quality",
            "normal",
            "cooldown",
            ["quality_level", "cooldown"],
        ),
        ({"fallen": [LEVEL], "runs": [ago(14)]}, "retrain", "quality", "normal", None, None),
        ({"fallen": [LEVEL], "runs": [ago(3, "rejected")]}, "held_back", "quality", "normal", "cooldown", None),
        ({"fallen": [LEVEL], "runs": [ago(1, "failed")]}, "retrain", "quality", "normal", None, None),
        (
            {"fallen": [LEVEL], "runs": [ago(1, "failed"), ago(2, "released")]},
            "held_back",
            "quality",
            "normal",
            "cooldown",
            None,
        ),
        # What broke before it trained costs none of the quota.
        ({"fallen": [LEVEL], "runs": [*BROKEN[:1], ago(30), ago(60)]}, "retrain", "quality", "normal", None, None),
        ({"fallen": [LEVEL], "runs": BROKEN}, "held_back", "quality", "normal", "broken_runs", None),
        ({"fallen": [LEVEL], "runs": BROKEN[:9]}, "held_back", "quality", "normal", "cooldown", None),
        (
            {"fallen": [LEVEL], "labelled_since": 199},
            "held_back",
            "quality",
            "normal",
            "too_little_data",
            ["quality_level", "too_little_data"],
        ),
        ({"fallen": [LEVEL], "runs": []}, "retrain", "quality", "normal", None, None),
    ],
)
def test_table(facts, outcome, trigger, urgency, held_back_by, reasons) -> None:
    decision = decide(replace(QUIET, **facts), POLICY)
    assert (decision.outcome, decision.trigger, decision.urgency) == (outcome, trigger, urgency)
    assert decision.held_back_by == held_back_by
    assert reasons is None or codes(decision) == reasons


def test_what_is_not_declared_is_no_cause() -> None:
    bare = Retraining(cooldown_days=0, quota=Quota(runs=1, days=1))
    facts = replace(QUIET, fallen=[SPREAD], drifted=["wind"], windows_alarming=99, runs=[ago(900)])
    assert decide(facts, bare).outcome == "none"


def test_reasons_say_what_fell_and_by_how_much() -> None:
    decision = decide(replace(QUIET, fallen=[SPREAD, replace(LEVEL, amount=-0.05)]), POLICY)
    assert "outcomes followed the scores 40% less than the scores say" in decision.reasons[0].sentence
    assert "version 3 lose 9% more" in decision.reasons[0].sentence
    assert "on average 0.05 below the scores" in decision.reasons[1].sentence


@given(
    fallen=st.booleans(),
    alarming=st.integers(0, 5),
    ages=st.lists(st.floats(0, 200), max_size=5).map(sorted),
    statuses=st.lists(st.sampled_from(["succeeded", "rejected", "failed", "open"]), min_size=5, max_size=5),
    active=st.booleans(),
    labelled=st.integers(0, 400),
)
def test_every_decision_has_reasons_and_is_one_of_three(fallen, alarming, ages, statuses, active, labelled) -> None:
    facts = replace(
        QUIET,
        fallen=[LEVEL] if fallen else [],
        drifted=["wind"] if alarming else [],
        windows_alarming=alarming,
        runs=[ago(a, s) for a, s in zip(ages, statuses, strict=False)],
        active_run="train-1" if active else None,
        labelled_since=labelled,
    )
    decision = decide(facts, POLICY)
    assert decision.reasons
    assert all(r.sentence.endswith(".") for r in decision.reasons)
    assert decision.retrain == (decision.trigger is not None and decision.held_back_by is None)
    if decision.retrain:
        assert not active
        assert sum(a < 100 for a in ages) < 3
        assert labelled >= 200
