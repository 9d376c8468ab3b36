"""A copy is equal to its value and shares nothing that can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.services.stepfunctions.values import copied

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab", max_size=3), inner),
    max_leaves=8,
)


def parts(value: Any) -> Iterator[int]:
    """The identities of what can be changed."""
    if isinstance(value, dict | list):
        yield id(value)
        for inner in value.values() if isinstance(value, dict) else value:
            yield from parts(inner)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
@given(JSON)
def test_it_is_equal_and_apart(value: Any) -> None:
    copy = copied(value)
    assert copy == value
    assert repr(copy) == repr(value), "True stays True, and 1.0 stays 1.0"
    assert set(parts(copy)).isdisjoint(parts(value))


def test_what_json_has_not_is_copied_as_it_copies_itself() -> None:
    value = {"in": [{1}, (["a"],)]}
    copy = copied(value)
    assert copy == value
    copy["in"][0].add(2)
    copy["in"][1][0].append("b")
    assert value == {"in": [{1}, (["a"],)]}
