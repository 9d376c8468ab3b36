"""Tensors that compiled code reads are those that are read field by field, and what it leaves is refused there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import HttpRequest
from everloop.serving.protocols import ServedModel
from everloop.serving.protocols.v2 import PROTOCOL
from everloop.serving.request import RequestParser
from everloop.serving.typed_rows import TypedReader
from tests.helpers.artifacts import MODEL, row, small_contract

PLAIN, COMPILED = RequestParser(small_contract()), RequestParser(small_contract())
COMPILED.compile(TypedReader)
REQUEST = HttpRequest(path=f"models/{MODEL}/infer")


def tensor(name: str, values: list[Any], **changes: Any) -> dict[str, Any]:
    kind = "BYTES" if any(isinstance(value, str) for value in values) else "FP64"
    return {"name": name, "shape": [len(values)], "datatype": kind, "data": values, **changes}


def tensors(rows: int = 1, **changes: Any) -> list[dict[str, Any]]:
    return [
        tensor(name, [f"t{i}" if name == "train_id" else value for i in range(rows)]) for name, value in row().items()
    ]


def read(parser: RequestParser, body: bytes) -> Any:
    """What is asked, or what is said against it."""
    try:
        question = PROTOCOL.question(REQUEST, body, ServedModel(7, parser))
        return repr(question.instances), question[2:]  # type: ignore[index]  # a tuple here
    except RequestError as error:
        return error.code, error.message, error.field, error.index


def taken(body: bytes) -> bool:
    """Whether compiled code reads it; either way the outcome is the same."""
    assert read(PLAIN, body) == read(COMPILED, body)
    return COMPILED.columns_of_body(body) is not None


@pytest.mark.parametrize("rows", [1, 3, 100])
@pytest.mark.parametrize("more", [{}, {"id": "é"}])
def test_plain_tensors_are_read_by_compiled_code(rows: int, more: dict[str, Any]) -> None:
    assert taken(json.dumps({"inputs": tensors(rows), **more}).encode())
    columns = [{**one, "shape": [rows, 1]} for one in tensors(rows)]
    assert taken(json.dumps({"inputs": columns, **more}).encode())


def changed(at: int, **changes: Any) -> bytes:
    inputs = tensors()
    inputs[at] |= changes
    return json.dumps({"inputs": inputs}).encode()


GOOD = json.dumps({"inputs": tensors()}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"inputs": []}',
        json.dumps({"inputs": tensors(101)}).encode(),
        json.dumps({"inputs": tensors(), "outputs": [{"name": "prediction"}]}).encode(),
        json.dumps({"inputs": tensors(), "parameters": {"binary_data_output": True}}).encode(),
        json.dumps({"inputs": tensors(), "id": None}).encode(),
        json.dumps({"inputs": tensors(), "id": "x" * 257}).encode(),
        json.dumps({"inputs": [*tensors(), tensors()[0]]}).encode(),
        json.dumps({"inputs": tensors()}).encode("utf-16"),
        GOOD.replace(b'"inputs"', b'"inputs": [], "inputs"', 1),
        GOOD.replace(b'"shape"', b'"shape": [1], "shape"', 1),
        GOOD.replace(b"3.5", b"NaN"),
        GOOD.replace(b"3.5", b"1e999"),
        GOOD.replace(b'"a"', b'"\\""'),
        GOOD.replace(b'"a"', b'"\\ud800"'),
        changed(0, datatype="FP32"),
        changed(0, name=""),
        changed(0, name="n" * 257),
        changed(1, data=[[120]]),
        changed(1, data=[120, 120]),
        changed(1, data=["120"]),
        changed(1, data=[]),
        changed(1, shape=[1, 2]),
        changed(1, shape=[True]),
        changed(1, shape=[0]),
        changed(1, datatype="FP65"),
        changed(1, parameters={}),
        changed(3, data=[["north"]]),
    ],
)
def test_anything_else_is_left_to_reading_field_by_field(body: bytes) -> None:
    assert not taken(body)


VALUES = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text()


@settings(max_examples=10)
@given(st.lists(st.tuples(st.text(max_size=3), st.sampled_from(["FP64", "INT64", "BYTES"]), VALUES), max_size=4))
def test_whatever_the_values_are_they_are_the_same_ones(given: list[tuple[str, str, Any]]) -> None:
    inputs = [tensor(name, [value], datatype=kind) for name, kind, value in given]
    taken(json.dumps({"inputs": inputs}, ensure_ascii=False).encode("utf-8", "surrogatepass"))
