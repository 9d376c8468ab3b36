"""What counts as a difference between what is deployed and what the registry says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from everloop.registry.records import Champion, Rollout, Version
from everloop.registry.states import State
from everloop.rollout.differences import Expected, Seen, Told, differences, expected_traffic, registered_files
from everloop.rollout.targets import TrafficState

AT = datetime(2013, 3, 1, tzinfo=UTC)
FIRST = Rollout(
    model="flights",
    rollout_id="r1",
    run_id="r1",
    kind="version",
    version=1,
    lambda_version="11",
    code_sha256="c",
    fallback_lambda_version="10",
    started_at=AT,
    status="completed",
)
SECOND = replace(
    FIRST,
    rollout_id="r2",
    version=2,
    lambda_version="12",
    fallback_lambda_version="11",
    previous_version=1,
    previous_lambda_version="11",
    status="canary",
    step_index=0,
    percent=5.0,
)
CHAMPION = Champion("flights", 1, AT, "11", "c", "r1")
VERSION = Version(
    "flights",
    1,
    State.PRODUCTION,
    "r1",
    "s",
    "artifacts/flights/000001/",
    "m" * 64,
    "c",
    AT,
    AT,
    files={"model.onnx": {"sha256": "f" * 64, "bytes": 3}, "report.json": {"sha256": "r" * 64, "bytes": 3}},
)
SERVING = Told(CHAMPION, (FIRST,), (VERSION,))
IN_CANARY = Told(CHAMPION, (SECOND, FIRST), (VERSION,))
NOTHING = Told(None)
TO_THE_CHAMPION = Seen(TrafficState("11", None, 0.0))


def codes(told: Told, seen: Seen) -> list[str]:
    return [reason.code for reason in differences(told, seen)]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (NOTHING, Expected(None)),
        (SERVING, Expected("11")),
        (IN_CANARY, Expected("11", "12", 5.0)),
        (replace(IN_CANARY, rollouts=(replace(SECOND, step_index=-1, percent=None), FIRST)), Expected("11")),
        (replace(IN_CANARY, rollouts=(replace(SECOND, lambda_version="11"), FIRST)), Expected("11")),
        (Told(replace(CHAMPION, lambda_version="12"), (replace(SECOND, status="baking"), FIRST)), Expected("12")),
        (Told(None, (replace(FIRST, status="canary", step_index=0),)), Expected(None)),
        (Told(None, (replace(FIRST, status="rolled_back"),)), Expected(None)),
    ],
)
def test_the_registry_says_where_requests_go(told: Told, expected: Expected) -> None:
    assert expected_traffic(told) == expected


@pytest.mark.parametrize(
    ("told", "traffic"),
    [
        (NOTHING, TrafficState("$LATEST", None, 0.0, pinned=False)),
        (Told(None, (replace(FIRST, status="rolled_back"),)), TrafficState("10", None, 0.0)),
        (SERVING, TrafficState("11", None, 0.0)),
        (IN_CANARY, TrafficState("11", "12", 5.0000001)),
    ],
)
def test_what_is_as_it_should_be_differs_in_nothing(told: Told, traffic: TrafficState) -> None:
    assert codes(told, Seen(traffic)) == []


@pytest.mark.parametrize(
    ("told", "traffic", "sentence"),
    [
        (SERVING, TrafficState("9", None, 0.0), "requests go to 9 (which no rollout published); by the registry"),
        (SERVING, TrafficState("11", "9", 20.0), "11 (version 1) (80%) and 9 (which no rollout published) (20%)"),
        (SERVING, TrafficState("10", None, 0.0), "requests go to 10 (which serves nothing)"),
        (SERVING, TrafficState("$LATEST", None, 0.0, pinned=False), "requests go to $LATEST"),
        (IN_CANARY, TrafficState("11", "12", 80.0), "go to 11 (version 1) (95%) and 12 (version 2) (5%)"),
        (IN_CANARY, TrafficState("12", None, 0.0), "requests go to 12 (version 2); by"),
        (NOTHING, TrafficState("3", None, 0.0), "they go to nothing, as there is no champion"),
    ],
)
def test_traffic_that_was_moved_is_named_both_ways(told: Told, traffic: TrafficState, sentence: str) -> None:
    (found,) = differences(told, Seen(traffic))
    assert found.code == "traffic_moved"
    assert sentence in found.sentence


def test_a_champion_whose_function_version_is_gone_is_one_difference() -> None:
    seen = Seen(TrafficState("$LATEST", None, 0.0, pinned=False), champion_there=False)
    assert codes(SERVING, seen) == ["champion_gone"]


def test_one_that_serves_something_else_is_another() -> None:
    assert codes(SERVING, replace(TO_THE_CHAMPION, champion_as_registered=False)) == ["other_artifact"]


def test_a_model_that_waits_to_be_moved_is_not_judged_by_where_it_will_serve() -> None:
    moving = replace(CHAMPION, lambda_version="everloop-flights-v1-aaaaaa-bbbbbb")
    seen = Seen(TrafficState("14", None, 0.0), champion_elsewhere=True, variants=(moving.lambda_version,))
    assert codes(replace(SERVING, champion=moving), seen) == []


@pytest.mark.parametrize(("found", "code"), [(None, "artifact_gone"), ("e" * 64, "artifact_changed")])
def test_files_that_are_not_the_registered_ones(found: str | None, code: str) -> None:
    seen = replace(TO_THE_CHAMPION, files={"artifacts/flights/000001/model.onnx": found})
    assert codes(SERVING, seen) == [code]


def test_only_what_serving_reads_is_read() -> None:
    assert registered_files([VERSION]) == {
        "artifacts/flights/000001/manifest.json": "m" * 64,
        "artifacts/flights/000001/model.onnx": "f" * 64,
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aliases": ("mine",)}, "unknown_alias"),
        ({"endpoint": "everloop-flights", "variants": ("by-hand",)}, "unknown_variant"),
        ({"endpoint": "everloop-flights", "variants": ("12",)}, "unknown_variant"),
        ({"endpoint": "everloop-flights", "variants": ()}, "idle_endpoint"),
    ],
)
def test_what_no_rollout_made(changes: dict[str, Any], code: str) -> None:
    assert codes(SERVING, replace(TO_THE_CHAMPION, **changes)) == [code]


def test_variants_that_a_run_brings_up_are_nobodys_fault() -> None:
    seen = replace(TO_THE_CHAMPION, endpoint="everloop-flights", variants=("11", "coming"))
    assert codes(replace(SERVING, running=True), seen) == []
    assert codes(replace(SERVING, calibrated=frozenset({"coming"})), seen) == []
    assert codes(SERVING, seen) == ["unknown_variant"]
