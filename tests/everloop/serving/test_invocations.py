"""What is asked at ``/invocations``: MLflow's documents, JSON Lines, CSV, and what is wrong with them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from everloop import __version__
from everloop.serving.contract import CategoryField, NumberField
from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import HttpRequest, Reply
from everloop.serving.protocols import DataPlaneProtocol, ServedModel
from everloop.serving.protocols.mlflow import PROTOCOL as MLFLOW
from everloop.serving.protocols.sagemaker import PROTOCOL as SAGEMAKER
from everloop.serving.request import RequestParser
from everloop.serving.scores import Scores
from tests.helpers.artifacts import MODEL, small_contract

DECLARED = (NumberField("seats", missing="allow"), CategoryField("depot", missing="allow"))
SERVED = ServedModel(7, RequestParser(small_contract(), DECLARED))
SCORES = Scores(np.array([0.125, 0.875]), np.array([0.25, 0.75]), "c0ffee" * 10)
JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
NAMES = "train_id,distance,wind,line,operator,day"
TWO = f"{NAMES}\nt1,120,3.5,north,a,\nt2,0,,south,zz,mon\n"


def asked(protocol: DataPlaneProtocol, body: Any, content_type: str = JSON, **headers: str) -> Any:
    data = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = HttpRequest(path="invocations", headers={"content-type": content_type, **headers})
    return protocol.question(request, data, SERVED)


def refused(protocol: DataPlaneProtocol, body: Any, content_type: str = JSON, **headers: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        SERVED.parser.rows(asked(protocol, body, content_type, **headers).instances)
    return caught.value


def test_the_order_of_values_without_names_is_the_contracts() -> None:
    assert ",".join(SERVED.parser.fields) == f"{NAMES},seats,depot"


@pytest.mark.parametrize("declared", ["", ",300,east"])
def test_csv_without_names_may_end_before_what_only_the_declaration_has(declared: str) -> None:
    (read,) = asked(SAGEMAKER, f"t1,120,3.5,north,a,{declared}\n", CSV).instances
    assert list(read.values())[:6] == ["t1", 120.0, 3.5, "north", "a", None]
    assert read.get("seats") == (300.0 if declared else None)


def test_csv_has_a_line_of_names_where_it_is_one_or_where_its_type_says_so() -> None:
    named = asked(SAGEMAKER, TWO, CSV).instances
    assert [r["wind"] for r in named] == [3.5, None]
    assert asked(SAGEMAKER, "line,distance,train_id\nnorth,1,t1\n", CSV).instances == [
        {"line": "north", "distance": 1.0, "train_id": "t1"}
    ]
    said = asked(SAGEMAKER, "train_id,distanze\nt1,1\n", "text/csv; header=present").instances
    assert said == [{"train_id": "t1", "distanze": "1"}]
    assert refused(SAGEMAKER, TWO, "text/csv; header=absent").field == "distance", "its first line is a row then"


@pytest.mark.parametrize(
    ("body", "code", "index", "found"),
    [
        ("t1,far,3.5,north,a,\n", "wrong_type", 0, "'distance' is 'far'; send a number, or nothing"),
        (f"{TWO}t3,1_0,,north,,\n", "wrong_type", 2, "'distance' is '1_0'"),
        (f"{TWO}t3,nan,,north,,\n", "wrong_type", 2, "'distance' is 'nan'"),
        (f"{TWO}t3,inf,,north,,\n", "not_finite", 2, "'distance' is inf"),
        (f"{TWO}t3,9999,,north,,\n", "out_of_range", 2, "allowed is from 0 to 5000"),
        (f"{TWO}t3,1,north\n", "wrong_type", 2, "the row has 3 values, not 6: train_id, distance"),
        ("t1,1,north\n", "wrong_type", 0, "the row has 3 values, not 8: train_id, distance"),
        (f"{TWO}t1,1,,north,,\n", "duplicate_key", 2, "'t1'"),
        ("train_id,train_id\nt1,t1\n", "malformed_json", None, "twice"),
        (f'{TWO}"t3', "malformed_json", None, "not CSV"),
        (b"\xff", "malformed_json", None, "not UTF-8"),
        (f"{NAMES}\n", "no_instances", None, "no rows"),
    ],
)
def test_what_is_wrong_with_csv_is_named(body: Any, code: str, index: int | None, found: str) -> None:
    error = refused(SAGEMAKER, body, CSV)
    assert (error.code, error.index) == (code, index)
    assert found in error.message


def test_a_line_of_json_that_is_none_is_named_by_its_row() -> None:
    good = '{"train_id": "t1", "distance": 1, "line": "north"}\n'
    assert len(asked(SAGEMAKER, f"\n{good}\n", "application/x-ndjson").instances) == 1
    error = refused(SAGEMAKER, good + "{", LINES)
    assert (error.code, error.index) == ("malformed_json", 1)


@pytest.mark.parametrize(
    ("document", "code", "found"),
    [
        ([], "wrong_type", "'dataframe_split', 'dataframe_records', 'instances', 'inputs'"),
        ({}, "no_instances", "the body has none of"),
        ({"instances": [], "inputs": {}}, "no_instances", "'instances' and 'inputs'"),
        ({"instances": {}}, "wrong_type", "'instances' is an object; send a list"),
        ({"instances": [{}], "params": {"depth": 3}}, "unknown_feature", "'params'"),
        ({"dataframe_split": {"columns": ["a"]}}, "wrong_type", "orient='split'"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, "wrong_type", "each of them once"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}}, "wrong_type", "the row has 2 values"),
        ({"inputs": {"a": [1, 2], "b": [1]}}, "wrong_shape", "'b' has 1 values, and 'a' has 2"),
    ],
)
def test_what_is_wrong_with_a_document_is_named(document: Any, code: str, found: str) -> None:
    for protocol in (MLFLOW, SAGEMAKER):
        error = refused(protocol, document)
        assert error.code == code
        assert found in error.message


def test_parameters_that_are_empty_are_no_field() -> None:
    rows = [{"train_id": "t1", "distance": 1, "line": "north"}]
    nothing: tuple[dict[str, Any] | None, ...] = (None, {})
    for params in nothing:
        assert asked(MLFLOW, {"instances": rows, "params": params}).instances == rows


@pytest.mark.parametrize(
    "form",
    [
        '{"dataframe_split": {"columns": ["train_id", "wind"], "data": [["t1", NaN]]}}',
        '{"dataframe_records": [{"train_id": "t1", "wind": NaN}]}',
        '{"inputs": {"train_id": ["t1"], "wind": [NaN]}}',
        '{"instances": [{"train_id": "t1", "wind": NaN}]}',
    ],
)
def test_what_pandas_misses_is_missing(form: str) -> None:
    assert asked(MLFLOW, form).instances == [{"train_id": "t1", "wind": None}]


def test_mlflow_answers_with_records_whatever_came() -> None:
    for body, content_type in ((TWO, CSV), ({"instances": [{}, {}]}, JSON)):
        answer = json.loads(asked(MLFLOW, body, content_type).answer(SCORES, request_id="r").body)
        assert answer["predictions"] == [
            {"prediction_id": "r-0", "prediction": 0, "raw_score": 0.125, "probability": 0.25},
            {"prediction_id": "r-1", "prediction": 1, "raw_score": 0.875, "probability": 0.75},
        ]
        assert (answer["version"], answer["calibration"]) == (7, "c0ffeec0ffee")


ROWS = "0,0.125,0.25,r-0,7,c0ffeec0ffee\n1,0.875,0.75,r-1,7,c0ffeec0ffee\n"
HEADER = "prediction,raw_score,probability,prediction_id,version,calibration\n"


@pytest.mark.parametrize(
    ("came", "accept", "media", "text"),
    [
        (CSV, "", "text/csv; charset=utf-8; header=absent", ROWS),
        (CSV, "*/*", "text/csv; charset=utf-8; header=absent", ROWS),
        (JSON, "text/csv", "text/csv; charset=utf-8; header=absent", ROWS),
        (JSON, "text/csv; header=present", "text/csv; charset=utf-8; header=present", HEADER + ROWS),
        (CSV, "application/json", "application/json", None),
        (CSV, "text/csv;q=0.5, application/jsonl", LINES, None),
        (LINES, "text/html, */*;q=0.1", LINES, None),
        (CSV, "text/*", "text/csv; charset=utf-8; header=absent", ROWS),
        (JSON, "application/*", JSON, None),
    ],
)
def test_sagemaker_answers_as_the_caller_accepts_and_else_as_was_asked(
    came: str, accept: str, media: str, text: str | None
) -> None:
    body = {JSON: {"instances": [{}, {}]}, LINES: "{}\n{}\n", CSV: TWO}[came]
    reply: Reply = asked(SAGEMAKER, body, came, accept=accept).answer(SCORES, request_id="r")
    assert reply.content_type == media
    if text is not None:
        assert reply.body.decode() == text
    elif media == LINES:
        first, second = map(json.loads, reply.body.splitlines())
        assert (first["probability"], second["prediction_id"], second["version"]) == (0.25, "r-1", 7)
    else:
        assert [p["prediction"] for p in json.loads(reply.body)["predictions"]] == [0, 1]


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*", "application/json;q=x"])
def test_a_form_that_there_is_not_is_refused_with_those_there_are(accept: str) -> None:
    error = refused(SAGEMAKER, {"instances": [{}]}, accept=accept)
    assert error.code == "not_acceptable"
    assert "offered are application/json, application/jsonlines, text/csv" in error.message


def test_pages_and_refusals() -> None:
    def page(protocol: DataPlaneProtocol, path: str) -> bytes:
        request = HttpRequest("GET", path)
        assert protocol.predicts(request, MODEL) is False
        return protocol.page(request, lambda: SERVED).body

    assert page(MLFLOW, "version") == __version__.encode()
    assert page(MLFLOW, "ping") == page(MLFLOW, "health") == page(SAGEMAKER, "ping") == b"\n"
    for protocol in (MLFLOW, SAGEMAKER):
        said = json.loads(protocol.refusal("wrong_type", "'wind' is a string", field="wind", index=3).body)
        assert said == {
            "error_code": "INVALID_PARAMETER_VALUE",
            "message": "'wind' is a string",
            "code": "wrong_type",
            "field": "wind",
            "index": 3,
        }
        assert json.loads(protocol.refusal("no_champion", "x").body)["error_code"] == "TEMPORARILY_UNAVAILABLE"
