"""A request that can't be said in JSON is refused before it is sent, and its place named."""

from __future__ import annotations

import math

import pytest

from cli.exceptions import CommandError
from cli.signed_http import SignedHttpClient, remedy


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"instances": [{"distance": 1.0}, {"distance": math.nan}]}, r"instances\[1\]\.distance"),
        ({"labels": [{"key": "k", "label": math.inf}]}, r"labels\[0\]\.label"),
        ({"a": {"b": [0, [-math.inf]]}}, r"a\.b\[1\]\[0\]"),
    ],
)
def test_a_number_that_is_not_finite_is_named(body, place):
    http = SignedHttpClient(account=None, model=None)
    with pytest.raises(CommandError, match=f"^{place} of the request is not finite") as refused:
        http.post("http://nowhere.invalid/", body)
    assert "null" in refused.value.remedy


@pytest.mark.parametrize(("status", "said"), [(400, "mend the request"), (500, "not at fault"), (503, "champion")])
def test_a_caller_is_told_to_mend_what_the_caller_can_mend(status, said):
    assert said in remedy(status, "late_train")
    assert ("mend" in remedy(status, "late_train")) == (status == 400)
