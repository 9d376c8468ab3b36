"""Compiled reading takes what reading field by field takes, and gives the same rows and records."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.prediction_ids import is_captured, prediction_id
from everloop.recalibration.interval import Interval
from everloop.serving import typed_rows
from everloop.serving.capture import captured, encode_record
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.exceptions import RequestError
from everloop.serving.request import RequestParser
from everloop.serving.rows import Rows
from everloop.serving.scores import Scores
from everloop.serving.typed_rows import TypedReader
from tests.helpers.artifacts import row, small_contract
from tests.helpers.requests import rows_in_body

DECLARED = (NumberField("speed", min=0, missing="allow"), CategoryField("kind", missing="allow", values=("x",)))
FACTS: dict[str, Any] = {"version": 7, "request_id": "r", "at": datetime(2013, 3, 1, tzinfo=UTC), "latency_ms": 1.5}


def parsers(contract: ServingContract | None = None) -> tuple[RequestParser, RequestParser]:
    """One that reads field by field, and one that is compiled."""
    plain, compiled = (RequestParser(contract or small_contract(), DECLARED) for _ in range(2))
    compiled.compile(TypedReader)
    return plain, compiled


PLAIN, COMPILED = parsers()


def read(parser: RequestParser, body: bytes) -> Rows | tuple[Any, ...]:
    """The rows, or what is said against them."""
    try:
        return rows_in_body(parser, body)
    except RequestError as error:
        return error.code, error.message, error.field, error.index


def records(parser: RequestParser, rows: Rows, scores: Scores | None = None) -> list[dict[str, Any]]:
    scores = scores or Scores.of(np.linspace(0.1, 0.9, len(rows)), None)
    kept = captured(parser.contract, rows, scores, **FACTS)
    assert all(encode_record(record).count(b"\n") == 1 for record in kept)
    return [json.loads(encode_record(record)) for record in kept]


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_masked_and_sampled_records_are_those_of_the_other_reader(share: float) -> None:
    given = body(*(row(f"t{i}", wind=float(i), speed=i, kind="x") for i in range(20)))
    found = []
    for parser in (PLAIN, COMPILED):
        rows = rows_in_body(parser, given)
        assert (rows.written is None) == (parser is PLAIN)
        scores = Scores.of(np.linspace(0.1, 0.9, len(rows)), None)._replace(captured_share=share)
        kept = captured(parser.contract, rows, scores, **FACTS, masked=frozenset({"wind", "kind"}))
        found.append([json.loads(encode_record(record)) for record in kept])
    assert found[0] == found[1]
    ids = [prediction_id("r", i, share) for i in range(20)]
    assert [record["prediction_id"] for record in found[0]] == [name for name in ids if is_captured(name)]
    assert 0 < len(found[0]) <= 20 * (1 if share == 1 else 0.8)
    for record in found[0]:
        assert (record["wind"], record["kind"], record["line"]) == (None, None, "north")
        assert record["speed"] == int(record["key"].removeprefix("t"))
        assert record.get("capture_share", 1.0) == share


def same(body: bytes) -> bool:
    """Hold the two to one another; whether compiled code read the body."""
    wanted, found = read(PLAIN, body), read(COMPILED, body)
    if not isinstance(wanted, Rows) or not isinstance(found, Rows):
        assert found == wanted
        return False
    assert (found.keys, found.unseen, found.cat.tolist()) == (wanted.keys, wanted.unseen, wanted.cat.tolist())
    np.testing.assert_array_equal(found.num, wanted.num)
    assert found.num.dtype == np.float64
    assert found.cat.dtype == object
    assert found.num.shape == wanted.num.shape
    assert records(COMPILED, found) == records(PLAIN, wanted)
    return found.written is not None


def body(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"instances": rows}).encode()


WHOLE = row("t1", speed=3, kind="x")
TAKEN = {
    "one": body(WHOLE),
    "several": body(WHOLE, row("t2", line="south", wind=None, speed=None, kind=None)),
    "fields left out": body({"train_id": "t1", "distance": 3, "line": "north"}, row("t2")),
    "empty texts": body(row("t1", operator="", day="", kind=""), row("t2", operator="a", kind="")),
    "unseen": body(row("t1", operator="zz"), row("t2", operator="zz", day="tue")),
    "a key of digits": body(row(5), row("0017"), row(2**70)),
    "keys that are brought into form": body(row("e\u0301-1"), row("2013-03-01-UA1545-EWR"), row("a b")),
    "characters of other scripts": json.dumps({"instances": [row("ü", operator="日本")]}, ensure_ascii=False).encode(),
    "numbers in every form": b'{"instances":[{"train_id":"a","distance":1.5E3,"wind":-0.0,"line":"north"}]}',
    "a byte order mark": b"\xef\xbb\xbf" + body(WHOLE),
    "UTF-16": json.dumps({"instances": [WHOLE]}).encode("utf-16"),
    "white space": json.dumps({"instances": [WHOLE]}, indent=3).encode(),
}
OTHERWISE = {
    "a field twice": b'{"instances":[{"train_id":"a","distance":1,"distance":2,"line":"north"}]}',
    "a field twice in place of another": b'{"instances":[{"train_id":"a","distance":1,"line":"north","line":"north"}]}',
    "rows twice": b'{"instances":[],"instances":[{"train_id":"a","distance":1,"line":"north"}]}',
    "no number": b'{"instances":[{"train_id":"a","distance":NaN,"line":"north"}]}',
    "an infinite number": b'{"instances":[{"train_id":"a","distance":1,"wind":1e999,"line":"north"}]}',
    "out of range": body(row("a", distance=5001)),
    "true": body(row("a", wind=True)),
    "a number as text": body(row("a", wind="3")),
    "refused unseen": body(row("a", line="west")),
    "missing": body(row("a", distance=None)),
    "an empty text that is needed": body(row("a", line="")),
    "a control character": body(row("a", operator="a\u0007")),
    "half a character": b'{"instances":[{"train_id":"a","distance":1,"line":"north","operator":"\\ud800"}]}',
    "too long": body(row("a", operator="123456789")),
    "a key with a sign": body(row("1E-09")),
    "a key that is a float": body(row("1.0")),
    "the same key": body(row("1"), row(1)),
    "another field": body(row("a", other=1)),
    "beside the rows": json.dumps({"instances": [WHOLE], "more": 1}).encode(),
    "no rows": body(),
    "too many": body(*(row(f"t{i}") for i in range(101))),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", TAKEN)
def test_rows_that_are_right_are_read_by_compiled_code(name: str) -> None:
    assert same(TAKEN[name])


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_wrong_or_unusual_is_read_field_by_field(name: str) -> None:
    assert not same(OTHERWISE[name])


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=9),
    st.sampled_from(["a", "north", "mon", ""]),
)


@pytest.mark.slow
@given(st.lists(st.dictionaries(st.sampled_from([*WHOLE, "x"]), VALUES), max_size=3), st.booleans())
def test_any_rows_are_the_same_either_way(changes: list[dict[str, Any]], ascii_only: bool) -> None:
    given_rows = [{**row(f"t{i}"), **change} for i, change in enumerate(changes)]
    same(json.dumps({"instances": given_rows}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
    # Parsed rows, as the other protocols have them, too.
    outcomes = []
    for parser in (PLAIN, COMPILED):
        try:
            outcomes.append(records(parser, parser.rows(given_rows)))
        except RequestError as error:
            outcomes.append([{"refused": (error.code, error.message, error.field, error.index)}])
    assert outcomes[0] == outcomes[1]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_and_written_to_the_last_bit(number: float) -> None:
    found = rows_in_body(COMPILED, body(row("a", wind=number)))
    assert found.num[0, 1] == number
    assert records(COMPILED, found)[0]["wind"] == number


@pytest.mark.parametrize(
    ("changes", "scores"),
    [
        (
            {"problem_type": "regression", "interval": Interval(0.9, 1.0, 2.0)},
            Scores.of(np.array([1.5, -2.0]), None, interval=Interval(0.9, 1.0, 2.0)),
        ),
        (
            {"problem_type": "multiclass_classification", "classes": ("a", "ü", "c")},
            Scores.of(np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]]), None),
        ),
        ({"numbers": ()}, None),
        ({"categories": ()}, None),
    ],
    ids=["an interval", "classes", "no numbers", "no categories"],
)
def test_every_kind_of_model_has_the_same_records(changes: dict[str, Any], scores: Scores | None) -> None:
    plain, compiled = parsers(small_contract(**changes))
    names = set(plain.fields)
    asked = body(*({k: v for k, v in row(key).items() if k in names} for key in ("t1", "t2")))
    wanted, found = rows_in_body(plain, asked), rows_in_body(compiled, asked)
    assert found.written is not None
    assert (found.num.shape, found.cat.shape) == (wanted.num.shape, wanted.cat.shape)
    assert records(compiled, found, scores) == records(plain, wanted, scores)


def test_a_name_that_compiled_code_can_not_have_is_read_field_by_field() -> None:
    name = 'wind "up"'
    _, compiled = parsers(small_contract(numbers=(NumberField(name),), categories=()))
    assert not compiled.is_compiled
    assert rows_in_body(compiled, body({"train_id": "a", name: 3})).num.tolist() == [[3.0]]


def test_a_parser_reads_field_by_field_until_it_is_compiled() -> None:
    parser = RequestParser(small_contract())
    assert (parser.is_compiled, parser.rows_of_body(body(row("a")))) == (False, None)


def test_texts_that_come_again_are_read_alike_and_a_missing_one_is_not_mistaken_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # GIVEN a reader that keeps what it found of two combinations at most
    monkeypatch.setattr(typed_rows, "_COMBINATIONS", 2)
    plain, compiled = parsers()
    asked = [row("t1"), row("t1", day=None), row("t1", line="south"), row("t1", kind="x"), row("t1", line="x")]
    for one in asked * 3:
        wanted, found = read(plain, body(one)), read(compiled, body(one))
        if not isinstance(wanted, Rows):
            assert found == wanted
            continue
        assert isinstance(found, Rows)
        assert found.cat.tolist() == wanted.cat.tolist()
        assert records(compiled, found) == records(plain, wanted)
        # THEN no one can change what other rows have too
        assert found.unseen or not found.cat.flags.writeable


@pytest.mark.parametrize(
    "key",
    ["1e5", "1E5", "007", "7", "0x1f", "abc", "t_1", "a" * 256, "a" * 257, "²", "٣", "é", "", "1e-5", "t-1", " t"],
)
def test_a_key_is_the_same_whichever_way_it_is_read(key: str) -> None:
    given = body({**row("t1"), "train_id": key})
    wanted, found = read(PLAIN, given), read(COMPILED, given)
    assert (wanted.keys if isinstance(wanted, Rows) else wanted) == (found.keys if isinstance(found, Rows) else found)
