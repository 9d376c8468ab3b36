"""A value of others in a message: whole where it is short, never as large as it came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.shown import ACTING, LONGEST_SHOWN, listed, shortened, shown, visible


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        ("a" * 81, "'" + "a" * 79 + "…"),
        ("\x1b]8;;", "'\\x1b]8;;'"),
        ("\u202e", "'\\u202e'"),
        (1.5, "1.5"),
        (None, "None"),
        ([1, 2], "a list of 2 values"),
        ({"a": 1}, "an object of 1 fields"),
    ],
)
def test_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_number_that_python_does_not_write_is_shown_in_words() -> None:
    assert shown(10**5000) == "a whole number with thousands of digits"


@pytest.mark.slow
@given(st.text(max_size=200))
def test_no_text_is_shown_longer_than_it_may_be(text: str) -> None:
    assert len(shown(text)) <= LONGEST_SHOWN + 1
    assert len(shortened(text)) <= LONGEST_SHOWN + 1
    assert shown(text) == repr(text) or len(repr(text)) > LONGEST_SHOWN


def test_of_many_names_the_first_are_listed() -> None:
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed([]) == ""
    assert listed([f"c{i}" for i in range(12)]).endswith("'c8', 'c9' and 2 more")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\u200bb", "a\\u200bb"),
        ("a\u200eb\u061c", "a\\u200eb\\u061c"),
        ("\ufeffa", "\\ufeffa"),
        ("a\u00adb", "a\\xadb"),
        ("a\u2060b", "a\\u2060b"),
        ("a\U000e0041", "a\\U000e0041"),
        ("\u202ea\u2066", "\\u202ea\\u2066"),
        ("نامه\u200cای 👩\u200d🔬 é\tx\n", "نامه\u200cای 👩\u200d🔬 é\tx\n"),
    ],
)
def test_what_nobody_would_see_is_written_out_and_text_is_left(text: str, seen: str) -> None:
    assert visible(text) == seen


@pytest.mark.parametrize("around", ["", "é"], ids=["plain", "more than ASCII"])
def test_each_control_is_written_out_in_whatever_text_it_stands(around: str) -> None:
    for character in map(chr, range(0x100)):
        text = f"a{around}{character}b\n"
        assert (visible(text) == text) == (ACTING.search(character) is None)
