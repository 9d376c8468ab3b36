"""What every protocol of the data plane keeps, and that a protocol of one's own is a file and its registration."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.functions.predict.handler import Environment, Predictor
from everloop.names import ModelNames
from everloop.serving.exceptions import RequestError, UnknownRouteError
from everloop.serving.protocols import PROTOCOLS, DataPlaneProtocol, protocols_by_route
from everloop.serving.request import RequestParser
from everloop.serving.response import prediction_id
from everloop.serving.scores import Scores
from tests.fakes.delivery_stream import FakeFirehose
from tests.fakes.object_store import FakeS3
from tests.helpers.artifacts import MODEL, PREFIX, StoredArtifact, row, small_contract
from tests.helpers.http_events import http_event
from tests.helpers.seams import add

CONTRACT = small_contract()
PARSER = RequestParser(CONTRACT)
ROWS = [row("t1"), row("t2", line="south", distance=0, wind=None, operator="zz")]
Body = Callable[[list[dict[str, Any]]], Any]


def native(rows: list[dict[str, Any]]) -> Any:
    return {"instances": rows}


BODIES: dict[str, Body] = {"predictions": native}
"""How each protocol asks about rows."""


def asks_about_the_rows(protocol: DataPlaneProtocol, body: Body) -> None:
    read = PARSER.rows(protocol.instances(json.dumps(body(ROWS)).encode(), CONTRACT))
    direct = PARSER.rows(ROWS)
    assert read.keys == direct.keys
    assert np.array_equal(read.num, direct.num, equal_nan=True)
    assert read.cat.tolist() == direct.cat.tolist()
    assert read.unseen == direct.unseen


def refuses_none_and_too_many(protocol: DataPlaneProtocol, body: Body) -> None:
    for rows, code in (
        ([], "no_instances"),
        ([row(str(i)) for i in range(CONTRACT.max_rows + 1)], "too_many_instances"),
    ):
        with pytest.raises(RequestError) as refused:
            protocol.instances(json.dumps(body(rows)).encode(), CONTRACT)
        assert refused.value.code == code


def refuses_what_is_no_request(protocol: DataPlaneProtocol, body: Body) -> None:
    for wrong in (b"", b"\xff", b"[", b"null", b"[]", b'"x"', b"{}", b'{"nothing": 1}'):
        with pytest.raises(RequestError):
            protocol.instances(wrong, CONTRACT)


def answers_each_row_in_order(protocol: DataPlaneProtocol, body: Body) -> None:
    for contract in (CONTRACT, replace(CONTRACT, problem_type="regression", threshold=None)):
        scores = Scores(np.array([0.125, 0.875]), np.array([0.25, 0.75]), "c0ffee" * 10)
        text = json.dumps(protocol.answer(contract, scores, version=7, request_id="req-1"), allow_nan=False)
        places = [text.index(json.dumps(prediction_id("req-1", i))) for i in range(2)]
        assert places == sorted(places)
        assert all(score in text for score in ("0.25", "0.75", "0.125", "0.875"))
        assert str(scores.calibration) in text


def says_what_is_wrong(protocol: DataPlaneProtocol, body: Body) -> None:
    text = json.dumps(protocol.refusal("too_long", "the name is too long", field="operator", index=3), allow_nan=False)
    assert "too_long" in text
    assert "the name is too long" in text
    json.dumps(protocol.refusal("no_champion", "nothing serves"), allow_nan=False)


CLAUSES = [
    asks_about_the_rows,
    refuses_none_and_too_many,
    refuses_what_is_no_request,
    answers_each_row_in_order,
    says_what_is_wrong,
]
PROTOCOL = pytest.mark.parametrize("name", PROTOCOLS.names)


@PROTOCOL
@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_keeps_the_contract(name: str, clause: Callable[[DataPlaneProtocol, Body], None]) -> None:
    clause(PROTOCOLS.load(name), BODIES[name])


@PROTOCOL
@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_refusal(name: str, body: bytes) -> None:
    try:
        instances = PROTOCOLS.load(name).instances(body, CONTRACT)
    except RequestError:
        return
    assert 0 < len(instances) <= CONTRACT.max_rows


def test_no_two_are_asked_at_one_path_and_none_at_the_labels() -> None:
    paths = [protocol.path(MODEL) for protocol in PROTOCOLS]
    assert len(set(paths)) == len(paths)
    assert ModelNames(MODEL).path("labels") not in paths
    assert all(path.startswith("/") for path in paths)
    assert set(protocols_by_route(MODEL)) == {f"POST {path}" for path in paths}


COLUMNS = """
from everloop.serving.exceptions import RequestError
from everloop.serving.request import parse_json
from everloop.serving.response import decide, prediction_id


class Columns:
    def path(self, model):
        return f"/columns/{model}"

    def instances(self, body, contract):
        columns = parse_json(body)
        if not isinstance(columns, dict) or not all(isinstance(values, list) for values in columns.values()):
            raise RequestError("wrong_type", "send an object of columns")
        lengths = {len(values) for values in columns.values()}
        if lengths in (set(), {0}):
            raise RequestError("no_instances", "there are no rows")
        if len(lengths) > 1:
            raise RequestError("wrong_type", "the columns differ in length")
        (rows,) = lengths
        if rows > contract.max_rows:
            raise RequestError("too_many_instances", f"{rows} rows")
        return [{name: values[i] for name, values in columns.items()} for i in range(rows)]

    def answer(self, contract, scores, *, version, request_id):
        ids = [prediction_id(request_id, i) for i in range(len(scores.served))]
        return {
            "version": version,
            "calibration": scores.calibration,
            "ids": ids,
            "scores": scores.served.tolist(),
            "raw": scores.raw.tolist(),
            "answers": decide(contract, scores.served),
        }

    def refusal(self, code, message, *, field=None, index=None):
        return {"problem": f"{code}: {message}", "at": [index, field]}


PROTOCOL = Columns()
"""


def in_columns(rows: list[dict[str, Any]]) -> Any:
    return {name: [r[name] for r in rows] for name in row("t0")}


def test_one_is_added_by_its_file_and_its_registration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN a protocol of one's own, which keeps the contract
    add(monkeypatch, tmp_path, PROTOCOLS, "columns", COLUMNS)
    for clause in CLAUSES:
        clause(PROTOCOLS.load("columns"), in_columns)
    # WHEN the function that answers is asked by it, and by the product's own
    stored, stream = StoredArtifact(), FakeFirehose()
    variables = {
        "EVERLOOP_MODEL": MODEL,
        "EVERLOOP_ARTIFACT_BUCKET": "artifacts",
        "EVERLOOP_PREDICTIONS_STREAM": "predictions",
        "EVERLOOP_VERSION": "7",
        "EVERLOOP_ARTIFACT_PREFIX": PREFIX,
        "EVERLOOP_MANIFEST_SHA256": stored.manifest_sha256,
    }
    predictor = Predictor(Environment.read(variables), s3_client=FakeS3(stored.objects), firehose_client=stream)

    def asked(path: str, document: Any) -> tuple[int, Any]:
        answer = predictor.handle(http_event(document, path=path), "4")
        return answer["statusCode"], json.loads(answer["body"])

    status, own = asked(f"/models/{MODEL}/predictions", native(ROWS))
    captured = [{**record, "latency_ms": 0} for record in stream.taken]
    stream.taken.clear()
    # THEN both answer with the same scores, each in its words, and the lake gets the same
    assert (status, asked(f"/columns/{MODEL}", in_columns(ROWS))) == (
        200,
        (
            200,
            {
                "version": 7,
                "calibration": None,
                "ids": [p["prediction_id"] for p in own["predictions"]],
                "scores": [p["probability"] for p in own["predictions"]],
                "raw": [p["raw_score"] for p in own["predictions"]],
                "answers": [p["prediction"] for p in own["predictions"]],
            },
        ),
    )
    assert [{**record, "latency_ms": 0} for record in stream.taken] == captured
    # AND a wrong value is refused in its words, with the same status
    wrong = in_columns([row("t1", line="south"), row("t2", distance="far")])
    status, said = asked(f"/columns/{MODEL}", wrong)
    assert (status, said["at"]) == (400, [1, "distance"])
    assert said["problem"].startswith("wrong_type: ")
    with pytest.raises(UnknownRouteError, match=f"POST /columns/{MODEL}"):
        asked("/elsewhere", native(ROWS))
