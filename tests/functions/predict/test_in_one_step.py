"""What the function answers in one step it answers, counts, logs and captures as step by step."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest

from everloop.functions.predict.handler import Environment, Predictor
from everloop.names import UNSEEN
from everloop.serving.artifact import Artifact
from tests.fakes.delivery_stream import FakeFirehose
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact, row
from tests.helpers.http_events import as_rest, http_event

PATH = f"/models/{MODEL}/predictions"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Function:
    """A process that has answered before; unless it is ``ready``, it answers step by step."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *, ready: bool) -> None:
        stored = StoredArtifact()
        environment = Environment(
            model=MODEL,
            artifact_bucket="artifacts",
            predictions_stream="predictions",
            version=7,
            artifact_prefix=PREFIX,
            manifest_sha256=stored.manifest_sha256,
        )
        self.stream, self._capsys = FakeFirehose(), capsys
        self.predictor = Predictor(environment, s3_client=FakeS3(stored.objects), firehose_client=self.stream)
        self.predictor.handle(event([row("t0")]), "4")
        own = self.predictor._own
        own.settle()
        assert own.step is not None
        if not ready:
            own.step = own._direct = None

    def loaded(self) -> Artifact:
        """What it serves."""
        found = self.predictor._own._loaded
        assert found is not None
        return found[0]

    def told(self, asked: dict[str, Any]) -> Any:
        """All that comes of a request, but for how long it took."""
        self._capsys.readouterr()
        self.stream.taken.clear()
        try:
            answer: Any = self.predictor.handle(asked, "4")
        except RuntimeError as error:
            answer = str(error)
        lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        return answer, [without_times(line) for line in lines], [without_times(record) for record in self.stream.taken]


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    """Of a log line that holds a record, without the record's either."""
    return {
        name: without_times(value) if isinstance(value, dict) else value
        for name, value in found.items()
        if name not in ("PredictionLatency", "latency_ms")
    }


def event(rows: list[dict[str, object]], **options: Any) -> dict[str, Any]:
    return http_event({"instances": rows}, path=PATH, **options)


def by_the_route_of_all(method: str = "POST") -> dict[str, Any]:
    return http_event({"instances": [row("t1")]}, path=f"/models/{MODEL}", proxy="predictions", method=method)


PLAIN = {
    "one row": event([row("t1")]),
    "two rows": event([row("t1"), row("t2", line="south", wind=None)]),
    "an unseen category": event([row("t1", operator="zz")]),
    "the route that takes all": by_the_route_of_all(),
    "a REST API": as_rest(event([row("t1")])),
    "a REST API, and other letters": as_rest(event([row("tä€")])),
}
OTHERS = {
    "a caller's trace": event([row("t1")], headers={"traceparent": TRACE}),
    "a charset": event([row("t1")], headers={"content-type": "application/json; charset=utf-8"}),
    "a compressed body": event([row("t1")], headers={"content-encoding": "gzip"}),
    "base64": event([row("t1")], in_base64=True),
    "another protocol": event([row("t1")], proxy="v2/health/ready", method="GET"),
    "another method of the route that takes all": by_the_route_of_all("PUT"),
    "an unknown field": event([row("t1", speed=3)]),
    "no rows": event([]),
    "no body": {**event([row("t1")]), "body": None},
    "no headers": {**event([row("t1")]), "headers": {}},
    "too large": event([row("t1", operator="z" * 2**20)]),
    "unseen": {**event([row("t1")]), UNSEEN: True},
    "a REST API, compressed": as_rest(event([row("t1")], headers={"content-encoding": "gzip"})),
    "a REST API, another protocol": as_rest(event([row("t1")], proxy="v2/health/ready", method="GET")),
    "a REST API, no text": as_rest(http_event(b"\xff\xfe", path=PATH)),
    "a REST API, no body": as_rest({**event([row("t1")]), "body": None}),
}


@pytest.mark.parametrize("asked", [*PLAIN.values(), *OTHERS.values()], ids=[*PLAIN, *OTHERS])
def test_all_that_comes_of_a_request_is_the_same(capsys: pytest.CaptureFixture[str], asked: dict[str, Any]) -> None:
    at_once, by_steps = (Function(capsys, ready=ready).told(asked) for ready in (True, False))
    assert at_once == by_steps


@pytest.mark.parametrize("asked", PLAIN.values(), ids=PLAIN)
def test_plain_requests_are_answered_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    function = Function(capsys, ready=True)
    monkeypatch.setattr(Predictor, "_answer", lambda *_: pytest.fail("it was answered step by step"))
    assert function.told(asked)[0]["statusCode"] == 200


def told_alike(capsys: pytest.CaptureFixture[str], spoil: Callable[[Function], None]) -> Any:
    """What comes of one row, which is the same both ways, of functions that are spoiled."""
    found = []
    for ready in (True, False):
        function = Function(capsys, ready=ready)
        spoil(function)
        found.append(function.told(PLAIN["one row"]))
    assert found[0] == found[1]
    return found[0]


def test_rows_that_the_stream_does_not_take_are_logged_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    _, lines, _ = told_alike(capsys, lambda function: setattr(function.stream, "down", True))
    assert [line.get("message", "counted") for line in lines] == ["capture_fallback", "counted"]


def test_a_failure_counts_once_though_the_next_attempt_would_succeed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(function: Function) -> None:
        scorer, attempts = function.loaded().scorer, count()
        works = scorer._run_session

        def fails_once(*given: Any) -> Any:
            if next(attempts) == 0:
                raise RuntimeError("the runtime failed")
            return works(*given)

        monkeypatch.setattr(scorer, "_run_session", fails_once)

    answer, lines, records = told_alike(capsys, spoil)
    assert (answer, [line["ServerErrors"] for line in lines], records) == ("the runtime failed", [1], [])


def test_a_score_that_is_none_is_told_as_by_the_steps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(function: Function) -> None:
        scorer = function.loaded().scorer
        monkeypatch.setattr(scorer, "_run_session", lambda _, feed, __: [np.full(len(feed["num"]), np.nan)])

    answer, _, _ = told_alike(capsys, spoil)
    assert answer["statusCode"] == 500


def test_lines_are_of_the_version_that_lambda_names(capsys: pytest.CaptureFixture[str]) -> None:
    function = Function(capsys, ready=True)
    capsys.readouterr()
    for version in ("4", "5"):
        function.predictor.handle(PLAIN["one row"], version)
    assert [json.loads(line)["lambda_version"] for line in capsys.readouterr().out.splitlines()] == ["4", "5"]
