from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.model_file.schema import ModelDeclaration
from everloop.serving.exceptions import RequestError
from everloop.serving.labels import Label, LabelRules, parse_labels
from tests.helpers.declarations import binary_document, declare, regression_document

BINARY = LabelRules(is_binary=True)
AT = datetime(2013, 3, 1, tzinfo=UTC)


def rules_of(declaration: ModelDeclaration) -> LabelRules:
    """The rules of a declaration as the function reads it."""
    document: Any = declaration.model_dump(mode="json")
    return LabelRules.from_declaration(document)


def parse(*entries: Any, rules: LabelRules = BINARY) -> list[Label]:
    return parse_labels(json.dumps({"labels": entries}).encode(), rules)


def test_labels_name_a_prediction_or_a_key() -> None:
    assert parse({"prediction_id": "r-0", "label": 1}, {"key": "t1", "prediction_id": None, "label": 0.0}) == [
        Label(1.0, prediction_id="r-0"),
        Label(0.0, key="t1"),
    ]


def test_the_same_label_has_the_same_id() -> None:
    (first,), (again,), (other,) = (parse({"key": "t1", "label": v}) for v in (1, 1.0, 0))
    assert first.label_id == again.label_id != other.label_id
    assert Label(1.0, key="a").label_id != Label(1.0, prediction_id="a").label_id
    assert first.to_record(AT) == {
        "label_id": first.label_id,
        "prediction_id": None,
        "key": "t1",
        "label": 1.0,
        "time": "2013-03-01 00:00:00.000",
    }


@pytest.mark.parametrize(
    ("entry", "code", "field"),
    [
        ("x", "wrong_type", None),
        ({"key": "a"}, "missing_field", "label"),
        ({"label": 1}, "missing_field", "prediction_id"),
        ({"key": "a", "prediction_id": "b", "label": 1}, "missing_field", "prediction_id"),
        ({"key": "a", "label": 1, "at": "2013-03-01T00:00:00Z"}, "unknown_field", "at"),
        ({"key": 3.5, "label": 1}, "wrong_type", "key"),
        ({"key": True, "label": 1}, "wrong_type", "key"),
        ({"key": "3.0", "label": 1}, "wrong_type", "key"),
        ({"key": [3], "label": 1}, "wrong_type", "key"),
        ({"key": "", "label": 1}, "missing_not_allowed", "key"),
        ({"prediction_id": 3, "label": 1}, "wrong_type", "prediction_id"),
        ({"key": "a\n", "label": 1}, "wrong_type", "key"),
        ({"key": "a" * 257, "label": 1}, "too_long", "key"),
        ({"key": "a", "label": True}, "wrong_type", "label"),
        ({"key": "a", "label": "1"}, "wrong_type", "label"),
        ({"key": "a", "label": None}, "wrong_type", "label"),
        ({"key": "a", "label": float("nan")}, "not_finite", "label"),
        ({"key": "a", "label": 10**400}, "not_finite", "label"),
        ({"key": "a", "label": 0.5}, "label_not_binary", "label"),
        ({"key": "a", "label": 2}, "label_not_binary", "label"),
    ],
)
def test_one_wrong_label_refuses_the_request(entry: Any, code: str, field: str | None) -> None:
    with pytest.raises(RequestError) as refused:
        parse({"key": "ok", "label": 1}, entry)
    assert (refused.value.code, refused.value.field, refused.value.index) == (code, field, 1)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ([], "wrong_type"),
        ({}, "no_labels"),
        ({"labels": []}, "no_labels"),
        ({"labels": {"key": "a"}}, "wrong_type"),
        ({"labels": [{"key": str(i), "label": 1} for i in range(501)]}, "too_many_labels"),
        ({"labels": [], "model": "x"}, "unknown_field"),
    ],
)
def test_a_wrong_body_is_refused(document: Any, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_labels(json.dumps(document).encode(), BINARY)
    assert refused.value.code == code


def test_a_key_is_the_same_as_text_and_as_whole_number() -> None:
    assert [label.key for label in parse({"key": 12, "label": 1}, {"key": 12.0, "label": 1})] == ["12", "12"]
    with pytest.raises(RequestError) as refused:
        parse({"key": "12", "label": 1}, {"key": 12, "label": 0})
    assert (refused.value.code, refused.value.index) == ("conflicting_labels", 1)


def test_two_values_for_one_prediction_at_once_are_refused_and_the_same_twice_is_not() -> None:
    assert len(parse({"key": "a", "label": 1}, {"key": "a", "label": 1})) == 2
    with pytest.raises(RequestError) as refused:
        parse({"key": "a", "label": 1}, {"key": "b", "label": 1}, {"key": "a", "label": 0})
    assert (refused.value.code, refused.value.index) == ("conflicting_labels", 2)


def test_rules_come_from_the_declaration() -> None:
    assert rules_of(declare(binary_document())) == BINARY
    document = regression_document(data={"target_min": 0, "target_max": 600})
    rules = rules_of(declare(document))
    assert rules == LabelRules(is_binary=False, low=0, high=600)
    assert parse({"key": "a", "label": 12.5}, rules=rules)[0].label == 12.5
    for value in (-1, 601):
        with pytest.raises(RequestError, match="out_of_range"):
            parse({"key": "a", "label": value}, rules=rules)


@pytest.mark.parametrize("data", [{}, {"target_min": -1e100, "target_max": 1e100}])
def test_a_label_beyond_all_sums_is_refused_whatever_is_declared(data: dict[str, float]) -> None:
    rules = rules_of(declare(regression_document(data=data)))
    assert parse({"key": "a", "label": 1e60}, {"key": "b", "label": -1e60}, rules=rules)[1].label == -1e60
    for value in (1.1e60, -1e200, 10**300):
        with pytest.raises(RequestError, match=r"allowed is -1e\+60 to 1e\+60") as refused:
            parse({"key": "a", "label": value}, rules=rules)
        assert (refused.value.code, refused.value.field) == ("out_of_range", "label")


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["labels", "key", "prediction_id", "label"]), x),
        max_leaves=6,
    )
)
def test_any_json_is_answered_with_labels_or_a_request_error(document: Any) -> None:
    with contextlib.suppress(RequestError):
        assert parse_labels(json.dumps(document).encode(), BINARY)
