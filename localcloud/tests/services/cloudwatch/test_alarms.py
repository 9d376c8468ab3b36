"""Alarms change state as CloudWatch says, and cost nothing while nothing arrives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.core.activity import Activity
from localcloud.core.clock import Clock
from localcloud.services.cloudwatch.alarms import (
    ALARM,
    INSUFFICIENT_DATA,
    OK,
    AlarmBoard,
    AlarmSettings,
    Transition,
    judge,
)
from localcloud.services.cloudwatch.metrics import MetricName, MetricStore

START = datetime(2026, 1, 5, tzinfo=UTC)
METRIC = MetricName.of("N", "errors", {})
SETTINGS = AlarmSettings(
    name="errors",
    arn="arn:aws:cloudwatch:us-east-1:123456789012:alarm:errors",
    metric=METRIC,
    statistic="Sum",
    period=300,
    evaluation_periods=1,
    datapoints_to_alarm=1,
    threshold=2.0,
    comparison="GreaterThanThreshold",
    treat_missing="notBreaching",
    alarm_actions=("arn:alarm",),
    ok_actions=("arn:ok",),
)


def points(text: str) -> list[float | None]:
    """Data points as the user guide writes them: 0 not breaching, X breaching, - missing."""
    return [{"0": 0.0, "X": 9.0, "-": None}[mark] for mark in text.split()]


# The tables of "Configuring how CloudWatch alarms treat missing data": three evaluation periods, a range of five.
# The columns are missing, ignore, breaching, notBreaching; "keep" retains the current state.
THREE_OF_THREE = [
    ("0 - X - X", (OK, OK, OK, OK)),
    ("- - - - 0", (OK, OK, OK, OK)),
    ("- - - - -", (INSUFFICIENT_DATA, "keep", ALARM, OK)),
    ("0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
    ("- - X - -", (ALARM, "keep", ALARM, OK)),
]
TWO_OF_THREE = [
    ("0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
    ("0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
    ("0 - X - -", (OK, OK, ALARM, OK)),
    ("- - - - 0", (OK, OK, ALARM, OK)),
    ("- - - X -", (ALARM, "keep", ALARM, OK)),
]
CASES = [
    (needed, marks, treatment, expected)
    for needed, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for marks, row in table
    for treatment, expected in zip(("missing", "ignore", "breaching", "notBreaching"), row, strict=True)
]


@pytest.mark.parametrize(("needed", "marks", "treatment", "expected"), CASES)
@pytest.mark.parametrize("current", [OK, ALARM])
def test_missing_data_is_treated_as_the_user_guide_says(
    needed: int, marks: str, treatment: str, expected: str, current: str
) -> None:
    settings = replace(SETTINGS, evaluation_periods=3, datapoints_to_alarm=needed, treat_missing=treatment)

    judged = judge(settings, points(marks), current)

    assert judged.state == (current if expected == "keep" else expected)


@pytest.mark.parametrize(
    ("comparison", "value", "state"),
    [
        ("GreaterThanThreshold", 2.0, OK),
        ("GreaterThanOrEqualToThreshold", 2.0, ALARM),
        ("LessThanThreshold", 2.0, OK),
        ("LessThanOrEqualToThreshold", 2.0, ALARM),
        ("LessThanThreshold", 1.9, ALARM),
    ],
)
def test_comparisons(comparison: str, value: float, state: str) -> None:
    assert judge(replace(SETTINGS, comparison=comparison), [value], OK).state == state


class Scene:
    """A board with one alarm on a moved clock."""

    def __init__(self, **changes: Any) -> None:
        self.clock = Clock(Activity(), START)
        self.metrics = MetricStore(self.clock.now)
        self.acted: list[tuple[int, str, str]] = []
        self.board = AlarmBoard(self.metrics, self.clock, self._act)
        self.board.put(replace(SETTINGS, **changes))

    def _act(self, transition: Transition, action: str) -> None:
        minutes = int((transition.at - START).total_seconds() // 60)
        self.acted.append((minutes, transition.after, action))

    def put(self, minute: float, value: float) -> None:
        self.advance(minute)
        self.metrics.put(METRIC, value)

    def advance(self, minute: float) -> list[str]:
        return self.clock.advance(START + timedelta(minutes=minute))

    @property
    def state(self) -> str:
        return self.board.alarms()[0].state


def test_an_alarm_follows_its_metric() -> None:
    # GIVEN an alarm above two errors in five minutes
    scene = Scene()
    assert scene.state == INSUFFICIENT_DATA

    # WHEN three errors happen in the second period, and none after
    for minute in (6, 7, 8):
        scene.put(minute, 1.0)
    scene.advance(60)

    # THEN it was OK after the first period, in alarm after the second, OK again once the data was out of sight
    assert scene.acted == [(5, OK, "arn:ok"), (10, ALARM, "arn:alarm"), (25, OK, "arn:ok")]


def test_data_in_each_period_keeps_it_judged() -> None:
    scene = Scene()
    for period, value in enumerate((5.0, 5.0, 0.0, 5.0)):
        scene.put(period * 5 + 1, value)
    scene.advance(20)

    assert [entry[:2] for entry in scene.acted] == [(5, ALARM), (15, OK), (20, ALARM)]


def test_a_quiet_year_is_not_judged_period_by_period() -> None:
    # GIVEN an alarm whose metric had data on the first day
    scene = Scene()
    scene.put(6, 5.0)

    # WHEN a year passes
    ran = scene.advance(60 * 24 * 365)

    # THEN a handful of judgements was enough
    assert len(ran) < 6
    assert scene.state == OK


def test_steady_data_costs_one_judgement_a_period() -> None:
    scene = Scene()
    ran: list[str] = []
    for minute in range(1, 301):
        ran += scene.advance(minute)
        scene.metrics.put(METRIC, 0.0)

    assert len(ran) == 60


def test_disabled_actions_change_state_in_silence() -> None:
    scene = Scene()
    scene.board.enable_actions(["errors"], False)
    scene.put(1, 9.0)
    scene.advance(5)

    assert (scene.state, scene.acted) == (ALARM, [])


def test_a_state_set_by_hand_acts_and_is_judged_again() -> None:
    scene = Scene()
    scene.advance(5)

    scene.board.set_state("errors", ALARM, "a test", None)
    assert scene.state == ALARM
    scene.advance(10)

    assert scene.acted == [(5, OK, "arn:ok"), (5, ALARM, "arn:alarm"), (10, OK, "arn:ok")]


def test_a_deleted_alarm_does_nothing() -> None:
    scene = Scene()
    scene.put(1, 9.0)

    assert scene.board.delete(["errors", "unknown"]) == ["unknown"]
    scene.advance(60)

    assert scene.acted == []


def test_a_changed_alarm_is_judged_by_its_new_settings() -> None:
    scene = Scene()
    scene.put(6, 2.0)
    scene.board.put(replace(SETTINGS, threshold=1.0))
    scene.advance(10)

    assert scene.state == ALARM
