"""The Open Inference Protocol: pages, tensors as JSON and as bytes, and what is wrong in one string."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

from everloop import __version__
from everloop.serving.exceptions import NoChampionError, RequestError
from everloop.serving.exchange import HttpRequest, Reply
from everloop.serving.protocols import ServedModel
from everloop.serving.protocols.v2 import PROTOCOL
from everloop.serving.request import RequestParser
from everloop.serving.scores import Scores
from tests.helpers.artifacts import MODEL, row, small_contract

SERVED = ServedModel(7, RequestParser(small_contract()))
INFER = f"models/{MODEL}/infer"
SCORES = Scores(np.array([0.125, 0.875]), np.array([0.25, 0.75]), "c0ffee" * 10)


def tensor(name: str, datatype: str, data: list[Any] | str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "shape": [len(data)], "datatype": datatype, "data": data, **changes}


def inputs(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Two rows, a tensor a column."""
    tensors = {
        "train_id": tensor("train_id", "BYTES", ["t1", "t2"]),
        "distance": tensor("distance", "FP64", [120, 0.5]),
        "wind": tensor("wind", "FP64", [3.5, None]),
        "line": tensor("line", "BYTES", ["north", "south"]),
    }
    return list((tensors | changes).values())


def read(document: Any, *, path: str = INFER, headers: dict[str, str] | None = None, behind: bytes = b"") -> Any:
    body = json.dumps(document).encode()
    request = HttpRequest(path=path, headers=headers or {})
    return PROTOCOL.question(request, body + behind, SERVED)


def refused(document: Any, **options: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(document, **options)
    return caught.value


def get(path: str, served: ServedModel = SERVED) -> Any:
    request = HttpRequest("GET", path)
    assert PROTOCOL.predicts(request, MODEL) is False
    return json.loads(PROTOCOL.page(request, lambda: served).body)


def test_rows_are_read_from_columns_and_null_and_nan_are_missing() -> None:
    for missing in (None, float("nan")):
        question = read({"inputs": inputs(wind=tensor("wind", "FP32", [3.5, missing]))})
        assert question.instances == [
            {"train_id": "t1", "distance": 120, "wind": 3.5, "line": "north"},
            {"train_id": "t2", "distance": 0.5, "wind": None, "line": "south"},
        ]


@pytest.mark.parametrize("shaped", [{"shape": [2, 1]}, {"shape": [2, 1], "data": [[3.5], [None]]}])
def test_a_column_may_have_a_second_axis_flat_or_nested(shaped: dict[str, Any]) -> None:
    column = tensor("wind", "FP64", [3.5, None]) | shaped
    assert [instance["wind"] for instance in read({"inputs": inputs(wind=column)}).instances] == [3.5, None]


def in_bytes(name: str, datatype: str, rows: int, data: bytes) -> dict[str, Any]:
    return {"name": name, "shape": [rows], "datatype": datatype, "parameters": {"binary_data_size": len(data)}}


def elements(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


@pytest.mark.parametrize(
    ("datatype", "code"),
    [("FP64", "<f8"), ("FP32", "<f4"), ("FP16", "<f2"), ("INT64", "<i8"), ("INT32", "<i4"), ("UINT8", "<u1")],
)
def test_numbers_come_as_bytes_of_every_width(datatype: str, code: str) -> None:
    keys, numbers = elements(b"t1", b"t\xc3\xa4"), np.array([3, 200], code).tobytes()
    document = {
        "inputs": [in_bytes("train_id", "BYTES", 2, keys), in_bytes("distance", datatype, 2, numbers), *inputs()[3:]]
    }
    length = str(len(json.dumps(document)))
    question = read(document, behind=keys + numbers, headers={"inference-header-content-length": length})
    assert [i["distance"] for i in question.instances] == [3, 200]
    assert [i["train_id"] for i in question.instances] == ["t1", "tä"]


def test_outputs_come_as_json_or_as_bytes_as_each_was_asked_for() -> None:
    document = {
        "id": "mine",
        "inputs": inputs(),
        "outputs": [{"name": "probability", "parameters": {"binary_data": True}}, {"name": "prediction"}],
    }
    reply: Reply = read(document).answer(SCORES, request_id="req-1")
    assert reply.content_type == "application/octet-stream"
    length = int(reply.headers["inference-header-content-length"])
    answer = json.loads(reply.body[:length])
    assert (answer["model_name"], answer["model_version"], answer["id"]) == (MODEL, "7", "mine")
    assert answer["parameters"] == {"calibration": "c0ffeec0ffee"}
    assert answer["outputs"] == [
        {"name": "probability", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}},
        {"name": "prediction", "shape": [2], "datatype": "INT64", "data": [0, 1]},
    ]
    assert np.frombuffer(reply.body[length:], "<f8").tolist() == [0.25, 0.75]


def test_all_outputs_come_where_none_is_named_in_the_form_of_the_request() -> None:
    answer = json.loads(read({"inputs": inputs()}).answer(SCORES, request_id="req-1").body)
    assert answer["id"] == "req-1"
    assert {o["name"]: (o["datatype"], o["data"]) for o in answer["outputs"]} == {
        "prediction_id": ("BYTES", ["req-1-0", "req-1-1"]),
        "prediction": ("INT64", [0, 1]),
        "raw_score": ("FP64", [0.125, 0.875]),
        "probability": ("FP64", [0.25, 0.75]),
    }
    reply = read({"inputs": inputs(), "parameters": {"binary_data_output": True}}).answer(SCORES, request_id="r")
    head = int(reply.headers["inference-header-content-length"])
    assert reply.body[head:].startswith(elements(b"r-0", b"r-1"))


@pytest.mark.parametrize(
    ("changed", "code", "found"),
    [
        ({"distance": tensor("distance", "FP64", [1])}, "wrong_shape", "'distance' has 1 rows, and 'train_id' has 2"),
        ({"distance": tensor("distance", "FP64", [1, 2], shape=[3])}, "wrong_shape", "3"),
        ({"distance": tensor("distance", "FP64", [1, 2, 3], shape=[2])}, "wrong_shape", "has 3 values, and 2"),
        ({"distance": tensor("distance", "FP64", [1, 2], shape=[2, 2])}, "wrong_shape", "send [rows] or [rows, 1]"),
        ({"distance": tensor("distance", "FP64", [1, 2], shape=[-1])}, "wrong_shape", "send [rows] or [rows, 1]"),
        ({"train_id": tensor("train_id", "FP64", [1, 2], shape=[10**9])}, "too_many_instances", "at most 100"),
        ({"distance": tensor("distance", "BF16", [1, 2])}, "wrong_type", "'BF16'; send one of BYTES, FP16"),
        ({"distance": tensor("distance", "FP64", "12")}, "wrong_type", "send a list"),
        ({"again": tensor("distance", "FP64", [1, 2])}, "malformed_json", "'distance' comes twice"),
        ({"nameless": {"shape": [2]}}, "wrong_type", "a tensor whose name is None"),
        ({"train_id": tensor("train_id", "FP32", [1, 2])}, "wrong_type", "send BYTES or INT64"),
        ({"distance": {"name": "distance", "shape": [2], "datatype": "FP64"}}, "wrong_type", "no 'data'"),
    ],
)
def test_what_is_wrong_with_a_tensor_is_named(changed: dict[str, Any], code: str, found: str) -> None:
    error = refused({"inputs": inputs(**changed)})
    assert error.code == code
    assert found in error.message


@pytest.mark.parametrize(
    ("size", "behind", "found"),
    [
        (8, b"12345678", "16"),
        (16, b"1234", "4 are left"),
        (16, b"0" * 17, "1 bytes follow"),
        (-1, b"", "0 are left"),
        ("16", b"0" * 16, "'16'"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(size: object, behind: bytes, found: str) -> None:
    changed = {"name": "distance", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": size}}
    document = {"inputs": inputs(distance=changed)}
    headers = {"inference-header-content-length": str(len(json.dumps(document)))}
    error = refused(document, behind=behind, headers=headers)
    assert error.code == "wrong_shape"
    assert found in error.message


@pytest.mark.parametrize("given", ["-1", "x", "99999999", "9" * 40, "١"])
def test_a_length_of_the_json_that_is_none_is_refused(given: str) -> None:
    error = refused({"inputs": inputs()}, headers={"inference-header-content-length": given})
    assert (error.code, "inference-header-content-length" in error.message) == ("malformed_json", True)


def test_an_element_that_ends_early_or_is_not_utf_8_is_refused() -> None:
    for data, code in ((struct.pack("<I", 9) + b"t1", "wrong_shape"), (elements(b"t1", b"\xff"), "wrong_type")):
        document = {"inputs": inputs(train_id=in_bytes("train_id", "BYTES", 2, data))}
        headers = {"inference-header-content-length": str(len(json.dumps(document)))}
        assert refused(document, behind=data, headers=headers).code == code


def test_an_output_that_there_is_not_is_refused_before_anything_is_scored() -> None:
    error = refused({"inputs": inputs(), "outputs": [{"name": "logits"}]})
    assert (error.code, error.field) == ("unknown_output", "logits")
    assert "prediction_id, prediction, raw_score, probability" in error.message


def test_another_version_than_the_one_that_serves_is_refused() -> None:
    assert read({"inputs": inputs()}, path=f"models/{MODEL}/versions/7/infer").instances
    error = refused({"inputs": inputs()}, path=f"models/{MODEL}/versions/6/infer")
    assert (error.code, error.message) == ("unknown_version", "version '6' does not serve; version 7 does")


def test_pages_tell_about_server_and_model() -> None:
    assert get("") == {"name": "everloop", "version": __version__, "extensions": ["binary_tensor_data"]}
    assert get("health/live") == {"live": True}
    assert get("health/ready") == {"ready": True}
    assert get(f"models/{MODEL}/ready") == {"name": MODEL, "ready": True}
    page = get(f"models/{MODEL}/versions/7")
    assert page == get(f"models/{MODEL}")
    assert (page["versions"], page["platform"]) == (["7"], "onnxruntime_onnx")
    assert {i["name"]: i["datatype"] for i in page["inputs"]} == {
        name: "FP64" if name in ("distance", "wind") else "BYTES" for name in row("t1")
    }
    assert [o["name"] for o in page["outputs"]] == ["prediction_id", "prediction", "raw_score", "probability"]


def test_a_server_without_a_version_is_live_and_not_ready() -> None:
    def load() -> ServedModel:
        raise NoChampionError("no version serves")

    assert PROTOCOL.page(HttpRequest("GET", "health/live"), load).body
    for path in ("health/ready", f"models/{MODEL}/ready", f"models/{MODEL}"):
        with pytest.raises(NoChampionError):
            PROTOCOL.page(HttpRequest("GET", path), load)


def test_another_model_is_not_here() -> None:
    with pytest.raises(RequestError) as error:
        PROTOCOL.predicts(HttpRequest(path="models/other/infer"), MODEL)
    assert (error.value.code, error.value.message) == (
        "unknown_model",
        f"there is no model 'other' here; there is '{MODEL}'",
    )


def test_a_refusal_is_one_string_with_code_and_place() -> None:
    said = json.loads(PROTOCOL.refusal("wrong_type", "'wind' is a string", field="wind", index=3).body)
    assert said == {"error": "wrong_type (row 3, field 'wind'): 'wind' is a string"}
    assert json.loads(PROTOCOL.refusal("no_champion", "none").body) == {"error": "no_champion: none"}
