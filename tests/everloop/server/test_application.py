"""The server's application: order, a full queue, bodies that are too large or stop, and faults of its own."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from everloop.server import application as module
from everloop.server.application import Application
from everloop.server.files import FileWriter, files_of
from everloop.server.metrics import ServerMetrics
from everloop.serving.artifact import Artifact, verified_artifact
from everloop.serving.capture import Line, Record, RecordFailure, RecordWriter
from everloop.serving.exceptions import ArtifactRefusedError
from everloop.serving.service import PredictionService
from tests.helpers.artifacts import MODEL, row
from tests.helpers.server import stored_in

NOW = datetime(2013, 3, 1, 5, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BODY = json.dumps({"instances": [row("t1")]}).encode()


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return verified_artifact(files_of(tmp_path), stored_in(tmp_path).manifest_sha256)


def application(artifact: Artifact, writer: RecordWriter | None = None, queue: int = 4) -> Application:
    service = PredictionService(MODEL, lambda: artifact, writer, time.perf_counter)
    return Application(service, MODEL, ServerMetrics(MODEL, 7, ""), clock=lambda: NOW, queue=queue)


async def ask(
    app: Application,
    path: str = "/predictions",
    parts: Sequence[bytes] = (BODY,),
    method: str = "POST",
    traceparent: str = "",
) -> tuple[int, dict[str, str], bytes]:
    """An answer; with no parts the caller goes away."""
    messages = [
        {"type": "http.request", "body": part, "more_body": at < len(parts) - 1} for at, part in enumerate(parts)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"traceparent", traceparent.encode())] if traceparent else []
    await app({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)
    if not sent:
        return 0, {}, b""
    start, body = sent
    return start["status"], {n.decode(): v.decode() for n, v in start["headers"]}, body["body"]


def answer(app: Application, *args: Any, **options: Any) -> tuple[int, dict[str, str], Any]:
    status, headers, body = asyncio.run(ask(app, *args, **options))
    assert int(headers["content-length"]) == len(body)
    return status, headers, json.loads(body)


def test_rows_are_answered_and_captured_in_a_file(artifact: Artifact, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    app = application(artifact, FileWriter(file))
    status, headers, document = answer(app)
    assert (status, document["version"]) == (200, 7)
    (record,) = map(json.loads, file.read_text().splitlines())
    assert record["prediction_id"] == document["predictions"][0]["prediction_id"] == f"{headers['x-request-id']}-0"
    assert record["time"] == "2013-03-01 05:00:00.000"
    # AND another process goes on where this one ended
    answer(application(artifact, FileWriter(file)))
    assert len(file.read_text().splitlines()) == 2


def test_each_request_has_an_id_of_its_own(artifact: Artifact) -> None:
    app = application(artifact)
    many = 300  # more than are drawn at once

    async def named() -> list[str]:
        return [(await ask(app, "/ping", method="GET"))[1]["x-request-id"] for _ in range(many)]

    names = asyncio.run(named())
    assert len({*names}) == many
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)


def test_a_full_queue_refuses_at_once_and_those_that_wait_are_answered(artifact: Artifact) -> None:
    app = application(artifact, queue=4)

    async def ten() -> list[tuple[int, dict[str, str], bytes]]:
        return await asyncio.gather(*(ask(app) for _ in range(10)))

    answers = asyncio.run(ten())
    assert [status for status, _, _ in answers] == [200] * 4 + [429] * 6
    assert {headers.get("retry-after") for status, headers, _ in answers if status == 429} == {"1"}
    assert json.loads(answers[-1][2])["error"]["code"] == "overloaded"
    # AND once they are, there is room again
    assert answer(app)[0] == 200
    text = asyncio.run(ask(app, "/metrics", method="GET"))[2].decode()
    assert 'everloop_requests_total{protocol="predictions",status="429"} 6.0' in text
    assert 'everloop_refused_total{code="overloaded"} 6.0' in text
    assert "everloop_requests_waiting 0.0" in text
    assert "everloop_predictions_total 5.0" in text


@pytest.mark.parametrize(
    ("path", "place"), [("/v2/models/late_train/infer", "error"), ("/invocations", "error_code"), ("/x", "error")]
)
def test_a_full_queue_says_so_in_the_words_of_the_protocol(artifact: Artifact, path: str, place: str) -> None:
    status, _, document = answer(application(artifact, queue=0), path)
    assert (status, place in document) == (429, True)


@pytest.mark.parametrize("path", ["/ping", "/v2/health/ready", "/metrics", "/openapi.json"])
def test_a_full_queue_is_still_live_and_ready(artifact: Artifact, path: str) -> None:
    assert asyncio.run(ask(application(artifact, queue=0), path, method="GET"))[0] == 200


def test_a_body_comes_in_parts_and_not_beyond_a_megabyte(artifact: Artifact) -> None:
    app = application(artifact)
    assert answer(app, parts=[BODY[:10], BODY[10:], b""])[0] == 200
    status, headers, document = answer(app, parts=[b" " * 2**19] * 5)
    assert (status, document["error"]["code"]) == (413, "too_large")
    assert headers["connection"] == "close", "the rest is not read"


def test_a_caller_that_goes_away_costs_nothing(artifact: Artifact) -> None:
    app = application(artifact)
    assert asyncio.run(ask(app, parts=[])) == (0, {}, b"")
    assert answer(app)[0] == 200


def test_a_body_that_stops_is_given_up(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_SECONDS", 0)
    app, sent = application(artifact), []

    async def stalled() -> None:
        began = iter([{"type": "http.request", "body": b"{", "more_body": True}])

        async def receive() -> Any:
            return next(began, None) or await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await app({"type": "http", "method": "POST", "path": "/predictions", "headers": []}, receive, send)

    asyncio.run(stalled())
    assert sent[0]["status"] == 408


class Broken:
    def write(self, records: Iterable[Record | Line]) -> list[RecordFailure]:
        raise RuntimeError("out of order")


def test_a_fault_of_the_server_is_a_500_in_the_protocols_words_and_in_the_log(
    artifact: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(artifact, Broken())
    status, headers, document = answer(app, traceparent=TRACE)
    assert (status, document["error"]["code"]) == (500, "internal_error")
    assert headers["x-request-id"] in document["error"]["message"]
    assert "out of order" in caplog.text
    assert f"{headers['x-request-id']} (traceparent {TRACE})" in caplog.text


def test_rows_that_a_disk_does_not_take_are_in_the_log_and_the_caller_is_answered(
    artifact: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(artifact, FileWriter(Path("/dev/full")))
    status, headers, document = answer(app, traceparent=TRACE)
    assert status == 200
    assert document["predictions"][0]["prediction_id"] in caplog.text
    assert f"row of request {headers['x-request-id']} (traceparent {TRACE}) not captured" in caplog.text
    assert "No space left" in caplog.text
    assert "everloop_capture_lost_total 1.0" in asyncio.run(ask(app, "/metrics", method="GET"))[2].decode()


@pytest.mark.parametrize("header", ["alice@example.com", TRACE.upper(), f"{TRACE}-more", f"{TRACE}\n"])
def test_a_header_that_is_no_trace_is_not_logged(
    artifact: Artifact, caplog: pytest.LogCaptureFixture, header: str
) -> None:
    answer(application(artifact, FileWriter(Path("/dev/full"))), traceparent=header)
    assert "not captured" in caplog.text
    assert "traceparent" not in caplog.text


def test_files_that_are_not_the_evaluated_ones_are_refused(tmp_path: Path) -> None:
    stored = stored_in(tmp_path)
    with pytest.raises(ArtifactRefusedError, match=r"manifest\.json: expected sha256 0000"):
        verified_artifact(files_of(tmp_path), "0" * 64)
    (tmp_path / "model.onnx").write_bytes(b"another")
    with pytest.raises(ArtifactRefusedError, match=r"model\.onnx: expected sha256"):
        verified_artifact(files_of(tmp_path), stored.manifest_sha256)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ArtifactRefusedError, match="No such file"):
        verified_artifact(files_of(tmp_path), stored.manifest_sha256)
