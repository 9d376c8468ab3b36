"""A connection answers plain requests as the application answers them, in order, however they arrive."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from uvicorn.server import ServerState

from everloop.server.application import Application
from everloop.server.connection import Connection
from everloop.server.files import FileWriter, files_of
from everloop.server.metrics import ServerMetrics
from everloop.serving.artifact import Artifact, verified_artifact
from everloop.serving.capture import RecordWriter
from everloop.serving.exchange import HttpRequest
from everloop.serving.service import PredictionService
from tests.helpers.artifacts import MODEL, row
from tests.helpers.server import stored_in

NOW = datetime(2013, 3, 1, 5, tzinfo=UTC)
PLAIN, BY_STEPS = "application/json", "application/json; charset=utf-8"


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return verified_artifact(files_of(tmp_path), stored_in(tmp_path).manifest_sha256)


class Transport:
    """A caller's end: it keeps what is written."""

    def __init__(self) -> None:
        self.written, self.closed = b"", False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> None:
        return None

    def pause_reading(self) -> None:
        return None

    def resume_reading(self) -> None:
        return None


class Server:
    """An application whose model has answered once, and its connections."""

    def __init__(self, artifact: Artifact, writer: RecordWriter | None = None, queue: int = 64) -> None:
        service = PredictionService(MODEL, lambda: artifact, writer, time.perf_counter)
        first = HttpRequest(body=json.dumps({"instances": [row("t0")]}))
        service.answer("predictions", first, request_id="first", at=NOW)
        service.settle()
        self.metrics = ServerMetrics(MODEL, 7, "")
        self.application = Application(service, MODEL, self.metrics, clock=lambda: NOW, queue=queue)
        self.config = uvicorn.Config(self.application, http=Connection, lifespan="off", ws="none", log_config=None)
        self.config.load()
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"Fri, 01 Mar 2013 05:00:00 GMT")]

    def connect(self) -> tuple[Connection, Transport]:
        connection, transport = Connection(self.config, self.state, {}), Transport()
        connection.connection_made(transport)  # type: ignore[arg-type]  # it has what is asked of one
        return connection, transport

    def page(self) -> list[str]:
        return self.metrics.page().body.decode().splitlines()


def request(*rows: dict[str, object], body: str | None = None, kind: str = PLAIN, more: str = "") -> bytes:
    sent = (json.dumps({"instances": list(rows)}) if body is None else body).encode()
    head = f"POST /predictions HTTP/1.1\r\nhost: h\r\ncontent-type: {kind}\r\ncontent-length: {len(sent)}\r\n{more}\r\n"
    return head.encode() + sent


def answers(written: bytes) -> list[tuple[int, dict[str, str], Any]]:
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        found.append((int(first.split()[1]), headers, json.loads(rest[:length])))
        written = rest[length:]
    return found


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def played(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene())


def told(written: bytes) -> Any:
    """What was answered, without the request's name."""
    names = re.findall(rb"x-request-id: ([0-9a-f]{32})", written)
    for place, name in enumerate(names):
        written = written.replace(name, b"%032d" % place)
    return written


ASKED = [
    request(row("t1")),
    request(row("t2", operator="new"), row("t3", wind=None)),
    request(row("t4", wind="x")),
    request(body="{"),
    request(body=""),
    request({"train_id": 5, "distance": 1, "line": "south"}),
]


@pytest.mark.parametrize("callers", [1, 2])
def test_plain_requests_are_answered_byte_by_byte_as_through_the_application(artifact: Artifact, callers: int) -> None:
    async def scene() -> None:
        found, pages = [], []
        for kind in (PLAIN, BY_STEPS):
            server = Server(artifact)
            connections = [server.connect() for _ in range(callers)]
            connection, transport = connections[0]
            for data in ASKED:
                connection.data_received(
                    data.replace(b"content-type: " + PLAIN.encode(), f"content-type: {kind}".encode())
                )
                await turns()
            assert (connection.cycle is None) == (kind == PLAIN)
            found.append(told(transport.written))
            pages.append([line for line in server.page() if "_seconds" not in line])
        assert [status for status, _, _ in answers(found[0])] == [200, 200, 400, 400, 400, 200]
        assert found[0] == found[1]
        assert pages[0] == pages[1]

    played(scene)


def test_each_of_many_callers_gets_its_own_answer_and_one_that_is_wrong_costs_no_other_one(
    artifact: Artifact, tmp_path: Path
) -> None:
    async def scene() -> None:
        server = Server(artifact, FileWriter(tmp_path / "rows.jsonl"))
        callers = [server.connect() for _ in range(40)]
        given = [row(f"t{n}", distance=n) if n % 10 else row(f"t{n}", wind="x") for n in range(40)]
        for turn in range(1, 6):
            for (connection, _), one in zip(callers, given, strict=True):
                connection.data_received(request(one))
            await turns(60)
            for number, (_, transport) in enumerate(callers):
                assert len(answers(transport.written)) == turn
                status, headers, document = answers(transport.written)[-1]
                assert status == (200 if number % 10 else 400)
                if status == 200:
                    (prediction,) = document["predictions"]
                    assert prediction["prediction_id"] == f"{headers['x-request-id']}-0"
        # THEN what was asked alone is answered alike, and captured under its own name
        alone, transport = Server(artifact).connect()
        lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()][1:]
        assert len(lines) == 36 * 5
        by_id = {line["prediction_id"]: line for line in lines}
        for number in (1, 11, 39):
            transport.written = b""
            alone.data_received(request(given[number]))
            expected = answers(transport.written)[0][2]["predictions"][0]
            for _, _, document in answers(callers[number][1].written):
                found = document["predictions"][0]
                assert found["probability"] == pytest.approx(expected["probability"], rel=1e-12)
                kept = by_id[found["prediction_id"]]
                assert (kept["key"], kept["raw_score"]) == (f"t{number}", found["raw_score"])
        assert "everloop_predictions_total 180.0" in server.page()
        assert "everloop_requests_waiting 0.0" in server.page()

    played(scene)


def test_a_model_that_fails_on_a_row_fails_on_no_other(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = artifact.scorer._run_session

    def failing(outputs: Any, feed: Any, options: Any) -> Any:
        if (feed["num"] == 13).any():
            raise RuntimeError("bad luck")
        scores = run(outputs, feed, options)
        scores[0][(feed["num"] == 14).any(axis=1)] = np.nan
        return scores

    async def scene() -> None:
        server = Server(artifact)
        monkeypatch.setattr(artifact.scorer, "_run_session", failing)
        callers = [server.connect() for _ in range(6)]
        for distances, statuses in (([1, 2, 13, 4, 5, 6], {13: 500}), ([1, 2, 14, 4, 5, 6], {14: 500}), ([1] * 6, {})):
            for turn in range(3):
                for (connection, transport), distance in zip(callers, distances, strict=True):
                    transport.written = b""
                    connection.data_received(request(row(f"t{turn}", distance=distance)))
                await turns()
                found = [answers(transport.written)[0][0] for _, transport in callers]
                assert found == [statuses.get(distance, 200) for distance in distances]

    played(scene)
    assert "requests failed together, so each is asked alone: RuntimeError('bad luck')" in caplog.text
    assert caplog.text.count("got no score") == 3


def test_a_full_queue_refuses_plain_requests_at_once(artifact: Artifact) -> None:
    async def scene() -> None:
        server = Server(artifact, queue=3)
        callers = [server.connect() for _ in range(5)]
        for connection, _ in callers:
            connection.data_received(request(row("t1")))
        assert "everloop_requests_waiting 3.0" in server.page()
        assert [bool(transport.written) for _, transport in callers] == [False] * 3 + [True] * 2
        # AND what is not plain finds the same queue
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"{}"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v2/models/late_train/infer", "headers": []}
        await server.application(scope, receive, send)
        assert sent[0]["status"] == 429
        await turns()
        found = [answers(transport.written)[0] for _, transport in callers]
        assert [status for status, _, _ in found] == [200] * 3 + [429] * 2
        assert found[-1][1]["retry-after"] == "1"
        assert found[-1][2]["error"]["code"] == "overloaded"
        assert "everloop_requests_waiting 0.0" in server.page()
        # AND there is room again
        callers[4][0].data_received(request(row("t1")))
        await turns()
        assert answers(callers[4][1].written)[-1][0] == 200

    played(scene)


@pytest.mark.parametrize("others", [0, 1])
def test_requests_that_are_sent_before_the_answer_are_answered_in_their_order(artifact: Artifact, others: int) -> None:
    async def scene() -> None:
        server = Server(artifact)
        connection, transport = server.connect()
        rest = [server.connect() for _ in range(others)]
        kinds = [PLAIN, PLAIN, BY_STEPS, PLAIN, BY_STEPS, BY_STEPS, PLAIN]
        sent = [request(row(f"t{n}", wind="x" if n == 1 else 3), kind=kind) for n, kind in enumerate(kinds)]
        for data in sent:  # each in a packet
            connection.data_received(data)
        await turns(60)
        connection.data_received(b"".join(sent))  # all in one
        await turns(60)
        for at in range(0, len(sent) * 150, 150):  # in pieces that end anywhere
            connection.data_received(b"".join(sent)[at : at + 150])
            await turns(2)
        connection.data_received(b"".join(sent)[len(sent) * 150 :])
        await turns(60)
        assert [status for status, _, _ in answers(transport.written)] == [200, 400, *[200] * 5] * 3
        assert not any(transport.written for _, transport in rest)

    played(scene)


def test_a_body_that_looks_like_a_request_is_a_body(artifact: Artifact) -> None:
    async def scene() -> None:
        server = Server(artifact)
        connection, transport = server.connect()
        inner = request(row("t1"))
        connection.data_received(request(body=" " * len(inner))[: -len(inner)])
        await turns()
        connection.data_received(inner)
        await turns()
        ((status, _, document),) = answers(transport.written)
        assert (status, document["error"]["code"]) == (400, "malformed_json")

    played(scene)


def test_who_has_gone_is_sent_nothing(artifact: Artifact) -> None:
    async def scene() -> None:
        server = Server(artifact)
        (connection, transport), (other, still) = server.connect(), server.connect()
        connection.data_received(request(row("t1")))
        other.data_received(request(row("t2")))
        transport.close()
        connection.connection_lost(None)
        await turns()
        assert transport.written == b""
        assert answers(still.written)[0][0] == 200
        assert server.state.connections == {other}
        assert "everloop_requests_waiting 0.0" in server.page()

    played(scene)


def test_a_server_that_ends_answers_what_was_asked_and_closes(artifact: Artifact) -> None:
    async def scene() -> None:
        server = Server(artifact)
        (connection, transport), (_, idle) = server.connect(), server.connect()
        connection.data_received(request(row("t1")))
        for each in list(server.state.connections):
            each.shutdown()
        assert (transport.closed, idle.closed) == (False, True)
        await turns()
        assert answers(transport.written)[0][0] == 200
        assert transport.closed

    played(scene)


def test_a_connection_is_closed_once_nothing_is_asked_on_it_for_a_while(artifact: Artifact) -> None:
    async def scene() -> None:
        server = Server(artifact)
        server.config.timeout_keep_alive = 1  # seconds
        connection, transport = server.connect()
        now = [100.0]
        due: list[tuple[float, Callable[[], None]]] = []

        class Loop:
            """A loop of another time."""

            time = staticmethod(lambda: now[0])

            @staticmethod
            def call_later(seconds: float, call: Callable[[], None]) -> Any:
                due.append((now[0] + seconds, call))
                return asyncio.get_running_loop().call_soon(lambda: None)

        connection.loop = Loop()  # type: ignore[assignment]  # as far as one is asked
        for _ in range(3):
            connection.data_received(request(row("t1")))
            now[0] += 0.4
        assert len(due) == 1, "one timer, however many requests"
        now[0] = due[0][0]
        due.pop()[1]()
        assert not transport.closed, "0.6 seconds ago it was used"
        now[0] = due[0][0]
        due.pop()[1]()
        assert transport.closed

    played(scene)
