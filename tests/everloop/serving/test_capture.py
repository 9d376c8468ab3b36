from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import numpy as np
import pytest

from everloop.serving.capture import (
    MAX_BATCH_BYTES,
    Captured,
    CaptureWriter,
    capture_records,
    captured,
    encode_record,
    lake_timestamp,
)
from everloop.serving.request import RequestParser
from everloop.serving.scores import Scores
from tests.fakes.delivery_stream import FakeFirehose
from tests.helpers.artifacts import row, small_contract
from tests.helpers.requests import rows_in_body

AT = datetime(2013, 3, 1, 5, 0, 0, 7000, tzinfo=UTC)


def records(count: int, text: str = "") -> list[dict[str, object]]:
    return [{"n": i, "text": text} for i in range(count)]


def test_a_record_holds_inputs_output_version_time_and_latency() -> None:
    contract = small_contract()
    body = {"instances": [row("t1"), row("t2", wind=None, operator="")]}
    rows = rows_in_body(RequestParser(contract), json.dumps(body).encode())
    facts: dict[str, Any] = {"version": 7, "request_id": "r", "at": AT, "latency_ms": 1.5}
    calibrated = Scores(np.array([0.7, 0.6]), np.array([0.75, 0.25]), "c0ffee")
    first, second = capture_records(contract, rows, calibrated, **facts)
    assert first == {
        "prediction_id": "r-0",
        "request_id": "r",
        "version": 7,
        "time": "2013-03-01 05:00:00.007",
        "key": "t1",
        "prediction": 1.0,
        "probability": 0.75,
        "latency_ms": 1.5,
        "raw_score": 0.7,
        "calibration_sha256": "c0ffee",
        "distance": 120.0,
        "wind": 3.5,
        "line": "north",
        "operator": "a",
        "day": None,
    }
    assert (second["prediction_id"], second["prediction"]) == ("r-1", 0.0)
    assert (second["wind"], second["operator"], second["day"]) == (None, None, None)
    regression = small_contract(problem_type="regression")
    value = capture_records(regression, rows, Scores.of(np.array([12.5, 3.0]), None), **facts)[0]
    assert (value["prediction"], value["probability"], value["raw_score"]) == (12.5, None, 12.5)
    assert value["calibration_sha256"] is None


def test_records_are_made_when_they_are_read_and_are_the_same_each_time() -> None:
    contract, calls = small_contract(), list[int]()
    rows = rows_in_body(RequestParser(contract), json.dumps({"instances": [row("t1"), row("t2")]}).encode())
    scores = Scores.of(np.array([0.7, 0.6]), None)

    def written(
        others: Sequence[object], places: Sequence[int], masked: frozenset[str]
    ) -> tuple[list[bytes], list[bytes]]:
        assert (list(places), masked) == ([0, 1], frozenset())
        calls.append(len(others))
        return [json.dumps(one).encode() for one in others], [b'"%b"}' % key.encode() for key in rows.keys]

    rows = replace(rows, written=written)
    make = partial(captured, contract, rows, scores, version=7, request_id="r", at=AT, latency_ms=1.5)
    made = Captured(make, "r")
    assert calls == []
    first, again = list(made), list(made)
    assert [json.loads(line)["key"] for line in first if isinstance(line, bytes)] == ["t1", "t2"]
    assert (first, calls) == (again, [3])


def test_lake_time_is_utc() -> None:
    assert lake_timestamp(AT.astimezone(timezone(timedelta(hours=-5)))) == "2013-03-01 05:00:00.007"


def test_records_go_out_in_batches_of_the_services_size() -> None:
    stream = FakeFirehose()
    assert CaptureWriter(stream, "s").write(records(1201)) == []
    assert [len(call) for call in stream.calls] == [500, 500, 201]
    assert [r["n"] for r in stream.taken] == list(range(1201))


def test_large_records_go_out_in_smaller_batches() -> None:
    stream = FakeFirehose()
    CaptureWriter(stream, "s").write(records(10, text="x" * 900_000))
    assert [len(call) for call in stream.calls] == [4, 4, 2]
    assert all(sum(map(len, call)) <= MAX_BATCH_BYTES for call in stream.calls)


def test_refused_records_alone_are_sent_again() -> None:
    stream = FakeFirehose()
    pauses: list[float] = []
    stream.refusals = [{1, 3}, {1}]
    assert CaptureWriter(stream, "s", sleep=pauses.append).write(records(5)) == []
    assert [len(call) for call in stream.calls] == [5, 2, 1]
    assert sorted(r["n"] for r in stream.taken) == [0, 1, 2, 3, 4]
    assert pauses == [0.05, 0.1]


def test_records_refused_to_the_end_come_back_with_the_reason() -> None:
    stream = FakeFirehose()
    stream.refusals = [{2}, {0}, {0}]
    failures = CaptureWriter(stream, "s", sleep=lambda _: None).write(records(3))
    assert [f.record["n"] for f in failures] == [2]
    assert failures[0].reason == "ServiceUnavailableException: slow down"
    assert len(stream.calls) == 3


def test_a_stream_that_is_down_gives_every_record_back() -> None:
    stream = FakeFirehose()
    stream.down = True
    failures = CaptureWriter(stream, "s").write(records(501))
    assert len(failures) == 501
    assert failures[0].reason == "ConnectionError: no route to the stream"


def test_a_record_that_is_no_json_is_never_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_record({"n": float("nan")})
