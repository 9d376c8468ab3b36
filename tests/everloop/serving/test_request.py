from __future__ import annotations

import base64
import contextlib
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.limits import shows_nothing
from everloop.serving.contract import CategoryField, NumberField
from everloop.serving.exceptions import RequestError
from everloop.serving.request import MAX_BODY_BYTES, RequestParser, decode_body
from everloop.serving.response import STATUS_OF_CODE
from everloop.serving.rows import Rows
from tests.helpers.artifacts import row, small_contract
from tests.helpers.requests import rows_in_body

PARSER = RequestParser(small_contract())


def parse(document: Any) -> Rows:
    return rows_in_body(PARSER, json.dumps(document).encode())


def without(name: str) -> dict[str, object]:
    instance = row()
    del instance[name]
    return instance


def test_a_valid_request_becomes_the_models_inputs() -> None:
    # GIVEN an integer, a missing number, missing categories as null and as empty text
    rows = parse({"instances": [row("t1"), row("t2", distance=5000.0, wind=None, operator="", day="tue")]})
    # THEN missing is NaN or the empty text, and the category that training never saw is counted
    assert rows.keys == ["t1", "t2"]
    assert rows.num.dtype == np.float64
    np.testing.assert_array_equal(rows.num, [[120, 3.5], [5000, np.nan]])
    assert rows.cat.tolist() == [["north", "a", ""], ["north", "", "tue"]]
    assert rows.unseen == {"day": 1}


def test_a_key_is_the_same_as_text_and_as_whole_number() -> None:
    assert parse({"instances": [row(7), row(8.0), row("009"), row("cafe\u0301")]}).keys == [
        "7",
        "8",
        "009",
        "caf\u00e9",
    ]
    with pytest.raises(RequestError) as refused:
        parse({"instances": [row("7"), row(7)]})
    assert (refused.value.code, refused.value.index) == ("duplicate_key", 1)


def test_what_may_be_missing_may_be_left_out() -> None:
    short = {"train_id": "t1", "distance": 120, "line": "north"}
    left_out = parse({"instances": [short]})
    told = parse({"instances": [{**short, "wind": None, "operator": None, "day": ""}]})
    np.testing.assert_array_equal(left_out.num, told.num)
    assert left_out.cat.tolist() == told.cat.tolist() == [["north", "", ""]]


DECLARED = (
    NumberField("wind", missing="allow"),
    NumberField("speed", min=0, missing="allow"),
    CategoryField("crew", missing="allow", unseen="refuse", max_length=4, values=("red", "blue")),
)


class TestDeclaredFeaturesThatTheVersionDoesNotUse:
    """GIVEN a declaration with two features more than the version that answers knows."""

    parser = RequestParser(small_contract(), DECLARED)

    def parse(self, *instances: dict[str, object]) -> Rows:
        return rows_in_body(self.parser, json.dumps({"instances": instances}).encode())

    def test_may_be_sent_or_left_out_and_change_nothing_for_the_model(self) -> None:
        rows = self.parse(row("t1"), row("t2", speed=3, crew="red"), row("t3", speed=None, crew=""))
        np.testing.assert_array_equal(rows.num, [[120, 3.5]] * 3)
        assert rows.cat.tolist() == [["north", "a", ""]] * 3
        # AND the lake gets what was sent
        none = {"speed": None, "crew": None}
        assert rows.unused == [none, {"speed": 3.0, "crew": "red"}, none]

    @pytest.mark.parametrize(
        ("sent", "code", "field"),
        [
            ({"speed": "3"}, "wrong_type", "speed"),
            ({"speed": -1}, "out_of_range", "speed"),
            ({"crew": "pink"}, "unseen_category", "crew"),
            ({"crew": "orange"}, "too_long", "crew"),
            ({"spede": 3}, "unknown_feature", "spede"),
        ],
    )
    def test_are_held_against_the_declaration_and_typing_errors_still_refused(
        self, sent: dict[str, object], code: str, field: str
    ) -> None:
        with pytest.raises(RequestError) as refused:
            self.parse(row("t1", **sent))
        assert (refused.value.code, refused.value.field) == (code, field)

    def test_are_not_there_where_the_version_uses_them_all(self) -> None:
        assert (
            rows_in_body(
                RequestParser(small_contract(), DECLARED[:1]), json.dumps({"instances": [row()]}).encode()
            ).unused
            == []
        )


ONE_WRONG_ROW = [
    (without("distance"), "missing_feature", "distance"),
    (without("line"), "missing_feature", "line"),
    (without("train_id"), "missing_feature", "train_id"),
    (row(speed=3), "unknown_feature", "speed"),
    (row(late=1), "unknown_feature", "late"),
    (row(distance="120"), "wrong_type", "distance"),
    (row(distance=True), "wrong_type", "distance"),
    (row(distance=[1]), "wrong_type", "distance"),
    (row(line=3), "wrong_type", "line"),
    (row(line={}), "wrong_type", "line"),
    (row(line="no\x00rth"), "wrong_type", "line"),
    (row(operator="\ud800"), "wrong_type", "operator"),
    (row(7.5), "wrong_type", "train_id"),
    (row(2.0**53), "wrong_type", "train_id"),
    (row(True), "wrong_type", "train_id"),
    (row("7.0"), "wrong_type", "train_id"),
    (row(" 7"), "wrong_type", "train_id"),
    (row("t\x00"), "wrong_type", "train_id"),
    (row([7]), "wrong_type", "train_id"),
    (row(wind=math.nan), "not_finite", "wind"),
    (row(wind=math.inf), "not_finite", "wind"),
    (row(distance=-math.inf), "not_finite", "distance"),
    (row(wind=10**400), "not_finite", "wind"),
    (row(distance=-0.001), "out_of_range", "distance"),
    (row(distance=5001), "out_of_range", "distance"),
    (row(distance=None), "missing_not_allowed", "distance"),
    (row(line=None), "missing_not_allowed", "line"),
    (row(line=""), "missing_not_allowed", "line"),
    (row(None), "missing_not_allowed", "train_id"),
    (row(""), "missing_not_allowed", "train_id"),
    (row(line="west"), "unseen_category", "line"),
    (row(operator="x" * 9), "too_long", "operator"),
    (row(operator="\u3164"), "wrong_type", "operator"),
    (row(operator="\u2800 \ufe0f"), "wrong_type", "operator"),
    (row("\u3164"), "wrong_type", "train_id"),
    (row("k" * 257), "too_long", "train_id"),
    ("t1", "wrong_type", None),
    (None, "wrong_type", None),
]


@pytest.mark.parametrize(("instance", "code", "field"), ONE_WRONG_ROW)
def test_a_wrong_row_is_refused_with_its_field_and_place(instance: Any, code: str, field: str | None) -> None:
    with pytest.raises(RequestError) as refused:
        parse({"instances": [row("t0"), instance]})
    assert (refused.value.code, refused.value.field, refused.value.index) == (code, field, 1)
    assert len(refused.value.message) > 10


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"),
        (b"{", "malformed_json"),
        (b'{"instances": [}', "malformed_json"),
        (b"\xff\xfe", "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b"1" * 5000, "malformed_json"),
        (b'{"instances": [{"train_id": "a", "train_id": "b"}]}', "malformed_json"),
        (b"[]", "wrong_type"),
        (b"null", "wrong_type"),
        (b"{}", "no_instances"),
        (b'{"instances": []}', "no_instances"),
        (b'{"instances": {}}', "wrong_type"),
        (b'{"instances": [{}], "parameters": 1}', "unknown_feature"),
    ],
)
def test_a_wrong_body_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        rows_in_body(PARSER, body)
    assert refused.value.code == code


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_bare_token_that_is_no_number_is_named_with_its_field(token: str) -> None:
    body = json.dumps({"instances": [row(wind="HERE")]}).replace('"HERE"', token)
    with pytest.raises(RequestError) as refused:
        rows_in_body(PARSER, body.encode())
    assert (refused.value.code, refused.value.field, refused.value.index) == ("not_finite", "wind", 0)


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(RequestError) as refused:
        parse({"instances": [row(str(i)) for i in range(101)]})
    assert refused.value.code == "too_many_instances"


def test_a_key_given_twice_is_refused_at_its_second_place() -> None:
    with pytest.raises(RequestError) as refused:
        parse({"instances": [row("a"), row("b"), row("a")]})
    assert (refused.value.code, refused.value.index) == ("duplicate_key", 2)


def test_a_body_may_come_in_base64() -> None:
    text = '{"instances": ["é"]}'
    assert decode_body(base64.b64encode(text.encode()).decode(), is_base64=True) == text.encode()
    assert decode_body(text, is_base64=False) == text.encode()


@pytest.mark.parametrize(
    ("body", "is_base64", "code"),
    [
        (None, False, "malformed_json"),
        ("", True, "malformed_json"),
        ("not base64!", True, "malformed_json"),
        ("é" * (MAX_BODY_BYTES // 2 + 1), False, "too_large"),
        (base64.b64encode(b"x" * (MAX_BODY_BYTES + 1)).decode(), True, "too_large"),
    ],
)
def test_a_body_that_can_not_be_taken_is_refused(body: str | None, is_base64: bool, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        decode_body(body, is_base64=is_base64)
    assert refused.value.code == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*row(), "late", "instances"])


@pytest.mark.slow
@given(JSON | st.fixed_dictionaries({"instances": st.lists(st.dictionaries(NAMES, JSON), max_size=3) | JSON}))
def test_any_json_is_answered_with_rows_or_a_request_error(document: Any) -> None:
    with contextlib.suppress(RequestError):
        assert len(parse(document)) == len(document["instances"])


def test_every_code_of_a_wrong_row_has_a_status() -> None:
    assert {STATUS_OF_CODE[code] for _, code, _ in ONE_WRONG_ROW} == {400}


@given(st.binary(max_size=200))
def test_any_bytes_are_answered_with_a_request_error(body: bytes) -> None:
    with pytest.raises(RequestError):
        rows_in_body(PARSER, body)


def test_a_category_of_invisible_characters_alone_is_refused() -> None:
    for text in ("\xad", "\u200b", " \xad"):  # a soft hyphen, a space of no width
        with pytest.raises(RequestError, match="without any visible character"):
            parse({"instances": [row("1", operator=text)]})


def is_a_category(text: str) -> bool:
    return text == "" or not shows_nothing(text)


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.floats(min_value=0, max_value=5000) | st.integers(min_value=0, max_value=5000),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.sampled_from(["north", "south"]),
            st.none() | st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8).filter(is_a_category),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_valid_rows_arrive_exactly(values: list[tuple[Any, ...]]) -> None:
    instances = [row(str(i), distance=d, wind=w, line=c, operator=o) for i, (d, w, c, o) in enumerate(values)]
    rows = parse({"instances": instances})
    for i, (distance, wind, line, operator) in enumerate(values):
        assert rows.num[i, 0] == distance
        assert math.isnan(rows.num[i, 1]) if wind is None else rows.num[i, 1] == wind
        assert rows.cat[i].tolist() == [line, operator or "", ""]
