"""What ``everloop status`` says of a champion: the drift of its scores, and a function that is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from everloop.cli.account import DeployedModel
from everloop.cli.commands.status import _facts
from everloop.cli.operations.status import ModelStatus
from everloop.monitoring.bins import NumberBins
from everloop.monitoring.own_scores import OwnScores
from everloop.monitoring.profile import BinCounts
from everloop.monitoring.reference import SCORE, FeatureReference
from everloop.registry.kept_requests import KeptRequest
from everloop.registry.records import Champion, Run, Window
from everloop.registry.trace import Status
from everloop.retraining.kept import what_became_of
from tests.helpers.window_records import registered, window_record

END = datetime(2013, 3, 22, tzinfo=UTC)
END_TEXT = "2013-03-22T00:00:00Z"
COLLECTING = OwnScores(3, 250, 21, 500, END, END)
COMPLETE = OwnScores(21, 2100, 21, 500, END, END, FeatureReference(NumberBins(()), BinCounts((2100,))))


def told(changes: dict[str, Any] | None) -> dict[str, Any]:
    windows = [] if changes is None else [registered("late_train", END, window_record(**changes))]
    registry = Status("late_train", None, None, None, None, None, None, None, {}, [], [], windows)
    return facts(registry)


def facts(registry: Status, *, champion_gone: bool = False) -> dict[str, Any]:
    deployed = DeployedModel("late_train", *[""] * 9)
    return dict(_facts(ModelStatus(registry, deployed, code_waits=False, champion_gone=champion_gone, alarms=[])))


def test_while_a_score_reference_is_collected_it_says_how_much_there_is() -> None:
    said = told({"not_watched": {SCORE: COLLECTING.sentence}, "score_reference": COLLECTING.as_dict()})
    assert "score drift" not in said
    assert said["not watched"].startswith("prediction: collecting its own score reference, 250 of 500 rows and 3 of 21")


def test_then_it_says_what_the_scores_are_judged_by() -> None:
    said = told({"not_watched": {}, "score_reference": COMPLETE.as_dict()})
    assert said["score drift"] == f"judged by its own first 21 whole days, until {END_TEXT}: 2,100 rows"
    assert "not watched" not in said


def test_of_a_version_with_a_reference_of_its_own_and_of_old_records_it_says_nothing() -> None:
    for changes in ({"not_watched": {}, "score_reference": None}, None):
        assert "score drift" not in told(changes)
        assert told(changes)["own labels"] == "none yet"
    # GIVEN a record of an earlier release, which has none of these keys
    later = ("not_watched", "score_reference", "left_out_rows", "left_out_reason")
    old = {name: value for name, value in window_record().to_document().items() if name not in later}
    windows = [Window("late_train", END, old)]
    registry = Status("late_train", None, None, None, None, None, None, None, {}, [], [], windows)
    assert "score drift" not in facts(registry)
    assert "not watched" not in facts(registry)


def test_of_a_champion_whose_function_is_gone_it_says_what_to_type() -> None:
    champion = Champion("late_train", 3, END, "7", "hash", "r1")
    registry = Status("late_train", champion, None, None, None, None, None, None, {}, [], [], [])
    assert facts(registry)["serves"].startswith("version 3 since")
    said = facts(registry, champion_gone=True)
    assert said["serves"].startswith("nothing: the function of version 3, the champion, is gone")
    assert "`everloop rollout start late_train`" in said["serves"]
    assert {"active run", "predictions", "labels"} <= set(said)


def recalibrated(decision: str, code: str, sentence: str, *, rows: int = 400) -> dict[str, Any]:
    losses = {"windows": 4, "rows": rows, "raw": 0.51 * rows, "calibrated": 0.49 * rows}
    reasons = [{"code": code, "sentence": sentence}]
    document = {"sums": {}, "state": None, "losses": losses, "calibration": None, "in_force": None}
    return {**document, "decision": decision, "reasons": reasons}


def champion_with(recalibration: dict[str, Any] | None) -> ModelStatus:
    champion = Champion("late_train", 3, END, "7", "hash", "r1")
    windows = [registered("late_train", END, window_record(recalibration=recalibration))]
    registry = Status("late_train", champion, None, None, None, None, None, None, {}, [], [], windows)
    return ModelStatus(
        registry, DeployedModel("late_train", *[""] * 9), code_waits=False, champion_gone=False, alarms=[]
    )


def test_where_no_recalibration_is_declared_it_says_what_that_costs() -> None:
    found = champion_with(recalibrated("none", "declared_none", "recalibration: none is declared; over 4 windows"))
    said = dict(_facts(found))["calibration"]
    assert said == (
        "none: what the model says is served; recalibration: none is declared; over 4 windows: that costs 0.02 a row"
    )
    document = found.to_json()["recalibration"]
    assert (document["decision"], document["code"], document["rows"]) == ("none", "declared_none", 400)
    assert document["loss_raw"] - document["loss_recalibrated"] == pytest.approx(0.02)
    # AND nothing of a cost while nothing was learned
    empty = champion_with(recalibrated("none", "declared_none", "recalibration: none is declared; no window", rows=0))
    assert dict(_facts(empty))["calibration"].endswith("declared; no window")
    assert empty.to_json()["recalibration"]["loss_raw"] is None


def test_a_calibration_that_is_held_back_is_told_with_its_reason() -> None:
    found = champion_with(recalibrated("held_back", "held_back", "the function was deployed anew; type something"))
    assert dict(_facts(found))["calibration"].endswith(
        "the last window's is held back: the function was deployed anew; type something"
    )
    for quiet in (champion_with(recalibrated("publish", "learned", "over 4 windows")), champion_with(None)):
        assert dict(_facts(quiet))["calibration"] == "none: what the model says is served"


def test_what_was_asked_for_and_waits_is_said_and_what_was_answered_is_not() -> None:
    trigger = {"kind": "manual", "reason": "new stations", "requested_at": END, "window_end": None}
    asked = [KeptRequest("late_train", name, END, trigger, "the run train-1", "a person") for name in ("one", "two")]
    later = END + timedelta(days=1)
    answered = Run("late_train", "train-2", "train", later, later)
    kept = [what_became_of(asked[0], [], as_of=later), what_became_of(asked[1], [answered], as_of=later)]
    registry = Status("late_train", None, None, None, None, None, None, None, {}, [], [], [])
    found = ModelStatus(registry, DeployedModel("late_train", *[""] * 9), False, False, [], kept)
    (said,) = [value for name, value in _facts(found) if name == "asked for"]
    assert "(new stations): came while nothing could start (the run train-1)" in said
    told: Any = found.to_json()["kept_requests"]
    assert [(one["state"], one["answered_by"]) for one in told] == [("waiting", None), ("answered", "train-2")]
