"""Spans of time are read as people type them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.cli.spans import parse_span, span_text


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
        ("1d12h", timedelta(hours=36)),
        ("1.5h", timedelta(minutes=90)),
        ("90s", timedelta(seconds=90)),
    ],
)
def test_a_span_is_read(text: str, span: timedelta) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "-2h", "2h30", "0h", "99999d", "two hours", "2H", "٣h", "1h\n"])
def test_what_is_none_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"give e\.g\. 30m|is not between"):
        parse_span(text)


@given(st.integers(1, 5_000_000))
def test_a_span_that_is_told_may_be_typed_and_is_long_enough(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert span <= parse_span(span_text(span)) < span + timedelta(minutes=1)
