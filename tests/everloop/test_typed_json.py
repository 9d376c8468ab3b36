"""Documents are what their type says, or are refused by the place that is wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.exceptions import TerminalError
from everloop.instants import WrittenInstant
from everloop.typed_json import ADDED, MOST_PROBLEMS, DocumentRefusedError, as_json, read_as


class Inner(TypedDict):
    count: int
    share: float | None


class Whole(TypedDict):
    name: str
    at: datetime
    kind: Literal["a", "b"]
    inner: Inner
    listed: list[Inner]
    by_name: dict[str, list[int]]
    more: NotRequired[Inner | None]
    until: NotRequired[datetime | None]
    either: NotRequired[list[int] | Literal["all"]]


GOOD: dict[str, Any] = {
    "name": "n",
    "at": "2013-03-01T05:00:00.000Z",
    "kind": "a",
    "inner": {"count": 1, "share": 0.5},
    "listed": [{"count": 2, "share": None}],
    "by_name": {"x": [1, 2]},
}


def read(value: object) -> Whole:
    return read_as(Whole, value, "whole", "write it again")


def test_what_fits_is_given_back_as_it_is() -> None:
    for more in ({}, {"more": None}, {"more": {"count": 3, "share": 1}}, {"from_a_newer_writer": object()}):
        document = GOOD | more
        found = read(document)
        assert found["at"] == datetime(2013, 3, 1, 5, tzinfo=UTC)
        assert {**found, "at": GOOD["at"]} == document
        assert as_json(found) == document


def test_a_document_that_is_written_as_it_is_inside_is_not_copied() -> None:
    inner = {"count": 3, "share": 0.5}
    assert read_as(Inner, inner, "inner", "") is inner
    assert read(GOOD | {"inner": inner})["inner"] is inner


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": 1}, "name is 1, not a string"),
        ({"at": "yesterday"}, "at: 'yesterday' is not an ISO 8601 instant"),
        ({"at": "2013-03-01T05:00:00"}, "has no UTC offset"),
        ({"at": 5}, "at is 5, not an instant"),
        ({"kind": "c"}, "kind is 'c', not 'a' or 'b'"),
        ({"inner": {"count": True, "share": None}}, "inner.count is True, not a whole number"),
        ({"inner": {"count": 1.5, "share": None}}, "inner.count is 1.5, not a whole number"),
        ({"inner": {"count": 1}}, "inner.share is missing"),
        ({"inner": []}, "inner is a list of 0 values, not an object"),
        ({"listed": [GOOD["inner"], {"count": 1, "share": "x"}]}, "listed[1].share is 'x', not a number or null"),
        ({"listed": 7}, "listed is 7, not a list"),
        ({"by_name": {"x": [1, None]}}, "by_name.x[1] is None, not a whole number"),
        ({"more": {"count": 1}}, "more.share is missing"),
        ({"more": 3}, "more is 3, not an object or null"),
        ({"until": "soon"}, "until: 'soon' is not an ISO 8601 instant"),
        ({"until": 5}, "until is 5, not an instant or null"),
        ({"either": "none"}, "either is 'none', not a list or 'all'"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentRefusedError) as refused:
        read(GOOD | change)
    assert said in str(refused.value)
    assert str(refused.value).startswith("this is not a valid whole: ")
    assert str(refused.value).endswith("; write it again")
    assert isinstance(refused.value, TerminalError)


@pytest.mark.parametrize("value", [None, [], "text", 3, {}])
def test_what_is_no_document_at_all_is_refused(value: object) -> None:
    with pytest.raises(DocumentRefusedError):
        read(value)


def test_a_refusal_does_not_grow_with_the_document() -> None:
    with pytest.raises(DocumentRefusedError) as refused:
        read(GOOD | {"listed": [{"count": "x" * 10_000, "share": None}] * 10_000})
    assert str(refused.value).count("listed[") == MOST_PROBLEMS
    assert len(str(refused.value)) < 2000


@dataclass(frozen=True)
class Part:
    name: str
    share: float | None = None


NOON = datetime(2013, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Record:
    parts: dict[str, Part]
    listed: tuple[Part, ...] = ()
    best: Part | None = None
    times: tuple[datetime, ...] = ()
    more: dict[str, list[datetime | None]] = field(default_factory=dict, metadata=ADDED)


def test_a_record_is_made_of_what_was_written_of_it() -> None:
    whole = Record({"a": Part("x", 0.5)}, (Part("y"), Part("z", 1)), Part("b"), (NOON, NOON), {"a": [NOON, None]})
    for record in (Record({}), whole):
        written = json.loads(json.dumps(as_json(record)))
        assert read_as(Record, written, "record", "write it again") == record


def test_a_field_that_came_later_may_lack_and_no_other() -> None:
    written = as_json(Record({}, more={"a": []}))
    del written["more"]
    assert read_as(Record, written, "record", "write it again") == Record({})
    del written["times"]
    with pytest.raises(DocumentRefusedError, match="this is not a valid record: times is missing; write it again"):
        read_as(Record, written, "record", "write it again")


@pytest.mark.parametrize("text", ["2013-03-01T12:00:00Z", "2013-03-01T12:00:00.000Z", "2013-03-01T13:00:00+01:00"])
def test_an_instant_is_written_as_it_came(text: str) -> None:
    found = read_as(Record, as_json(replace(Record({}), times=(WrittenInstant.read(text),))), "record", "")
    assert found.times == (NOON,)
    assert as_json(found)["times"] == [text]


class Told:
    """Says itself how it is written."""

    def as_dict(self) -> dict[str, object]:
        return {"at": NOON}


def test_what_says_itself_how_it_is_written_is_written_so() -> None:
    told = dataclass(Told)
    assert as_json({"found": (told(),)}) == {"found": [{"at": "2013-03-01T12:00:00Z"}]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"best": {"name": "x"}}, "best.share is missing"),
        ({"best": 3}, "best is 3, not an object or null"),
        ({"listed": "x"}, "listed is 'x', not a list"),
        ({"listed": [{"name": 1, "share": None}]}, "listed[0].name is 1, not a string"),
        ({"parts": {"a": None}}, "parts.a is None, not an object"),
    ],
)
def test_a_record_that_is_not_whole_is_refused_by_its_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentRefusedError) as refused:
        read_as(Record, as_json(Record({})) | change, "record", "write it again")
    assert said in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.slow
@given(st.sampled_from(sorted(GOOD)), JSON)
def test_it_reads_or_refuses_and_never_fails_otherwise(name: str, value: Any) -> None:
    document = GOOD | {name: value}
    try:
        kept: Any = read(document)
    except DocumentRefusedError as error:
        said = str(error)
    else:
        said, document = name, kept
    assert name in said
    assert as_json(document[name]) == value


@pytest.mark.slow
@given(JSON)
def test_any_json_is_json(value: Any) -> None:
    assert read_as(dict, {"x": value}, "object", "") == {"x": json.loads(json.dumps(value))}
