from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest

from everloop.functions.labels.handler import Services, act
from everloop.serving.capture import CaptureWriter
from everloop.serving.labels import LabelRules
from tests.fakes.delivery_stream import FakeFirehose
from tests.helpers.http_events import EPOCH_MS, http_event, rest_event

PATH = "/models/late_train/labels"


@pytest.fixture
def stream() -> FakeFirehose:
    return FakeFirehose()


@pytest.fixture
def services(stream: FakeFirehose) -> Services:
    writer = CaptureWriter(stream, "labels", sleep=lambda _: None)
    return Services("late_train", LabelRules(is_binary=True), writer)


def post(services: Services, document: Any, **options: Any) -> tuple[int, dict[str, Any]]:
    answer = act(http_event(document, path=PATH, **options), services)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("in_base64", [False, True])
def test_labels_reach_the_stream_with_the_instant_of_the_event(
    services: Services, stream: FakeFirehose, capsys: pytest.CaptureFixture[str], in_base64: bool
) -> None:
    labels = [{"prediction_id": "req-1-0", "label": 1}, {"key": "t2", "label": 0}]
    assert post(services, {"labels": labels}, in_base64=in_base64) == (202, {"accepted": 2})
    assert [(r["prediction_id"], r["key"], r["label"]) for r in stream.taken] == [
        ("req-1-0", None, 1.0),
        (None, "t2", 0.0),
    ]
    assert {r["time"] for r in stream.taken} == {"2013-03-01 05:00:00.007"}
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["LabelsAccepted"] == 2
    assert {"LabelsNotStored", "Faults"}.isdisjoint(metrics), "each costs something in an hour in which it is sent"
    assert metrics["_aws"]["Timestamp"] == EPOCH_MS


LABEL = b'{"labels": [{"key": "t2", "label": 0}]}'


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(LABEL)), ("deflate", zlib.compress(LABEL)), ("deflate", zlib.compress(LABEL)[2:-4])],
)
def test_labels_may_come_compressed(services: Services, stream: FakeFirehose, encoding: str, body: bytes) -> None:
    headers = {"content-encoding": encoding, "content-type": "Application/JSON; charset='Utf-8'"}
    assert post(services, body, headers=headers) == (202, {"accepted": 1})
    assert [r["key"] for r in stream.taken] == ["t2"]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("content-type", "text/csv"),
        ("content-type", "application/json; charset=latin1"),
        ("content-encoding", "br"),
        ("content-encoding", "gzip, gzip"),
    ],
)
def test_labels_of_another_type_are_named(services: Services, stream: FakeFirehose, header: str, value: str) -> None:
    status, document = post(services, LABEL, headers={header: value})
    assert (status, document["error"]["code"]) == (415, "unsupported_media_type")
    assert value.rpartition("=")[2] in document["error"]["message"]
    assert stream.taken == []


def test_the_same_request_again_sends_the_same_labels(services: Services, stream: FakeFirehose) -> None:
    for _ in range(2):
        post(services, {"labels": [{"key": "t2", "label": 0}]})
    assert stream.taken[0] == stream.taken[1]


def test_one_malformed_label_refuses_all(services: Services, stream: FakeFirehose) -> None:
    status, document = post(services, {"labels": [{"key": "t1", "label": 1}, {"key": "t2", "label": "1"}]})
    assert status == 400
    assert document["error"] == {
        "code": "wrong_type",
        "message": "'label' is a string; send a number",
        "field": "label",
        "index": 1,
    }
    assert stream.taken == []


def test_labels_the_stream_does_not_take_are_not_called_accepted(
    services: Services, stream: FakeFirehose, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    stream.refusals = [{1}, {0}, {0}]
    status, document = post(services, {"labels": [{"key": "t1", "label": 1}, {"key": "t2", "label": 1}]})
    assert (status, document["error"]["code"]) == (503, "labels_not_stored")
    assert "1 of 2" in document["error"]["message"]
    metrics = json.loads(capsys.readouterr().out)
    assert (metrics["LabelsNotStored"], metrics["Faults"]) == (1, 1)
    assert [(entry.levelname, entry.message) for entry in caplog.records] == [("ERROR", "labels_not_stored")]


@pytest.mark.parametrize(
    ("document", "options"),
    [
        ({"labels": [{"key": "t1", "label": 1}, {"prediction_id": "req-1-0", "label": 0}]}, {}),
        (
            {"labels": [{"key": "t\u00e4\u20ac", "label": 1}]},
            {"headers": {"content-type": "application/json; charset=utf-8"}},
        ),
        (gzip.compress(LABEL), {"headers": {"content-encoding": "gzip"}}),
        (b"\xff", {}),
        ("", {}),
        ({"labels": []}, {}),
    ],
)
def test_a_rest_api_s_labels_are_taken_as_an_http_api_s(document: Any, options: dict[str, Any]) -> None:
    answers, taken = [], []
    for event in (http_event, rest_event):
        stream = FakeFirehose()
        using = Services("late_train", LabelRules(is_binary=True), CaptureWriter(stream, "labels"))
        answers.append(act(event(document, path=PATH, **options), using))
        taken.append(stream.taken)
    assert answers[0] == answers[1]
    assert taken[0] == taken[1]
