from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from everloop.instants import parse_instant
from everloop.json_text import canonical_json
from everloop.registry import keys
from everloop.registry.calibration_records import CalibrationRecord
from everloop.registry.exceptions import CorruptRecordError
from everloop.registry.records import Rollout, Run, Version
from everloop.registry.states import State
from tests.helpers.registry_scenes import BEGIN

VERSION = Version(
    model="flights",
    version=7,
    state=State.STAGING,
    run_id="train-1",
    snapshot_hash="s1",
    artifact_prefix="artifacts/flights/000007/",
    manifest_sha256="m",
    code_sha256="c",
    created_at=BEGIN,
    state_since=BEGIN,
    metrics={"log_loss": 0.1 + 0.2, "none": None, "small": 5e-324},  # type: ignore[dict-item]  # items of any release
)


def test_a_record_reads_back_as_it_was_written() -> None:
    assert Version.from_item(VERSION.to_item()) == VERSION


def test_what_may_be_none_is_left_out_and_reads_back_as_none() -> None:
    # GIVEN a calibration of a version of which no labelled row is known yet
    record = CalibrationRecord(
        model="m",
        version=4,
        window_end=BEGIN,
        learned_until=BEGIN,
        calibration="{}",
        calibration_sha256="a" * 64,
        days=0,
        rows=0,
        loss_raw=None,
        loss_recalibrated=None,
        max_shift=8.0,
        lambda_version="5",
        code_sha256="c",
        at=BEGIN,
        actor="monitor",
    )
    # WHEN and THEN it is written without its losses, and is the same when it is read
    item = record.to_item()
    assert not {"loss_raw", "loss_recalibrated"} & item.keys()
    assert CalibrationRecord.from_item(item) == record


def test_a_version_stands_in_both_indexes() -> None:
    item = VERSION.to_item()
    assert item["sk"] == {"S": "VERSION#000007"}
    assert item["state_pk"] == {"S": "STATE#staging"}
    assert item["state_sk"] == {"S": "flights#000007"}
    assert item["snapshot_pk"] == {"S": "SNAPSHOT#s1"}
    assert item["snapshot_sk"] == {"S": "flights#VERSION#000007"}


@pytest.mark.parametrize("text", ["2013-03-01T00:00:00Z", "2013-03-01T00:00:00.000Z", "2013-03-01T02:00:00+02:00"])
def test_an_instant_is_an_instant_and_is_written_as_it_came(text: str) -> None:
    item = VERSION.to_item() | {"created_at": {"S": text}}
    version = Version.from_item(item)
    assert version.created_at == BEGIN
    assert replace(version, reason=None).to_item() == item
    assert version.to_json()["created_at"] == text


@pytest.mark.parametrize("put", ["2013-03-01T00:00:00Z", 5])
def test_what_is_no_instant_is_not_written_as_one(put: Any) -> None:
    with pytest.raises(CorruptRecordError, match=r"'created_at' is .*, not an instant"):
        replace(VERSION, created_at=put).to_item()


def test_fractions_are_kept() -> None:
    rollout = Rollout(
        model="flights",
        rollout_id="r",
        run_id="r",
        kind="version",
        version=7,
        lambda_version="3",
        code_sha256="c",
        fallback_lambda_version="2",
        started_at=BEGIN,
        percent=12.5,
    )
    assert Rollout.from_item(rollout.to_item()).percent == 12.5


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"state": {"S": "flying"}}, "flying"),
        ({"metrics": {"S": "{"}}, "Expecting"),
        ({"metrics": {"S": '{"b": 1}'}}, "canonical"),
        ({"metrics": {"S": '{"b":1,"b":1}'}}, "canonical"),
        ({"metrics": {"S": "[]"}}, "'metrics' is list, not dict"),
        ({"run_id": {"M": {}}}, "type M"),
        ({"run_id": {"N": "1"}}, "'run_id' is int, not str"),
        ({"created_at": {"S": "yesterday"}}, "created_at: 'yesterday' is not an ISO 8601 instant"),
        ({"state_since": {"S": "2013-03-01T00:00:00"}}, "has no UTC offset"),
        ({"version": {"S": "7"}}, "'version' is str, not int"),
        ({"version": {"N": "8"}}, "its sk is {'S': 'VERSION#000007'}"),
        ({"model": {"S": "loans"}}, "its pk is {'S': 'MODEL#flights'}"),
        ({"snapshot_pk": {"S": "SNAPSHOT#s2"}}, "belongs to SNAPSHOT#s1"),
    ],
)
def test_an_item_that_is_no_such_record_is_refused_with_its_key(change: dict[str, Any], named: str) -> None:
    with pytest.raises(CorruptRecordError, match="VERSION#000007") as refused:
        Version.from_item(VERSION.to_item() | change)
    assert named in str(refused.value)


def test_an_item_that_lacks_something_is_refused() -> None:
    item = VERSION.to_item()
    del item["manifest_sha256"]
    with pytest.raises(CorruptRecordError, match="manifest_sha256"):
        Version.from_item(item)


def test_a_word_of_a_newer_release_makes_no_record_unreadable() -> None:
    run = Run("flights", "train-1", "train", BEGIN, BEGIN, trigger={"kind": "x", "window_end": BEGIN})
    item = run.to_item() | {"trigger": {"S": '{"kind":7,"more":[1],"window_end":"2013-03-01T00:00:00Z"}'}}
    assert Run.from_item(item).trigger == {"kind": 7, "more": [1], "window_end": BEGIN}


@pytest.mark.parametrize("text", ["soon", "", "2013-03-01T05:00:00"])
def test_a_trigger_of_an_older_release_keeps_a_text_that_names_no_instant(text: str) -> None:
    run = Run("flights", "train-1", "train", BEGIN, BEGIN, trigger={"kind": "x", "requested_at": text})
    item = run.to_item()
    assert item["trigger"] == {"S": f'{{"kind":"x","requested_at":"{text}"}}'}
    assert Run.from_item(item) == Run.from_json(run.to_json()) == run


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"run_id": None}, "missing"),
        ({"run_id": 5}, "'run_id' is int, not str"),
        ({"trigger": "manual"}, "'trigger' is str, not dict"),
        ({"trained": "yes"}, "'trained' is str, not bool"),
    ],
)
def test_a_record_that_came_as_json_is_whole_or_none(change: dict[str, Any], named: str) -> None:
    run = Run("flights", "train-1", "train", BEGIN, BEGIN, trigger={"kind": "x"})
    assert Run.from_json(run.to_json()) == run
    # A newer function may say more.
    assert Run.from_json({**run.to_json(), "since": "later"}) == run
    document = {name: value for name, value in {**run.to_json(), **change}.items() if name != "run_id" or value}
    with pytest.raises(CorruptRecordError, match=f"not a valid Run: .*{named}"):
        Run.from_json(document)
    with pytest.raises(CorruptRecordError, match="None is not a valid Run"):
        Run.from_json(None)


def test_keys_sort_as_what_they_name() -> None:
    assert keys.version(9) < keys.version(10) < keys.version(100)
    assert keys.audit(9) < keys.audit(10)
    assert keys.window(BEGIN) < keys.window(BEGIN + timedelta(milliseconds=500))
    assert keys.window(parse_instant("2013-03-01T05:00:00+02:00")) == "WINDOW#2013-03-01T03:00:00.000Z"


def test_json_has_one_text_and_no_nan() -> None:
    assert canonical_json({"b": 1, "a": [0.5, "ü"]}) == '{"a":[0.5,"ü"],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
