"""What callers asked in a rollout, out of a lake, and both versions' answers to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pytest

from everloop.dataset.exceptions import QueryFailedError
from everloop.registry.records import Rollout
from everloop.rollout.answered import Answered, Answering, Captured
from everloop.rollout.answered_query import FIRST_QUOTA, SETTLED
from everloop.rollout.targets import AskedAnswer, Question, RolloutTarget
from tests.helpers.declarations import binary_document, declare
from tests.helpers.watched_lake import WatchedLake, WatchedRows, draw

DECLARATION = declare(binary_document())
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ROLLOUT = Rollout(
    model=DECLARATION.model,
    rollout_id="train-2",
    run_id="train-2",
    kind="version",
    version=2,
    lambda_version="12",
    code_sha256="c",
    fallback_lambda_version="11",
    started_at=BEGIN,
    previous_version=1,
    previous_lambda_version="11",
    previous_code_sha256="c",
)


@dataclass
class Versions:
    """Answers 0.9 by the candidate and 0.1 by the champion; refuses requests that hold a distance it was told."""

    refuses: float | None = None
    falls_back: bool = False
    asked: list[tuple[str, int]] = field(default_factory=list)

    def ask(self, lambda_version: str, question: Question) -> AskedAnswer:
        instances = json.loads(question.body)["instances"]
        self.asked.append((lambda_version, len(instances)))
        if self.refuses in [instance.get("distance") for instance in instances]:
            return AskedAnswer(422, {"error": {}})
        score = {"12": 0.9, "11": 0.1}[lambda_version]
        document = {"predictions": [{"prediction": 1, "probability": score}] * len(instances)}
        return AskedAnswer(200, {**document, **({"fallback": "value"} if self.falls_back else {})})


@pytest.fixture
def lake() -> WatchedLake:
    return WatchedLake(DECLARATION)


def some(count: int) -> WatchedRows:
    return draw(np.random.default_rng(3), count)


def seen(
    query: Callable[[str], Any],
    versions: Versions,
    *,
    at: datetime,
    phase: datetime = BEGIN,
    labelled: bool = False,
    ends: bool = True,
    rollout: Rollout = ROLLOUT,
) -> Answered:
    answering = Answering(DECLARATION, query, labelled)
    return answering.seen(cast("RolloutTarget", versions), rollout, phase=phase, at=at, ends=ends)


def test_each_row_is_answered_by_both_versions(lake: WatchedLake) -> None:
    # GIVEN what both versions answered, of which a delivery was repeated, and what another one did
    ours, theirs = some(3), some(4)
    lake.capture(ours, BEGIN + MINUTE, version=2)
    lake.capture(theirs, BEGIN + 2 * MINUTE, version=1)
    lake.repeat_delivery()
    lake.capture(some(2), BEGIN + MINUTE, version=3)
    lake.capture(some(2), BEGIN - MINUTE, version=1)
    # WHEN it is looked at
    versions = Versions()
    found = seen(lake.rows, versions, at=BEGIN + HOUR)
    # THEN each row is there once, in the order of time, with the other version's score
    assert [(row.by_candidate, row.at) for row in found.rows] == [(True, 60_000)] * 3 + [(False, 120_000)] * 4
    assert [row.ours for row in found.rows] == [*ours.scores.tolist(), *[0.9] * 4]
    assert [row.theirs for row in found.rows] == [*[0.1] * 3, *theirs.scores.tolist()]
    assert sorted(versions.asked) == [("11", 3), ("12", 4)]
    # AND whether they decide it otherwise: the other version says 1 to each
    assert [row.disagree for row in found.rows] == [row.prediction != 1 for row in found.rows]
    assert {row.disagree for row in found.rows} == {True, False}


def test_what_is_not_delivered_yet_waits(lake: WatchedLake) -> None:
    lake.capture(some(3), BEGIN + 30 * MINUTE, version=1)
    assert seen(lake.rows, Versions(), at=BEGIN + 50 * MINUTE).rows == []
    assert len(seen(lake.rows, Versions(), at=BEGIN + 51 * MINUTE).rows) == 3
    asked: list[str] = []
    early = seen(asked.append, Versions(), at=BEGIN + SETTLED)
    assert (early.rows, asked) == ((), [])
    assert "20 minutes later" in early.why_not


def test_the_lake_is_asked_once_in_a_quarter_of_an_hour_and_versions_once_for_a_row(lake: WatchedLake) -> None:
    lake.capture(some(3), BEGIN + MINUTE, version=1)
    queries, versions = [], Versions()

    def counted(query: str) -> list[Captured]:
        queries.append(query)
        return lake.rows(query)

    answering = Answering(DECLARATION, counted, labelled=False)
    for minutes in range(31, 60):
        if minutes == 40:
            lake.capture(some(2), BEGIN + 20 * MINUTE, version=1)
        at = BEGIN + minutes * MINUTE
        answering.seen(cast("RolloutTarget", versions), ROLLOUT, phase=BEGIN, at=at, ends=False)
    assert len(queries) == 2
    assert versions.asked == [("12", 3), ("12", 2)]


def test_a_row_that_the_other_version_refuses_is_told_and_takes_no_other_with_it(lake: WatchedLake) -> None:
    rows = some(9)
    lake.capture(rows, BEGIN + MINUTE, version=1)
    distance = next(float(d) for d in rows.features["distance"] if not np.isnan(d))
    found = seen(lake.rows, Versions(refuses=distance), at=BEGIN + HOUR)
    assert (len(found.rows), found.unanswered) == (8, 1)


def test_what_a_fallback_answers_is_no_answer_of_the_version(lake: WatchedLake) -> None:
    lake.capture(some(3), BEGIN + MINUTE, version=1)
    found = seen(lake.rows, Versions(falls_back=True), at=BEGIN + HOUR)
    assert (found.rows, found.unanswered) == ([], 3)


@pytest.mark.slow
def test_the_sample_grows_with_time_and_not_with_traffic(lake: WatchedLake) -> None:
    for minutes in (1, 16, 31):
        lake.capture(some(FIRST_QUOTA + 100), BEGIN + minutes * MINUTE, version=1)
    found = seen(lake.rows, Versions(), at=BEGIN + 2 * HOUR)
    slots = [row.at // (15 * 60_000) for row in found.rows]
    assert [slots.count(slot) for slot in range(3)] == [FIRST_QUOTA, FIRST_QUOTA // 2, FIRST_QUOTA // 3]


@pytest.mark.parametrize("by_key", [False, True])
def test_the_label_that_came_first_counts(lake: WatchedLake, by_key: bool) -> None:
    # GIVEN rows of the phase before, and of this one; labels before this phase, in it, corrected, and none
    phase = BEGIN + 2 * HOUR
    early = lake.capture(some(3), BEGIN + MINUTE, version=2)
    late = lake.capture(some(2), phase + MINUTE, version=1)
    lake.label(early[:1], np.array([1.0]), BEGIN + HOUR, by_key=by_key)
    lake.label(early[1:2], np.array([1.0]), phase + 2 * MINUTE, by_key=by_key)
    lake.label(early[1:2], np.array([0.0]), phase + 3 * MINUTE, by_key=by_key)
    lake.label(late[:1], np.array([0.0]), phase + 9 * MINUTE, by_key=by_key)
    # WHEN this phase is looked at
    found = seen(lake.rows, Versions(), at=phase + HOUR, phase=phase, labelled=True)
    # THEN it has the labels that came in it, and the phase's own rows without one
    told = [(row.at < 0, row.label, row.labelled_at) for row in found.rows]
    assert told == [(True, 1.0, 120_000), (False, 0.0, 540_000), (False, None, -1)]


def test_a_lake_that_can_not_be_asked_is_waited_for_until_the_phase_ends() -> None:
    def failing(query: str) -> list[Captured]:
        raise QueryFailedError("out of capacity")

    assert "out of capacity" in seen(failing, Versions(), at=BEGIN + HOUR, ends=False).why_not
    with pytest.raises(QueryFailedError):
        seen(failing, Versions(), at=BEGIN + HOUR)


@pytest.mark.parametrize(("previous", "why"), [(None, "nothing served before"), (2, "under other code")])
def test_where_there_is_nothing_to_compare_nothing_is_asked(previous: int | None, why: str) -> None:
    found = seen(pytest.fail, Versions(), at=BEGIN + HOUR, rollout=replace(ROLLOUT, previous_version=previous))
    assert why in found.why_not
