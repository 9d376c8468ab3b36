"""JSON that others wrote is a value or an error, at every door."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from localcloud.cloudformation.assembly import _read_json
from localcloud.cloudformation.exceptions import AssemblyError
from localcloud.cloudformation.intrinsics import _DYNAMIC_REFERENCE, SUBSTITUTION
from localcloud.core.json_text import nesting, read_json
from localcloud.iam.policy import PolicyError, parse_policy
from localcloud.services.apigateway.http_api.payload import response_of
from localcloud.services.lambda_.responses import _check_json
from localcloud.services.lambda_.runtime.exceptions import InvalidRequestContentError
from support.growth import assert_linear

DEEP = "[" * 100_000 + "]" * 100_000
LONG = "9" * 1_000_000


@pytest.mark.parametrize("text", [DEEP, LONG, DEEP.encode(), '{"a":' * 100_000, "", "{"])
def test_what_can_not_be_read_is_an_error_of_a_sentence(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read_json(text)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("text", [DEEP, LONG])
def test_the_doors_take_none_of_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRequestContentError):
        _check_json(text.encode())
    with pytest.raises(PolicyError, match="not JSON"):
        parse_policy(text)
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(AssemblyError, match="is not JSON"):
        _read_json(tmp_path / "t.json")
    assert response_of(text.encode()).status == 200  # a function's text that is no JSON is the body, as on AWS


@pytest.mark.parametrize(
    ("piece", "pattern"),
    [
        ("${", SUBSTITUTION.sub),
        ("${!", SUBSTITUTION.sub),
        ("{{resolve:ssm:", _DYNAMIC_REFERENCE.sub),
        ("{{resolve:", _DYNAMIC_REFERENCE.sub),
    ],
)
def test_what_is_never_closed_costs_in_proportion(piece: str, pattern: Callable[[str, str], str]) -> None:
    assert_linear(lambda n: piece * n, lambda text: pattern("", text), size=4_000)


@pytest.mark.parametrize(("text", "depth"), [("", 0), ("1", 0), ('{"a": [1, {}]}', 3), ("[][][]", 1), (DEEP, 100_000)])
def test_nesting_is_counted(text: str, depth: int) -> None:
    assert nesting(text) == depth
