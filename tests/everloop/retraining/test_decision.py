from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.model_file.schema import DriftTrigger, Investment, QualityTrigger, Quota, Retraining, VolumeTrigger
from everloop.reasons import Reason
from everloop.retraining.decision import (
    Asked,
    Decision,
    Facts,
    FallenQuality,
    HeldBefore,
    OlderVersion,
    PastRun,
    decide,
)

NOW = datetime(2013, 6, 1, 11, tzinfo=UTC)
POLICY = Retraining(
    quality=QualityTrigger(days=10, minimum_increase=0.02),
    drift=DriftTrigger(windows=3),
    volume=VolumeTrigger(rows=6000),
    schedule_days=90,
    cooldown_days=14,
    quota=Quota(runs=3, days=100),
)
LEVEL = FallenQuality("level", 0.08, 0.04, 0.001)
ASKED = Asked(1, "since 2013-05-30T08:00:00Z (new stations)")
SPREAD = FallenQuality("spread", -0.4, 0.09, 0.002)


def ago(days: float, status: str = "succeeded", *, trained: bool = True) -> PastRun:
    return PastRun(NOW - timedelta(days=days), status, trained)


BROKEN = [ago(hours / 24, "failed", trained=False) for hours in range(1, 24, 2)]


QUIET = Facts(as_of=NOW, champion_version=3, quality_days=10, runs=[ago(30)], labelled_since=5000, minimum_rows=200)


def codes(decision: Decision) -> list[str]:
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
        # So many new rows, whatever they show.
        ({"labelled_since": 6000}, "retrain", "volume", "low", None, ["volume"]),
        ({"labelled_since": 5999}, "none", None, "none", None, ["no_cause"]),
        ({"labelled_since": 6000, "active_run": "r"}, "held_back", "volume", "low", "active_run", None),
        ({"labelled_since": 6000, "runs": [ago(90)]}, "retrain", "volume", "low", None, ["volume", "schedule"]),
        # What people asked for waits for a run that is active and for the quota, and for no cooldown.
        ({"asked": ASKED}, "retrain", "manual", "normal", None, ["asked_for"]),
        ({"asked": ASKED, "active_run": "r"}, "held_back", "manual", "normal", "active_run", None),
        ({"asked": ASKED, "runs": [ago(1), ago(2), ago(3)]}, "held_back", "manual", "normal", "quota", None),
        ({"asked": ASKED, "runs": [ago(1)], "labelled_since": 1}, "retrain", "manual", "normal", None, None),
        # The run that was in the way has learned from all there is.
        (
            {"asked": ASKED, "runs": [ago(1)], "labelled_since": 0},
            "held_back",
            "manual",
            "normal",
            "too_little_data",
            None,
        ),
        ({"asked": ASKED, "runs": [ago(1, "failed")], "labelled_since": 0}, "retrain", "manual", "normal", None, None),
        ({"asked": ASKED, "fallen": [SPREAD]}, "retrain", "manual", "normal", None, ["asked_for", "quality_spread"]),
    ],
)
def test_table(
    facts: dict[str, Any], outcome: str, trigger: str | None, urgency: str, held_back_by: str | None, reasons: list[str]
) -> None:
    decision = decide(replace(QUIET, **facts), POLICY)
    assert (decision.outcome, decision.trigger, decision.urgency) == (outcome, trigger, urgency)
    assert decision.held_back_by == held_back_by
    assert reasons is None or codes(decision) == reasons


@pytest.mark.parametrize("hold", ["active_run", "quota", "broken_runs", "cooldown", "too_little_data"])
def test_a_cause_that_was_held_back_and_shows_no_more_is_answered_by_saying_so(hold: str) -> None:
    before = HeldBefore(NOW - timedelta(days=1), "drift", hold)
    decision = decide(replace(QUIET, held_before=before), POLICY)
    assert (decision.outcome, codes(decision)) == ("none", ["no_cause", "let_go"])
    told = decision.reasons[1].sentence
    assert told.startswith("The window that ended 2013-05-31T11:00:00Z had the cause drift, held back by ")
    assert "the cause is gone" in told
    # AND where a training has started since, that is the answer
    again = decide(replace(QUIET, held_before=before, runs=[ago(0.5)]), POLICY)
    assert "a training has started since" in again.reasons[1].sentence
    # AND as long as the cause lasts, it is asked for
    lasts = decide(replace(QUIET, held_before=before, drifted=["wind"], windows_alarming=4), POLICY)
    assert (lasts.outcome, codes(lasts)) == ("retrain", ["drift"])


@pytest.mark.slow
@given(
    ages=st.lists(st.floats(0, 200), max_size=5).map(sorted),
    statuses=st.lists(st.sampled_from(["succeeded", "rejected", "failed", "open"]), min_size=5, max_size=5),
    active=st.booleans(),
    labelled=st.integers(0, 400),
    fallen=st.booleans(),
)
def test_what_was_asked_for_is_a_cause_at_every_decision_until_it_is_answered(
    ages: list[float], statuses: list[str], active: bool, labelled: int, fallen: bool
) -> None:
    """GIVEN a request that waits, THEN it starts a run or the decision names what is in the way: never "no cause"."""
    facts = replace(
        QUIET,
        asked=ASKED,
        fallen=[LEVEL] if fallen else [],
        runs=[ago(a, s) for a, s in zip(ages, statuses, strict=False)],
        active_run="train-1" if active else None,
        labelled_since=labelled,
    )
    decision = decide(facts, POLICY)
    assert (decision.trigger, codes(decision)[0]) == ("manual", "asked_for")
    assert decision.held_back_by != "cooldown"
    assert decision.retrain or decision.held_back_by == codes(decision)[-1]
    # AND it is started wherever a cause of the model's own would be
    if fallen and decide(replace(facts, asked=None), POLICY).retrain:
        assert decision.retrain


def test_what_is_not_declared_is_no_cause() -> None:
    bare = Retraining(cooldown_days=0, quota=Quota(runs=1, days=1))
    facts = replace(QUIET, fallen=[SPREAD], drifted=["wind"], windows_alarming=99, runs=[ago(900)])
    assert decide(facts, bare).outcome == "none"


def test_reasons_say_what_fell_and_by_how_much() -> None:
    decision = decide(replace(QUIET, fallen=[SPREAD, replace(LEVEL, amount=-0.05)]), POLICY)
    assert "outcomes followed the scores 40% less than the scores say" in decision.reasons[0].sentence
    assert "version 3 lose 9% more" in decision.reasons[0].sentence
    assert "on average 0.05 below the scores" in decision.reasons[1].sentence


@pytest.mark.slow
@given(
    fallen=st.booleans(),
    alarming=st.integers(0, 5),
    ages=st.lists(st.floats(0, 200), max_size=5).map(sorted),
    statuses=st.lists(st.sampled_from(["succeeded", "rejected", "failed", "open"]), min_size=5, max_size=5),
    active=st.booleans(),
    labelled=st.integers(0, 400),
)
def test_every_decision_has_reasons_and_is_one_of_three(
    fallen: bool, alarming: int, ages: list[float], statuses: list[str], active: bool, labelled: int
) -> None:
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


WEIGHS = POLICY.model_copy(update={"investment": Investment()})
OLDER = OlderVersion(2, "Version 2 would have lost 0.1 less.")


class TestAnOlderVersion:
    """GIVEN one that would have lost less than what serves."""

    @pytest.mark.parametrize(
        ("facts", "outcome", "trigger", "held_back_by", "reasons"),
        [
            ({}, "restore", "older_version", None, ["older_version", "no_cause"]),
            # A training that may start comes first.
            ({"fallen": [LEVEL]}, "retrain", "quality", None, ["quality_level"]),
            # While one may not, the version does not wait for it.
            (
                {"fallen": [LEVEL], "runs": [ago(5)]},
                "restore",
                "older_version",
                None,
                ["older_version", "quality_level", "cooldown"],
            ),
            (
                {"fallen": [LEVEL], "runs": [ago(30), ago(60), ago(99)]},
                "restore",
                "older_version",
                None,
                ["older_version", "quality_level", "quota"],
            ),
            ({"active_run": "train-9"}, "held_back", "older_version", "active_run", ["older_version", "active_run"]),
            (
                {"restored_at": NOW - timedelta(days=13)},
                "held_back",
                "older_version",
                "cooldown",
                ["older_version", "restore_cooldown"],
            ),
            (
                {"restored_at": NOW - timedelta(days=14)},
                "restore",
                "older_version",
                None,
                ["older_version", "no_cause"],
            ),
            # The gate could not compare the two yet, and would refuse.
            (
                {"comparable_at": NOW + timedelta(hours=1)},
                "held_back",
                "older_version",
                "too_little_data",
                ["older_version", "restore_too_little_data"],
            ),
            ({"comparable_at": NOW}, "restore", "older_version", None, ["older_version", "no_cause"]),
            # What holds both back is told of both, the training first.
            (
                {"fallen": [LEVEL], "runs": [ago(5)], "restored_at": NOW - timedelta(days=1)},
                "held_back",
                "quality",
                "cooldown",
                ["quality_level", "cooldown", "older_version", "restore_cooldown"],
            ),
        ],
    )
    def test_it_comes_back_where_no_training_starts_and_not_too_often(
        self, facts: dict[str, Any], outcome: str, trigger: str | None, held_back_by: str | None, reasons: list[str]
    ) -> None:
        found = decide(replace(QUIET, older=OLDER, **facts), WEIGHS)
        assert (found.outcome, found.trigger, found.held_back_by) == (outcome, trigger, held_back_by)
        assert codes(found) == reasons
        assert found.restore == (2 if outcome == "restore" else None)

    def test_it_is_nothing_to_a_policy_without_an_investment(self) -> None:
        assert decide(replace(QUIET, older=OLDER), POLICY).outcome == "none"

    @pytest.mark.slow
    @given(days=st.lists(st.booleans(), min_size=40, max_size=120), cooldown=st.integers(1, 30))
    def test_versions_do_not_take_turns_within_a_cooldown(self, days: list[bool], cooldown: int) -> None:
        """Whatever probes say from day to day, two restorations lie a cooldown apart."""
        policy = WEIGHS.model_copy(update={"cooldown_days": cooldown})
        restored: list[datetime] = []
        for day, leads in enumerate(days):
            now = NOW + timedelta(days=day)
            older = OLDER if leads else None
            last = restored[-1] if restored else None
            if decide(replace(QUIET, as_of=now, runs=[], older=older, restored_at=last), policy).restore is not None:
                restored.append(now)
        assert all(later - sooner >= timedelta(days=cooldown) for sooner, later in pairwise(restored))
        assert bool(restored) == any(days)


def test_a_training_that_people_asked_for_learns_as_they_asked() -> None:
    warm = replace(ASKED, update="warm")
    assert decide(replace(QUIET, asked=warm), POLICY).update == "warm"
    assert decide(replace(QUIET, asked=ASKED), POLICY).update == "full"
    assert decide(replace(QUIET, asked=warm, active_run="r"), POLICY).update == "full"


def test_by_the_evidence_a_training_is_a_warm_start_whatever_its_cause_unless_people_said_how() -> None:
    leads = Reason("warm_start_leads", "It leads.")
    facts, policy = replace(QUIET, fallen=[LEVEL], warm=leads), POLICY.model_copy(update={"investment": Investment()})
    found = decide(facts, policy)
    assert (found.update, codes(found)) == ("warm", ["quality_level", "warm_start_leads"])
    assert decide(replace(facts, asked=ASKED), policy).update == "full"
    assert decide(replace(facts, active_run="r"), policy).update == "full"
    assert decide(facts, POLICY).update == "full"
    assert decide(replace(QUIET, warm=leads), policy).update == "full"
