"""The ML Test Score is what is on record: each test has its evidence, or an honest zero."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from moto import mock_aws

from everloop.evaluation.error_report import Errors, Importance
from everloop.evaluation.report import EnvironmentFacts, Latency
from everloop.reasons import ReasonDocument
from everloop.registry.drills import Drill
from everloop.registry.exceptions import UnknownVersionError
from everloop.registry.ml_test_score import Facts, Finding, score_of
from everloop.registry.records import Champion, Rollout, Run, Snapshot, Version
from everloop.registry.states import State
from everloop.registry.store import RegistryStore
from everloop.registry.trace import Status, verify_audit
from tests.everloop.evaluation.builders import labels_and_truth, report_of
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.declarations import binary_document, declare
from tests.helpers.registry_scenes import at, crown
from tests.helpers.window_records import registered, window_record

END = datetime(2013, 3, 22, tzinfo=UTC)
NOTHING = Status("late_train", None, None, None, None, None, None, None, {}, [], [], [])
DECLARED = declare(binary_document())
BARE = Facts(DECLARED, NOTHING, None, None, None, None, (), (), 0, None, ())
LABELS, TRUTH = labels_and_truth(1)
REPORT = replace(
    report_of(LABELS, TRUTH, 0.5 * TRUTH + 0.2),
    environment=EnvironmentFacts("3.12.11", "Linux", 40, "l" * 64, (), ()),
    latency_ms=Latency(1.0, 2.0),
)
BETTER: ReasonDocument = {"code": "better_than_baseline", "passed": True, "sentence": "It is better.", "value": -0.1}
VERSION = Version(
    "late_train", 3, State.PRODUCTION, "train-1", "s1", "artifacts/3/", "m", "c" * 64, END, END,
    gate={"verdict": "pass", "reasons": [BETTER], "report_sha256": "r" * 64},
)  # fmt: skip
SERVING = replace(
    NOTHING,
    champion=Champion("late_train", 3, END, "7", "hash", "r1"),
    champion_version=VERSION,
    windows=[registered("late_train", END, window_record(rows=50, labelled_rows=40, version=3))],
)


def run(run_id: str, kind: str, status: str) -> Run:
    trigger: Any = {"kind": kind, "reason": "as told", "requested_at": END, "window_end": None}
    return Run("late_train", run_id, "train", END, END, status, trigger, verdict="pass")


def rollout(**changes: Any) -> Rollout:
    given: dict[str, Any] = {"previous_version": 2, "last_check": {"decision": "advance", "reasons": []}, **changes}
    return Rollout(
        model="late_train", rollout_id="r1", run_id="train-1", kind="version", version=3, lambda_version="7",
        code_sha256="hash", previous_lambda_version="6", fallback_lambda_version="6", started_at=END,
        **given,
    )  # fmt: skip


def found(facts: Facts) -> dict[str, Finding]:
    return {one.test: one for findings in score_of(facts).groups.values() for one in findings}


def test_there_are_28_in_four_groups_of_seven() -> None:
    score = score_of(BARE)
    assert [len(findings) for findings in score.groups.values()] == [7, 7, 7, 7]
    names = [f"{group} {n}" for group in ("Data", "Model", "Infra", "Monitor") for n in range(1, 8)]
    assert list(found(BARE)) == names


def test_with_nothing_on_record_every_test_is_zero_and_says_what_would_earn_it() -> None:
    score = score_of(BARE)
    assert (score.score, set(score.sums.values())) == (0.0, {0.0})
    assert score.meaning.startswith("more of a research project")
    assert all(one.points == 0 and one.evidence and not one.link for one in found(BARE).values())


def test_whatever_earns_points_has_a_link() -> None:
    facts = replace(
        BARE,
        status=SERVING,
        version=VERSION,
        report=REPORT,
        snapshot=Snapshot("late_train", "s1", "s3://x/", END),
        rollouts=(rollout(),),
        runs=(run("train-9", "quality", "rejected"),),
        probes=4,
        checked_in=True,
        test_files=("models/late_train/test_train.py",),
    )
    told = found(facts)
    assert all(bool(one.link) == (one.points > 0) for one in told.values())
    earned = {one.test: one.points for one in told.values() if one.points}
    assert earned["Model 1"] == earned["Infra 2"] == 0.5
    for test in ("Data 1", "Data 7", "Model 4", "Model 5", "Infra 3", "Infra 4", "Monitor 1", "Monitor 5", "Monitor 7"):
        assert earned[test] == 1.0, test
    score = score_of(facts)
    assert score.score == min(score.sums.values()) > 0
    assert score.sums[score.weakest] == score.score


@pytest.mark.parametrize(
    ("rollouts", "points"),
    [
        ((), 0.0),
        ((rollout(),), 0.0),
        ((rollout(status="rolled_back"),), 0.5),
        ((rollout(status="rolled_back", last_check={"decision": "rollback", "reasons": []}),), 1.0),
    ],
)
def test_a_rollback_counts_once_it_happened(rollouts: tuple[Rollout, ...], points: float) -> None:
    assert found(replace(BARE, rollouts=rollouts))["Infra 7"].points == points


@pytest.mark.parametrize(("ended", "points"), [("passed", 1.0), ("failed", 0.0), ("under_way", 0.0)])
def test_a_rollback_counts_where_it_was_drilled(ended: str, points: float) -> None:
    drill = Drill("flights", at(0), 2, 1, ended, *((1.5, 0.5) if ended == "passed" else ()))
    assert found(replace(BARE, status=replace(BARE.status, drill=drill)))["Infra 7"].points == points


def test_a_person_who_starts_the_pipeline_is_half_a_point_and_a_rule_a_whole_one() -> None:
    by_hand = replace(BARE, runs=(run("train-1", "manual", "succeeded"),))
    assert found(by_hand)["Infra 3"].points == 0.5
    assert found(replace(BARE, runs=(run("train-1", "manual", "failed"),)))["Infra 3"].points == 0.0
    assert found(replace(BARE, runs=(run("train-1", "drift", "rejected"),)))["Infra 3"].points == 1.0


def test_importance_is_what_features_are_worth() -> None:
    errors = Errors(
        "log_loss", 9, None, (), (Importance("wind", 0.1, 0.05, 0.2), Importance("line", 0.0, -0.1, 0.1)), ()
    )
    told = found(replace(BARE, version=VERSION, report=replace(REPORT, errors=errors)))["Data 2"]
    assert (told.points, told.evidence.partition(":")[0]) == (1.0, "1 of 2 features are shown to help")


def test_a_waived_comparison_is_no_evidence() -> None:
    waived: Any = {"verdict": "pass", "reasons": [{**BETTER, "waived": True}]}
    assert found(replace(BARE, version=replace(VERSION, gate=waived), report=REPORT))["Model 5"].points == 0.0
    assert found(replace(BARE, version=VERSION, report=REPORT))["Model 5"].points == 1.0


def test_a_limit_that_is_not_declared_earns_nothing() -> None:
    limited = declare(binary_document(gate={**binary_document()["gate"], "max_latency_ms": 50}))
    assert found(replace(BARE, version=VERSION, report=REPORT))["Monitor 6"].points == 0.0
    assert found(replace(BARE, declaration=limited, version=VERSION, report=REPORT))["Monitor 6"].points == 0.5


def test_it_travels_as_json() -> None:
    document: Any = score_of(BARE).to_json()
    assert document["score"] == 0.0
    assert set(document["groups"]) == set(document["sums"])


TUNING: Any = {
    "metric": "log_loss",
    "folds": [{"after": END, "until": END, "rows": 100, "fitted_on": 900}] * 3,
    "trials": [
        {
            "number": 0,
            "state": "complete",
            "parameters": {"c": 1.0, "depth": 3},
            "value": 0.5,
            "folds": [0.5],
            "seconds": 1.0,
        },
        {
            "number": 1,
            "state": "failed",
            "parameters": {"c": 9.0, "depth": 3},
            "value": None,
            "folds": [],
            "seconds": 1.0,
        },
        {
            "number": 2,
            "state": "complete",
            "parameters": {"c": 2.0, "depth": 3},
            "value": 0.41,
            "folds": [0.4],
            "seconds": 1.0,
        },
    ],
    "best": 2,
}


def test_a_search_on_validation_data_is_evidence() -> None:
    assert found(replace(BARE, version=VERSION))["Model 3"].points == 0.0
    told = found(replace(BARE, version=VERSION, tuning=TUNING))["Model 3"]
    assert (told.points, told.link) == (1.0, "everloop runs show late_train train-1")
    assert told.evidence == ("2 sets of parameters (c) were compared on 3 validation parts; the best log_loss is 0.41")
    other: Any = {**TUNING, "best": 1}
    assert found(replace(BARE, version=VERSION, tuning=other))["Model 3"].points == 0.0


@pytest.mark.parametrize(("identical", "points"), [(True, 0.5), (False, 0.0)])
def test_a_repeated_training_counts_where_the_same_bytes_came_out(identical: bool, points: float) -> None:
    assert "everloop reproduce late_train 3 --record" in found(replace(BARE, version=VERSION))["Infra 1"].evidence
    with mock_aws():
        store = RegistryStore(dynamodb(), TABLE, "flights", pause=lambda _: None)
        crown(store, "train-1")
        assert store.reproductions.of(1) == []
        for minute in (80, 81):
            store.reproductions.record(1, identical=minute == 81 and identical, whole=True, at=at(minute), actor="ann")
        records = store.reproductions.of(1)
        assert verify_audit(store).sound
        with pytest.raises(UnknownVersionError):
            store.reproductions.record(9, identical=True, whole=True, at=at(82), actor="ann")
    told = found(replace(BARE, version=VERSION, reproduced=records[0]))["Infra 1"]
    assert told.points == points
    assert told.evidence.startswith("ann trained version 3 again at ")
    assert ("the same bytes" if identical else "other bytes") in told.evidence
