"""Whatever a body holds, it is refused or answered for a cost in proportion to its bytes, and in a few words."""

from __future__ import annotations

import base64
import contextlib
import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.serving.exceptions import RequestError
from everloop.serving.labels import LabelRules, parse_labels
from everloop.serving.request import MAX_BODY_BYTES, RequestParser, _object_of_distinct_fields, decode_body
from everloop.serving.response import STATUS_OF_CODE, http_response, request_error_document
from support.growth import assert_linear
from tests.helpers.artifacts import small_contract
from tests.helpers.requests import rows_in_body

LONGEST_ANSWER = 2_000
"""Characters of the answer to a refused request, whatever it was."""

DOORS: dict[str, Callable[[bytes], object]] = {
    "predictions": partial(rows_in_body, RequestParser(small_contract())),
    "labels": lambda body: parse_labels(body, LabelRules(is_binary=True)),
}


def _row(**fields: str) -> bytes:
    given = {"train_id": '"t"', "distance": "1", "wind": "1", "line": '"north"', "operator": '"a"', "day": '"mon"'}
    inner = ",".join(f'"{name}":{text}' for name, text in {**given, **fields}.items())
    return f'{{"instances":[{{{inner}}}]}}'.encode()


BODIES: dict[str, Callable[[int], bytes]] = {
    "many fields, the last one twice": lambda n: (
        "{" + ",".join(f'"{i}":0' for i in range(n // 9)) + f',"{n // 9 - 1}":0}}'
    ).encode(),
    "many objects with a field twice": lambda n: b'{"instances":[' + b",".join([b'{"a":1,"a":1}'] * (n // 14)) + b"]}",
    "many fields": lambda n: ('{"instances":[{' + ",".join(f'"{i}":0' for i in range(n // 9)) + "}]}").encode(),
    "many unknown fields": lambda n: ("{" + ",".join(f'"{i}":0' for i in range(n // 9)) + "}").encode(),
    "deep lists": lambda n: b"[" * (n // 2) + b"]" * (n // 2),
    "deep objects": lambda n: b'{"a":' * (n // 6) + b"1" + b"}" * (n // 6),
    "deep in a field": lambda n: _row(wind="[" * (n // 2) + "]" * (n // 2)),
    "an integer of many digits": lambda n: _row(wind="9" * n),
    "many long integers": lambda n: _row(wind="[" + ",".join(["9" * 4000] * (n // 4000)) + "]"),
    "a fraction of many digits": lambda n: _row(wind="0." + "9" * n),
    "a small number of many digits": lambda n: _row(wind="1" * n + f"e-{n}"),
    "an exponent of many digits": lambda n: _row(wind="1e" + "9" * n),
    "many escapes": lambda n: _row(line='"' + "\\u0041" * (n // 6) + '"'),
    "many control characters": lambda n: _row(line='"' + "\\u0001" * (n // 6) + '"'),
    "a long name": lambda n: b'{"' + b"x" * n + b'":1,"instances":[]}',
    "a long name of escapes": lambda n: b'{"instances":[{"' + b"\\u202e" * (n // 6) + b'":1}]}',
    "many empty rows": lambda n: b'{"instances":[' + b",".join([b"{}"] * (n // 3)) + b"]}",
    "many small objects": lambda n: b'{"instances":[' + b",".join([b'{"":0}'] * (n // 7)) + b"]}",
    "many lists in a field": lambda n: _row(wind="[" + ",".join(["[]"] * (n // 3)) + "]"),
    "white space": lambda n: b" " * n,
    "lines before a mistake": lambda n: b"\n" * n + b"x",
    "no text in any encoding": lambda n: b"\xff" * n,
    "another encoding": lambda n: ('{"instances":["' + "a" * (n // 2) + '"]}').encode("utf-16"),
    "wide characters": lambda n: _row(line='"' + "\U0001f600" * (n // 4) + '"'),
    "a text without an end": lambda n: b'["' + b"a" * n,
}


def refusal(act: Callable[[bytes], object], body: bytes) -> RequestError | None:
    """Why a body is refused; None where it is taken."""
    try:
        act(body)
    except RequestError as refused:
        return refused
    return None


def answer_to(refused: RequestError) -> str:
    """The body of the answer to a refused request, which is the caller's to mend."""
    answered = http_response(STATUS_OF_CODE[refused.code], request_error_document(refused))
    assert 400 <= answered["statusCode"] < 500
    return answered["body"]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("door", DOORS)
def test_a_large_body_costs_in_proportion(door: str, name: str) -> None:
    assert_linear(BODIES[name], lambda body: refusal(DOORS[door], body), size=8_000)
    refused = refusal(DOORS[door], BODIES[name](20_000))
    assert refused is None or len(answer_to(refused)) < LONGEST_ANSWER


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_a_body_of_the_largest_size_takes_little_memory(name: str) -> None:
    body = BODIES[name](MAX_BODY_BYTES)
    tracemalloc.start()
    refusal(DOORS["predictions"], body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * MAX_BODY_BYTES


class _Counted(str):
    """A name that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        _Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_field_given_twice_is_found_in_one_pass() -> None:
    # GIVEN an object of many fields of which the last comes twice
    pairs: list[tuple[str, Any]] = [(_Counted(i), 0) for i in range(5_000)]
    pairs.append((_Counted(4_999), 0))
    _Counted.compared = 0
    # WHEN it is made; THEN it is refused with that name, after comparisons in proportion to the fields
    with pytest.raises(RequestError, match="gives '4999' twice"):
        _object_of_distinct_fields(pairs)
    assert _Counted.compared < 10 * len(pairs)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[" * 100_000, "the body is not JSON: it is nested too deeply"),
        (_row(wind="9" * 5000), "the body is not JSON: a whole number in it has more than 4300 digits"),
        (b'{"a":1,"a":2}', "an object gives 'a' twice"),
    ],
)
def test_what_is_wrong_is_told_to_the_caller(body: bytes, told: str) -> None:
    for act in DOORS.values():
        refused = refusal(act, body)
        assert refused is not None
        assert json.loads(answer_to(refused))["error"]["message"] == told


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
)
_NAMES = st.sampled_from(["train_id", "distance", "wind", "line", "operator", "day", "label", "key", "prediction_id"])


@pytest.mark.slow
@settings(max_examples=60)
@given(
    body=st.one_of(
        st.binary(max_size=200),
        _JSON.map(lambda v: json.dumps(v).encode()),
        st.lists(st.dictionaries(_NAMES, _JSON, max_size=9), max_size=4).flatmap(
            lambda rows: st.sampled_from(["instances", "labels"]).map(lambda name: json.dumps({name: rows}).encode())
        ),
    )
)
def test_no_body_is_anything_but_read_or_refused(body: bytes) -> None:
    for act in DOORS.values():
        refused = refusal(act, body)
        assert refused is None or len(answer_to(refused)) < LONGEST_ANSWER


@pytest.mark.slow
@given(st.text(max_size=100), st.booleans())
def test_no_event_body_is_anything_but_decoded_or_refused(text: str, is_base64: bool) -> None:
    with contextlib.suppress(RequestError):
        data = decode_body(text, is_base64=is_base64)
        assert data == (base64.b64decode(text) if is_base64 else text.encode("utf-8", "surrogatepass"))
