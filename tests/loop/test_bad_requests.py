"""What callers get wrong is answered with its place; nothing of it is served."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")

GONE = object()


def changed(loop: Loop, field: str, value: Any) -> dict[str, Any]:
    """Three rows, of which the last has another value in ``field``, or none."""
    rows = loop.instances(3)
    if value is GONE:
        del rows[2][field]
    else:
        rows[2][field] = value
    return {"instances": rows}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("carrier", GONE, "missing_feature"),
        ("delay_minutes", 3.0, "unknown_feature"),
        ("distance_miles", "far", "wrong_type"),
        ("distance_miles", True, "wrong_type"),
        ("distance_miles", None, "missing_not_allowed"),
        ("distance_miles", float("nan"), "not_finite"),
        ("distance_miles", float("inf"), "not_finite"),
        ("weekday", 7, "out_of_range"),
        ("origin", "BOS", "unseen_category"),
        ("carrier", "TOOLONGATEXT", "too_long"),
    ],
)
def test_a_wrong_value_is_named_with_field_and_row(loop: Loop, field: str, value: Any, code: str) -> None:
    status, answer = loop.post(changed(loop, field, value))
    assert status == 400
    error = answer["error"]
    assert (error["code"], error["field"], error["index"]) == (code, field, 2)
    assert field in error["message"]


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b'{"instances": [}'])
def test_what_is_no_json_is_refused(loop: Loop, body: bytes) -> None:
    status, answer = loop.post(body)
    assert (status, answer["error"]["code"]) == (400, "malformed_json")


def test_more_rows_than_declared_are_refused(loop: Loop) -> None:
    status, answer = loop.post({"instances": loop.instances(loop.declaration.serving.max_rows + 1)})
    assert (status, answer["error"]["code"]) == (400, "too_many_instances")


def test_a_body_beyond_a_megabyte_is_refused(loop: Loop) -> None:
    status, answer = loop.post(json.dumps({"instances": loop.instances(1)}).encode() + b" " * 1024 * 1024)
    assert (status, answer["error"]["code"]) == (413, "too_large")


def test_a_model_that_is_not_there_is_not_found(loop: Loop) -> None:
    url = loop.model.predictions_url.replace(loop.name, "train_delay")
    assert loop.post({"instances": loop.instances(1)}, url=url)[0] == 404


def test_an_unsigned_request_is_forbidden(loop: Loop) -> None:
    assert loop.post({"instances": loop.instances(1)}, signed=False)[0] == 403


def test_a_right_request_is_answered_all_the_same(loop: Loop) -> None:
    status, answer = loop.post({"instances": loop.instances(3)})
    assert status == 200
    assert len(answer["predictions"]) == 3
