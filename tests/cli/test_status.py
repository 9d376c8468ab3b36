"""What ``everloop status`` says of a champion: the drift of its scores, and a function that no longer exists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from everloop.cli.account import DeployedModel
from everloop.cli.commands.status import _facts
from everloop.cli.operations.endpoints import RunningEndpoint
from everloop.cli.operations.status import ModelStatus
from everloop.documents.records import Trigger
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
    of_its_own: dict[str, Any] = {"not_watched": {}, "score_reference": None}
    for changes in (of_its_own, None):
        assert "score drift" not in told(changes)
        assert told(changes)["own labels"] == "none yet"
    # GIVEN a record of an earlier release, which has none of these keys
    later = ("not_watched", "score_reference", "left_out_rows", "left_out_reason")
    old = {name: value for name, value in window_record().to_document().items() if name not in later}
    windows = [Window("late_train", END, old)]
    registry = Status("late_train", None, None, None, None, None, None, None, {}, [], [], windows)
    assert "score drift" not in facts(registry)
    assert "not watched" not in facts(registry)


def test_what_decisions_cost_by_the_labels_is_told() -> None:
    cost = {"value": 33.5, "low": 12.0, "high": 55.25, "reason": ""}
    money = {"currency": "EUR", "threshold": 0.5, "windows": 7, "rows": 2100, "champion": cost}
    champion = Champion("late_train", 3, END, "7", "hash", "r1")

    def said(**all_alike: float | None) -> Any:
        windows = [registered("late_train", END, window_record(money={**money, **all_alike}))]
        registry = Status("late_train", champion, None, None, None, None, None, None, {}, [], [], windows)
        return facts(registry)["money by labels"]

    told = "1,000 decisions cost 33.50 EUR (95%: 12.00 to 55.25), on 2,100 rows of 7 windows"
    assert said(nobody=None, everybody=None) == told
    assert said(nobody=400.0, everybody=-20.0) == f"{told}; acting on nobody 400.00 EUR, on everybody -20.00 EUR"


def test_of_a_champion_whose_function_is_gone_it_says_what_to_type() -> None:
    champion = Champion("late_train", 3, END, "7", "hash", "r1")
    registry = Status("late_train", champion, None, None, None, None, None, None, {}, [], [], [])
    assert facts(registry)["serves"].startswith("version 3 since")
    said = facts(registry, champion_gone=True)
    assert said["serves"].startswith("nothing: the function of version 3, the champion, was deleted")
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
        "none: raw scores are served; recalibration: none is declared; over 4 windows: that costs 0.02 per row"
    )
    document: Any = found.to_json()["recalibration"]
    assert (document["decision"], document["code"], document["rows"]) == ("none", "declared_none", 400)
    assert document["loss_raw"] - document["loss_recalibrated"] == pytest.approx(0.02)
    # AND nothing of a cost while nothing was learned
    empty = champion_with(recalibrated("none", "declared_none", "recalibration: none is declared; no window", rows=0))
    assert dict(_facts(empty))["calibration"].endswith("declared; no window")
    document = empty.to_json()["recalibration"]
    assert document["loss_raw"] is None


def test_a_calibration_that_is_held_back_is_told_with_its_reason() -> None:
    found = champion_with(recalibrated("held_back", "held_back", "the function was deployed anew; type something"))
    assert dict(_facts(found))["calibration"].endswith(
        "the last window's calibration is held back: the function was deployed anew; type something"
    )
    for quiet in (champion_with(recalibrated("publish", "learned", "over 4 windows")), champion_with(None)):
        assert dict(_facts(quiet))["calibration"] == "none: raw scores are served"


def test_why_no_group_is_served_apart_is_told() -> None:
    groups = {"by": {"feature": "line", "values": ["north"]}, "groups": None, "fairness": None}
    why = "the selection rate gap by line would be 0.3, and 0.2 is declared"
    found = champion_with({**recalibrated("none", "nothing_new", "over"), "groups": {**groups, "withheld": why}})
    assert dict(_facts(found))["calibration"].endswith(f"by the last window no group is served apart: {why}")
    document: Any = found.to_json()["recalibration"]
    assert document["withheld"] == why


def test_what_was_asked_for_and_waits_is_said_and_what_was_answered_is_not() -> None:
    trigger: Trigger = {"kind": "manual", "reason": "new stations", "requested_at": END, "window_end": None}
    asked = [KeptRequest("late_train", name, END, trigger, "the run train-1", "a person") for name in ("one", "two")]
    later = END + timedelta(days=1)
    answered = Run("late_train", "train-2", "train", later, later)
    kept = [what_became_of(asked[0], [], as_of=later), what_became_of(asked[1], [answered], as_of=later)]
    registry = Status("late_train", None, None, None, None, None, None, None, {}, [], [], [])
    found = ModelStatus(registry, DeployedModel("late_train", *[""] * 9), False, False, [], kept)
    (said,) = [value for name, value in _facts(found) if name == "asked for"]
    assert "(new stations): nothing could start (the run train-1)" in said
    told: Any = found.to_json()["kept_requests"]
    assert [(one["state"], one["answered_by"]) for one in told] == [("waiting", None), ("answered", "train-2")]


SUMS = {
    **dict.fromkeys(("days", "rows", "inside", "inside_squares", "inside_rows", "rows_squares"), 0),
    **{"width": 0.0, "outside": 0.0},
}


def test_how_intervals_did_is_said_in_a_line() -> None:
    figures: dict[str, Any] = {"rows": 600, "windows": 3, "low": 0.87, "high": 0.94, "mean_width": 7.5, "score": 9.0}
    spread: dict[str, Any] = {
        "interval": {"coverage": 0.9, "below": 2.0, "above": 4.0},
        "served": {**figures, "coverage": 0.91},
        "raw": {**figures, "coverage": 0.7, "score": 14.0},
        **{"sums": {}, "state": {}, "factors": [1.0, 1.0], "told": {"served": SUMS, "raw": SUMS}},
    }
    found = champion_with({**recalibrated("publish", "learned", "over 3 windows"), "spread": spread})
    facts = dict(_facts(found))
    assert facts["intervals"] == (
        "intervals of 0.9 held 0.910 (0.870 to 0.940) of the outcomes of 3 labelled windows (600 rows), and would have"
        " held 0.700 as they were at birth; their mean score is 9, and 14"
    )
    document: Any = found.to_json()["recalibration"]
    assert document["intervals"] == facts["intervals"]
    plain = champion_with(recalibrated("publish", "learned", "over 3 windows"))
    assert "intervals" not in dict(_facts(plain))


@pytest.mark.parametrize(("served_by", "asked"), [("7", False), ("everloop-late-train-v3-aaaaaa-bbbbbb", True)])
def test_what_an_endpoint_runs_is_told_and_that_nobody_asks_it(served_by: str, asked: bool) -> None:
    champion = Champion("late_train", 3, END, served_by, "hash", "r1")
    registry = Status("late_train", champion, None, None, None, None, None, None, {}, [], [], [])
    deployed = DeployedModel("late_train", *[""] * 9)
    endpoint = RunningEndpoint("everloop-late-train", "InService", {"everloop-late-train-v3-aaaaaa-bbbbbb": 2})
    found = ModelStatus(registry, deployed, code_waits=False, champion_gone=False, alarms=[], endpoint=endpoint)
    told = dict(_facts(found))["endpoint"]
    assert told.startswith("everloop-late-train is InService: everloop-late-train-v3-aaaaaa-bbbbbb on 2 instances")
    assert ("aws sagemaker delete-endpoint" in told) is not asked
    document: Any = found.to_json()["endpoint"]
    assert document["status"] == "InService"


def test_the_endpoints_of_versions_are_told_and_which_of_them_serves() -> None:
    champion = Champion("late_train", 3, END, "7", "hash", "r1")
    registry = Status("late_train", champion, None, None, None, None, None, None, {}, [], [], [])
    serving, other = (f"everloop-late-train-v{number}-aaaaaa-bbbbbb" for number in (3, 2))
    found = ModelStatus(
        registry,
        DeployedModel("late_train", *[""] * 9),
        code_waits=False,
        champion_gone=False,
        alarms=[],
        serverless={other: "", serving: "function version 7, the champion"},
    )
    told = [fact[1] for fact in _facts(found) if fact[0] == "serverless"]
    assert told == [other, f"{serving}: function version 7, the champion"]
    assert found.to_json()["serverless"] == found.serverless
