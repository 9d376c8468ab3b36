"""The rows of a request are written once it is answered, or handed back in time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from everloop.serving.after_answer import (
    RESERVE_SECONDS,
    AfterAnswer,
    Deadline,
    ExtensionError,
    ExtensionsApi,
    Invocation,
    follow,
    registered,
)
from everloop.serving.capture import CaptureWriter, Line, Record, RecordFailure
from tests.fakes.delivery_stream import FakeFirehose


class Rows:
    """Takes rows, as the stream and the log would."""

    def __init__(self) -> None:
        self.stream, self.lost = FakeFirehose(), list[tuple[Record, str, int]]()
        self.now, self.answered = 1000.0, False
        self.deadline = Deadline(lambda: self.now)
        direct = CaptureWriter(self.stream, "s", sleep=self.pass_time, has_time=self.deadline.has_time)
        self.after = AfterAnswer(direct, self.take_lost, self.deadline)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def take_lost(self, failures: list[RecordFailure], epoch_ms: int) -> None:
        self.lost += [(failure.record, failure.reason, epoch_ms) for failure in failures]

    def ask(self, name: str, count: int = 1) -> Invocation:
        """A request with so many rows that is answered."""
        assert self.after.write([{"row": f"{name}-{i}"} for i in range(count)]) == []
        self.after.answered(name, 5)
        return Invocation(name, self.now + 10)


@pytest.fixture
def rows() -> Rows:
    return Rows()


def test_rows_go_out_once_the_request_is_answered(rows: Rows) -> None:
    invocation = rows.ask("a", 2)
    assert rows.stream.taken == []
    rows.after.finish(invocation)
    assert [record["row"] for record in rows.stream.taken] == ["a-0", "a-1"]
    # AND a request without rows is done with as well
    rows.after.answered("b", 5)
    rows.after.finish(Invocation("b", rows.now + 10))
    assert (len(rows.stream.calls), rows.lost) == (1, [])


def test_rows_of_a_request_that_was_not_waited_for_go_out_with_the_next(rows: Rows) -> None:
    rows.ask("a")
    rows.after.finish(rows.ask("b"))
    assert [record["row"] for record in rows.stream.taken] == ["a-0", "b-0"]


def test_a_stream_that_is_down_loses_nothing_silently(rows: Rows) -> None:
    rows.stream.down = True
    rows.after.finish(rows.ask("a", 3))
    assert [(record["row"], at) for record, _, at in rows.lost] == [("a-0", 5), ("a-1", 5), ("a-2", 5)]
    assert "no route" in rows.lost[0][1]


def test_a_throttled_row_is_tried_until_the_time_is_up(rows: Rows) -> None:
    rows.stream.refusals = [{1}, {0}, {0}]
    rows.after.finish(rows.ask("a", 2))
    assert [record["row"] for record, _, _ in rows.lost] == ["a-1"]
    # AND with less time there are fewer attempts, and what is left goes to the log before the function is stopped
    rows.lost.clear()
    rows.stream.refusals = [{0}, {0}, {0}]
    asked = len(rows.stream.calls)
    invocation = rows.ask("b")
    rows.after.finish(Invocation(invocation.request_id, rows.now + RESERVE_SECONDS + 0.01))
    assert len(rows.stream.calls) - asked == 1
    assert "no time is left" in rows.lost[0][1]


def test_a_handler_that_never_answers_holds_nothing_up(rows: Rows) -> None:
    rows.after.finish(Invocation("a", rows.now))
    assert rows.stream.calls == []


def test_a_writer_that_breaks_loses_nothing_silently(rows: Rows) -> None:
    class Broken:
        def write(self, records: Iterable[Record | Line]) -> list[RecordFailure]:
            raise RuntimeError("a fault of ours")

    broken = AfterAnswer(Broken(), rows.take_lost, rows.deadline)
    broken.write([{"row": 1}])
    broken.answered("a", 5)
    broken.finish(Invocation("a", rows.now + 10))
    assert rows.lost == [({"row": 1}, "RuntimeError: a fault of ours", 5)]


class Unmade:
    """Records of a request that are made when they are read."""

    def __init__(self, rows: Rows, *, fails: bool) -> None:
        self.rows, self.fails, self.request_id = rows, fails, "caller-1"

    def __iter__(self) -> Iterator[Record]:
        assert self.rows.answered, "a caller waited for them"
        if self.fails:
            raise ValueError("a fault of ours")
        return iter([{"row": "a-0"}])


@pytest.mark.parametrize("fails", [False, True])
def test_records_are_made_once_the_request_is_answered(rows: Rows, fails: bool) -> None:
    rows.after.write(Unmade(rows, fails=fails))
    rows.after.answered("a", 5)
    rows.answered = True
    rows.after.finish(Invocation("a", rows.now + 10))
    assert rows.stream.taken == ([] if fails else [{"row": "a-0"}])
    # AND where they can't be made, the log has their request
    reason = "its rows could not be made: ValueError: a fault of ours"
    assert rows.lost == ([({"request_id": "caller-1"}, reason, 5)] if fails else [])


def test_calls_end_before_the_function_is_stopped(rows: Rows) -> None:
    rows.deadline.at = rows.now + RESERVE_SECONDS + 1
    assert rows.deadline.call_seconds() == pytest.approx(0.5)
    rows.now += 1
    assert not rows.deadline.has_time()
    rows.deadline.at = rows.now + 60
    assert rows.deadline.call_seconds() == 3.0


class Played(BaseHTTPRequestHandler):
    """Lambda's side of the Extensions API."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        status, headers, document = self.server.answers.pop(0)  # type: ignore[attr-defined]  # the test's own
        self.server.asked.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]  # the test's own
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def api() -> Any:
    server = HTTPServer(("127.0.0.1", 0), Played)
    server.answers, server.asked = [], []  # type: ignore[attr-defined]  # the test's own
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_an_extension_registers_and_follows_invocations(api: Any) -> None:
    event = {"eventType": "INVOKE", "requestId": "r", "deadlineMs": 2500}
    own = {"Lambda-Extension-Identifier": "id"}
    api.answers = [(200, own, {}), (200, {}, event)]
    found = registered({"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_address[1]}"}, "name")
    assert found is not None
    assert found.next() == Invocation("r", 2.5)
    assert [path.rpartition("extension/")[2] for path, _ in api.asked] == ["register", "event/next"]
    assert api.asked[1][1]["Lambda-Extension-Identifier"] == "id"
    api.answers = [(403, {}, {})]
    with pytest.raises(ExtensionError, match="403"):
        found.next()


def test_without_lambda_or_its_consent_there_is_none(api: Any) -> None:
    assert registered({}, "name") is None
    api.answers = [(403, {}, {"errorType": "Extension.RegistrationClosed"}), (200, {}, {})]
    variables = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_address[1]}"}
    assert registered(variables, "name") is None
    assert registered(variables, "name") is None, "no identifier"
    assert registered({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1"}, "name") is None


def test_invocations_are_handed_on_in_a_thread() -> None:
    taken: list[str] = []
    both = threading.Event()

    class Api(ExtensionsApi):
        def __init__(self) -> None:
            self.names = ["a", "b"]

        def next(self) -> Invocation:
            if not self.names:
                both.set()
                threading.Event().wait()
            return Invocation(self.names.pop(0), 0.0)

    def take(invocation: Invocation) -> None:
        taken.append(invocation.request_id)
        raise RuntimeError

    follow(Api(), take)
    assert both.wait(10)
    assert taken == ["a", "b"]
