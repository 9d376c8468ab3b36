"""What is answered in one step is answered as by the steps one by one: the same answer, metrics and captured rows."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import numpy as np
import pytest

from everloop.recalibration.calibration import Calibration, Part
from everloop.recalibration.interval import Interval
from everloop.serving.answer import Answer
from everloop.serving.artifact import Artifact, verified_artifact
from everloop.serving.capture import Line, Record, RecordFailure, encode_record
from everloop.serving.contract import ServingContract
from everloop.serving.declared import WHOLE, Capturing
from everloop.serving.direct import Asked
from everloop.serving.exchange import HttpRequest
from everloop.serving.service import PredictionService
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact, row, small_contract, small_model

AT = datetime(2013, 3, 1, 5, tzinfo=UTC)
JSON = {"content-type": "application/json"}
ROWS = [
    row("t1"),
    row("-t 2", operator="new"),
    row("t3", wind=None, day=""),
    {"train_id": 4, "distance": 1, "line": "south"},
]


class Kept:
    """Keeps lines; refuses those of a key."""

    def __init__(self, refused: str = "") -> None:
        self.lines: list[dict[str, Any]] = []
        self.refused = refused

    def write(self, records: Iterable[Record | Line]) -> list[RecordFailure]:
        found = [json.loads(encode_record(record)) for record in records]
        self.lines += found
        return [RecordFailure(record, "full") for record in found if record["key"] == self.refused]


def artifact(contract: ServingContract, **changes: Any) -> Artifact:
    stored = StoredArtifact(contract, small_model(sigmoid=contract.is_classification))
    read = {key.removeprefix(PREFIX): data for key, data in stored.objects.items()}
    return replace(verified_artifact(read.__getitem__, stored.manifest_sha256), **changes)


def served(of: Artifact, capturing: Capturing, writer: Kept | None, *, ready: bool) -> PredictionService:
    """A service whose timer ticks; one that is not ready answers step by step."""
    ticks = count()
    service = PredictionService(MODEL, lambda: of, writer, lambda: float(next(ticks)), capturing=capturing)
    service.answer("predictions", HttpRequest(body=json.dumps({"instances": [row("t0")]})), request_id="first", at=AT)
    if ready:
        service.settle()
        assert service._direct is not None
    else:
        service._settled = True
    return service


def told(answer: Answer) -> Any:
    """An answer, without what the timer says."""
    metrics = [metric for metric in answer.metrics if metric.name != "PredictionLatency"]
    document = json.loads(answer.reply.body)
    return answer.status, document, list(document), answer.reply[1:], metrics, list(answer.lost), *answer[4:]


CALIBRATION = Calibration("log_odds", (Part(1.0, -0.7, 1.0),), 3.0)
BINARY, REGRESSION = artifact(small_contract()), artifact(small_contract(problem_type="regression"))


@pytest.mark.parametrize("rows", [ROWS, *([one] for one in ROWS)], ids=["all", "1", "2", "3", "4"])
@pytest.mark.parametrize(
    ("of", "capturing"),
    [
        (BINARY, WHOLE),
        (REGRESSION, WHOLE),
        (replace(BINARY, calibration=CALIBRATION), WHOLE),
        (BINARY, Capturing(frozenset({"wind"}), 0.5)),
    ],
    ids=["binary", "regression", "calibrated", "sampled"],
)
def test_the_answer_the_metrics_and_the_captured_rows_are_those_of_the_steps(
    of: Artifact, capturing: Capturing, rows: list[dict[str, object]]
) -> None:
    found = []
    for ready in (True, False):
        kept = Kept(refused="t1")
        service = served(of, capturing, kept, ready=ready)
        kept.lines.clear()
        for form in (str, str.encode):
            request = HttpRequest(headers=JSON, body=form(json.dumps({"instances": rows})))
            assert ready == (service._direct is not None and service._direct(request, "x", AT, 0.0) is not None)
            kept.lines.clear()
            answer = service.answer("predictions", request, request_id="r", at=AT)
            found.append((told(answer), [{**line, "latency_ms": 0} for line in kept.lines]))
    assert found[0][0][0] == 200
    assert found[1:] == found[:1] * 3


@pytest.mark.parametrize(
    "of",
    [BINARY, REGRESSION, replace(BINARY, calibration=CALIBRATION)],
    ids=["binary", "regression", "calibrated"],
)
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_several_requests_together_are_answered_as_each_is_alone(of: Artifact, share: float) -> None:
    bodies = [json.dumps({"instances": rows}).encode() for rows in ([ROWS[0]], ROWS, [ROWS[2]], [row("t9", wind="x")])]
    kept, alone = Kept(refused="t3"), Kept(refused="t3")
    capturing = Capturing(frozenset({"wind"}), share)
    together = served(of, capturing, kept, ready=True).together
    step = served(of, capturing, alone, ready=True).step
    assert together is not None
    assert step is not None
    asked = [Asked(body, f"r{place}", AT, 0.0) for place, body in enumerate(bodies)]
    found, expected = together(asked), [step(*one) for one in asked]
    assert (
        [answered is None for answered in found] == [answered is None for answered in expected] == [*[False] * 3, True]
    )
    for answered, wanted in zip(found[:3], expected[:3], strict=True):
        assert answered is not None
        assert wanted is not None
        assert json.loads(answered.body) == json.loads(wanted.body)
        assert (answered.rows.keys, answered.rows.unseen) == (wanted.rows.keys, wanted.rows.unseen)
        assert answered.lost == wanted.lost
    lines, wanted_lines = ([{**line, "latency_ms": 0} for line in by.lines] for by in (kept, alone))
    assert lines == wanted_lines
    assert together([asked[3]]) == [None]


def test_of_several_one_unusable_score_leaves_all_to_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    service = served(BINARY, WHOLE, kept := Kept(), ready=True)
    kept.lines.clear()
    monkeypatch.setattr(BINARY.scorer, "_run_session", lambda _, feed, __: [np.array([0.5, np.nan])])
    assert service.together is not None
    body = json.dumps({"instances": [row("t1")]}).encode()
    assert service.together([Asked(body, "a", AT, 0.0), Asked(body, "b", AT, 0.0)]) == [None, None]
    assert kept.lines == [], "nothing has been done"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"method": "GET"}, 405),
        ({"headers": {"content-type": "text/csv"}}, 415),
        ({"headers": {"content-type": "application/json; charset=utf-8"}}, 200),
        ({"headers": JSON | {"content-encoding": "gzip"}, "body": gzip.compress(b'{"instances": []}')}, 400),
        ({"body": None}, 400),
        ({"body": b"{"}, 400),
        ({"body": b" " * (2**20 + 1)}, 413),
        ({"body": json.dumps({"instances": [row("t1", wind="x")]})}, 400),
        ({"is_base64": True}, 400),
    ],
)
def test_what_is_unusual_is_left_to_the_steps(changes: dict[str, Any], status: int) -> None:
    service = served(BINARY, WHOLE, None, ready=True)
    request = HttpRequest(headers=JSON, body=json.dumps({"instances": [row("t1")]}))._replace(**changes)
    assert service._direct is not None
    assert service._direct(request, "r", AT, 0.0) is None
    assert service.answer("predictions", request, request_id="r", at=AT).status == status


def test_an_unusable_score_is_the_models_failure_as_the_steps_say_it(monkeypatch: pytest.MonkeyPatch) -> None:
    service = served(BINARY, WHOLE, None, ready=True)
    monkeypatch.setattr(BINARY.scorer, "_run_session", lambda _, feed, __: [np.full(len(feed["num"]), np.nan)])
    request = HttpRequest(headers=JSON, body=json.dumps({"instances": [row("t1")]}))
    answer = service.answer("predictions", request, request_id="r", at=AT)
    assert (answer.status, answer.no_score is not None) == (500, True)


def test_a_failure_is_the_models_though_the_next_attempt_would_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a model whose runtime fails at its first attempt alone
    service = served(BINARY, WHOLE, None, ready=True)
    works, attempts = BINARY.scorer._run_session, count()

    def fails_once(*arguments: Any) -> Any:
        if next(attempts) == 0:
            raise RuntimeError("the runtime failed")
        return works(*arguments)

    monkeypatch.setattr(BINARY.scorer, "_run_session", fails_once)
    request = HttpRequest(headers=JSON, body=json.dumps({"instances": [row("t1")]}))
    # WHEN it is asked, THEN nothing hides that it failed
    with pytest.raises(RuntimeError, match="the runtime failed"):
        service.answer("predictions", request, request_id="r", at=AT)
    assert next(attempts) == 1
    assert service.answer("predictions", request, request_id="r", at=AT).status == 200


def test_a_version_with_an_interval_is_answered_by_the_steps() -> None:
    contract = small_contract(problem_type="regression", interval=Interval(0.9, 1.0, 2.0))
    service = PredictionService(MODEL, lambda: artifact(contract), None, lambda: 0.0)
    body = json.dumps({"instances": [row("t1")]})
    for _ in range(2):
        answer = service.answer("predictions", HttpRequest(headers=JSON, body=body), request_id="r", at=AT)
    assert service._direct is None
    assert "low" in json.loads(answer.reply.body)["predictions"][0]
