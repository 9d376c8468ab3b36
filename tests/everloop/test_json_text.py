"""JSON of others is a value, or one sentence about what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.evaluation.exceptions import ReportError
from everloop.evaluation.report import Report
from everloop.json_text import read_json
from everloop.manifest import Manifest
from everloop.monitoring.exceptions import ProfileFormatError
from everloop.monitoring.reference import Reference
from everloop.registry.causes import readable_cause
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import ContractFormatError, ManifestFormatError
from tests.helpers.artifacts import small_contract

HOSTILE = {
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "an integer of many digits": b"9" * 5000,
    "no text": b"\xff" * 10,
    "no JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "a long name": b'{"' + b"x" * 1_000_000 + b'":1}',
    "infinite rows": json.dumps({"format": 1, "rows": math.inf, "paired": {}, "files": {}}).encode(),
}


@pytest.mark.parametrize("name", ["deep lists", "deep objects", "an integer of many digits", "no text", "no JSON"])
def test_what_is_no_json_is_one_error_of_a_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        read_json(HOSTILE[name])
    assert 0 < len(str(refused.value)) < 200


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    ("read", "error"),
    [
        (ServingContract.from_json, ContractFormatError),
        (Manifest.from_bytes, ManifestFormatError),
        (Report.from_json, ReportError),
        (Reference.from_json, ProfileFormatError),
    ],
)
def test_every_file_of_an_artefact_is_refused_as_what_it_is_not(
    read: Callable[[bytes], object], error: type[Exception], name: str
) -> None:
    with pytest.raises(error) as refused:
        read(HOSTILE[name])
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", 10**400),
        ("threshold", "0" * 1_000_000),
        ("max_rows", "0" * 1_000_000),
        ("model", [[]] * 1000),
        ("problem_type", {"a": 1}),
        ("problem_type", "b" * 1_000_000),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_a_contract_names_the_value_it_can_not_have(name: str, value: object) -> None:
    with pytest.raises(ContractFormatError, match=f"'{name}' is ") as refused:
        ServingContract.from_dict({**small_contract().to_dict(), name: value})
    assert len(str(refused.value)) < 300


@pytest.mark.slow
@given(st.text(), st.text())
def test_any_cause_is_made_readable(error: str, text: str) -> None:
    assert isinstance(readable_cause(f"{error}: {text}"), str)
    assert isinstance(readable_cause(f'{error}: {{"errorMessage": "{text}'), str)


@pytest.mark.parametrize("text", ['{"errorMessage": "\\q"', '{"errorMessage": "a\nb"', '{"a":' * 100_000])
def test_a_cause_that_was_cut_or_is_no_json_stays_a_text(text: str) -> None:
    assert readable_cause(f"Error: {text}")
