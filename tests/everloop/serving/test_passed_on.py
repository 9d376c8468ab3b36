"""What the prediction function passes on comes back as if the function had answered by itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from everloop.functions.predict.handler import Environment, Predictor
from everloop.names import UNSEEN
from everloop.server.application import Application
from everloop.server.metrics import ServerMetrics
from everloop.serving.artifact import Artifact, verified_artifact
from everloop.serving.capture import CaptureWriter
from everloop.serving.labels import LabelRules, parse_labels
from everloop.serving.passed_on import Invoked, PassingOn
from everloop.serving.passed_request import PASSED_ON, decode_request
from everloop.serving.service import PredictionService
from tests.fakes.delivery_stream import FakeFirehose
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact, row, small_model
from tests.helpers.http_events import http_event

VARIANT = "everloop-late-train-v7-abcdef-abcdef"


class Container:
    """The server of a version, asked as SageMaker asks a container."""

    def __init__(self, stored: StoredArtifact, stream: FakeFirehose, queue: int = 4) -> None:
        artifact: Artifact = verified_artifact(
            lambda name: stored.objects[PREFIX + name], stored.manifest_sha256, calibration=""
        )
        writer = CaptureWriter(stream, "predictions", sleep=lambda _: None)
        service = PredictionService(MODEL, lambda: artifact, writer, time.perf_counter)
        # A clock that stands elsewhere: the time comes with the request.
        clock = datetime(1999, 1, 1, tzinfo=UTC)
        self.application = Application(service, MODEL, ServerMetrics(MODEL, 7, ""), clock=lambda: clock, queue=queue)

    def invoke(self, body: bytes, content_type: str) -> Invoked:
        status, answer = asyncio.run(self.asked(body, content_type))
        if status == 200:
            return Invoked(200, answer, VARIANT)
        told = {"ErrorCode": "ModelError", "OriginalStatusCode": status, "OriginalMessage": answer.decode()}
        return Invoked(424, json.dumps(told).encode(), None)

    async def asked(self, body: bytes, content_type: str) -> tuple[int, bytes]:
        sent: list[Any] = []
        headers = [(b"content-type", content_type.encode())]

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers}
        await self.application(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]


class Both:
    """The function with the version in it, and the function that passes requests on to a container."""

    def __init__(self, stored: StoredArtifact, capsys: pytest.CaptureFixture[str]) -> None:
        self.streams = FakeFirehose(), FakeFirehose()
        variables = {
            "EVERLOOP_MODEL": MODEL,
            "EVERLOOP_ARTIFACT_BUCKET": "artifacts",
            "EVERLOOP_PREDICTIONS_STREAM": "predictions",
        }
        bound = {
            "EVERLOOP_VERSION": "7",
            "EVERLOOP_ARTIFACT_PREFIX": PREFIX,
            "EVERLOOP_MANIFEST_SHA256": stored.manifest_sha256,
        }
        given: dict[str, Any] = {"s3_client": FakeS3(stored.objects), "firehose_client": self.streams[0]}
        self.container = Container(stored, self.streams[1])
        self.direct = Predictor(Environment.read({**variables, **bound}), **given)
        self.passing = Predictor(Environment.read(variables), passing_on=PassingOn(self.container), **given)
        self._capsys = capsys

    def ask(self, predictor: Predictor, event: Any) -> tuple[Any, list[dict[str, Any]]]:
        answer = predictor.handle(event, "4")
        lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        return answer, lines


EVENTS: Sequence[Any] = [
    pytest.param({"instances": [row("t1"), row("t2", wind=None, operator="zz")]}, {}, id="answered"),
    pytest.param({"instances": [row("t1")]}, {"in_base64": True}, id="base64"),
    pytest.param({"instances": [row("t1", distance=-1)]}, {}, id="refused"),
    pytest.param({"instances": []}, {}, id="empty"),
    pytest.param({"instances": [row("tä€")]}, {}, id="not-ascii"),
]


@pytest.mark.parametrize(("document", "options"), EVENTS)
def test_answers_logs_counts_and_captured_rows_are_the_same(
    capsys: pytest.CaptureFixture[str], document: Any, options: dict[str, Any]
) -> None:
    both = Both(StoredArtifact(), capsys)
    event = http_event(document, path=f"/models/{MODEL}/predictions", **options)
    (expected, told), (found, also_told) = both.ask(both.direct, event), both.ask(both.passing, event)
    assert found == expected
    assert [_timeless(line) for line in also_told] == [_timeless(line) for line in told]
    assert {line["lambda_version"] for line in told} == {"4"}
    assert {line["lambda_version"] for line in also_told} == {VARIANT}
    direct, container = ([_timeless(record) for record in stream.taken] for stream in both.streams)
    assert direct == container


@pytest.mark.parametrize("document", [{"instances": [row("t1")]}, {"instances": []}])
def test_of_an_endpoint_of_one_version_its_function_version_is_counted(
    capsys: pytest.CaptureFixture[str], document: Any
) -> None:
    both = Both(StoredArtifact(), capsys)
    environment = Environment(MODEL, "artifacts", "predictions")
    passing = PassingOn(both.container, by_variant=False)
    predictor = Predictor(environment, s3_client=None, firehose_client=None, passing_on=passing)
    event = http_event(document, path=f"/models/{MODEL}/predictions")
    assert {line["lambda_version"] for line in both.ask(predictor, event)[1]} == {"4"}
    assert {line["lambda_version"] for line in both.ask(both.passing, event)[1]} == {VARIANT}


def test_what_no_caller_asked_is_captured_by_neither(capsys: pytest.CaptureFixture[str]) -> None:
    both = Both(StoredArtifact(), capsys)
    event = {**http_event({"instances": [row()]}, path=f"/models/{MODEL}/predictions"), UNSEEN: True}
    (expected, told), (found, also_told) = both.ask(both.direct, event), both.ask(both.passing, event)
    assert (found, expected["statusCode"]) == (expected, 200)
    assert [*told, *also_told, *both.streams[0].taken, *both.streams[1].taken] == []


def _timeless(line: dict[str, Any]) -> dict[str, Any]:
    """A log line, or a captured row, without what took time and without who served it."""
    return {k: v for k, v in line.items() if k not in ("PredictionLatency", "latency_ms", "lambda_version")}


@pytest.mark.parametrize("path", ["v2/models/late_train/infer", "mlflow/invocations", "sagemaker/invocations"])
def test_every_protocol_is_refused_in_its_own_words(capsys: pytest.CaptureFixture[str], path: str) -> None:
    both = Both(StoredArtifact(), capsys)
    event = http_event({"nothing": 1}, path=f"/models/{MODEL}/{path}")
    (expected, _), (found, _) = both.ask(both.direct, event), both.ask(both.passing, event)
    assert found == expected
    assert found["statusCode"] == 400


def test_a_row_without_a_score_is_the_variants_failure(capsys: pytest.CaptureFixture[str]) -> None:
    both = Both(StoredArtifact(model=small_model(bias=float("nan"))), capsys)
    event = http_event({"instances": [row("t1")]}, path=f"/models/{MODEL}/predictions")
    answer, told = both.ask(both.passing, event)
    assert answer["statusCode"] == 500
    assert json.loads(answer["body"])["error"]["code"] == "no_score"
    counted = told[-1]
    assert (counted["lambda_version"], counted["ServerErrors"], counted["Faults"]) == (VARIANT, 1, 1)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b'{"ErrorCode": "ValidationError", "Message": "Endpoint not found"}', 500),
        (424, b'{"ErrorCode": "ModelError", "OriginalStatusCode": 500}', 500),
        (424, b'{"ErrorCode": "ModelError", "OriginalStatusCode": 429}', 429),
        (429, b"", 429),
        (503, b"", 429),
        (500, b"not json", 500),
    ],
)
def test_an_endpoint_without_an_answer_is_told_in_the_protocols_form(
    capsys: pytest.CaptureFixture[str], status: int, body: bytes, expected: int
) -> None:
    both = Both(StoredArtifact(), capsys)

    class Broken:
        def invoke(self, _: bytes, content_type: str) -> Invoked:
            return Invoked(status, body, None)

    environment = Environment(MODEL, "artifacts", "predictions", endpoint="everloop-late-train")
    broken = Predictor(environment, s3_client=None, firehose_client=None, passing_on=PassingOn(Broken()))
    answer, told = both.ask(broken, http_event({"instances": [row()]}, path=f"/models/{MODEL}/predictions"))
    assert answer["statusCode"] == expected
    assert json.loads(answer["body"])["error"]["code"] == ("overloaded" if expected == 429 else "internal_error")
    failures = [line for line in told if line.get("message") == "endpoint_failed"]
    assert len(failures) == (expected == 500)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"path": 1, "headers": []}', b'{"instances": []}'])
def test_what_is_no_passed_request_is_refused(body: bytes) -> None:
    container = Container(StoredArtifact(), FakeFirehose())
    status, answer = asyncio.run(container.asked(body, PASSED_ON))
    assert status == 400
    assert b"is no request that the prediction function passes on" in answer
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        decode_request(body)


def test_credentials_of_a_caller_stay_with_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    both = Both(StoredArtifact(), capsys)
    seen: list[bytes] = []

    class Listening:
        def invoke(self, body: bytes, content_type: str) -> Invoked:
            seen.append(body)
            return both.container.invoke(body, content_type)

    event = http_event({"instances": [row("t1")]}, path=f"/models/{MODEL}/predictions")
    event["headers"] |= {"authorization": "Bearer secret", "cookie": "secret"}
    environment = Environment(MODEL, "artifacts", "predictions")
    predictor = Predictor(environment, s3_client=None, firehose_client=None, passing_on=PassingOn(Listening()))
    assert both.ask(predictor, event)[0]["statusCode"] == 200
    assert b"secret" not in seen[0]


ROW = row("t1")
ASKED = {
    "predictions": {"instances": [ROW]},
    f"v2/models/{MODEL}/infer": {
        "inputs": [
            {"name": n, "shape": [1], "datatype": "FP64" if n in ("distance", "wind") else "BYTES", "data": [v]}
            for n, v in ROW.items()
        ]
    },
    "mlflow/invocations": {"dataframe_records": [ROW]},
    "sagemaker/invocations": {"instances": [ROW]},
}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("path", ASKED)
def test_one_id_joins_trace_log_answer_capture_and_label_by_every_protocol_on_both_targets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5-a;Sampled=1")
    both = Both(StoredArtifact(), capsys)
    event = http_event(ASKED[path], path=f"/models/{MODEL}/{path}", headers={"traceparent": TRACE})
    for predictor, stream in zip((both.direct, both.passing), both.streams, strict=True):
        # The first answer of a process, and one by compiled code.
        for _ in range(2):
            answer, (line,) = both.ask(predictor, event)
            assert answer["statusCode"] == 200, answer
            assert (line["request_id"], line["trace_id"], line["traceparent"]) == (
                "req-1",
                "Root=1-5-a;Sampled=1",
                TRACE,
            )
            assert '"req-1-0"' in answer["body"]
            (taken,) = stream.taken
            assert (taken["request_id"], taken["prediction_id"], taken["key"]) == ("req-1", "req-1-0", "t1")
            stream.taken.clear()
        # AND the outcome names what the answer gave
        body = json.dumps({"labels": [{"prediction_id": "req-1-0", "label": 1}]}).encode()
        (label,) = parse_labels(body, LabelRules(is_binary=True))
        assert label.to_record(datetime(2013, 3, 2, tzinfo=UTC))["prediction_id"] == taken["prediction_id"]


@pytest.mark.parametrize("header", ["", "alice@example.com", TRACE.upper(), f"{TRACE}-more", f"{TRACE}\n"])
def test_a_header_that_is_no_trace_is_not_logged(capsys: pytest.CaptureFixture[str], header: str) -> None:
    both = Both(StoredArtifact(), capsys)
    event = http_event({"instances": [ROW]}, path=f"/models/{MODEL}/predictions", headers={"traceparent": header})
    _, (line,) = both.ask(both.direct, event)
    assert "traceparent" not in line
