"""Which characters nobody sees."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest

from everloop.limits import INVISIBLE_CHARACTERS, JOINERS, OTHER_SPACES, SELECTORS, hidden_in_key, shows_nothing

DEFAULT_IGNORABLE = (
    "AD 34F 61C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164 FE00-FE0F FEFF FFA0 FFF0-FFF8"
    " 1BCA0-1BCA3 1D173-1D17A E0000-E0FFF"
)
"""Unicode's property Default_Ignorable_Code_Point, as Perl 5.36 lists it (Unicode 14)."""
EVERY = "".join(map(chr, range(sys.maxunicode + 1)))
DRAWN_BLANK = "2800 1D159 FFF9-FFFB"


def points(ranges: str) -> set[str]:
    found = set()
    for part in ranges.split():
        first, _, last = part.partition("-")
        found |= {chr(point) for point in range(int(first, 16), int(last or first, 16) + 1)}
    return found


@pytest.mark.slow
def test_they_are_those_that_unicode_ignores_and_those_that_are_drawn_blank() -> None:
    patterns = (INVISIBLE_CHARACTERS, SELECTORS, JOINERS)
    hidden = {c for pattern in patterns for c in re.findall(pattern.pattern, EVERY)}
    assert hidden == points(DEFAULT_IGNORABLE) | points(DRAWN_BLANK)


@pytest.mark.parametrize("text", ["", "abc", "é", "한국", "نامه\u200cای", "👩\u200d🔬", "a b", "東京\u3000駅"])
def test_what_is_written_has_none(text: str) -> None:
    assert not hidden_in_key(text)
    assert not shows_nothing(text)


@pytest.mark.parametrize("text", sorted(points(DEFAULT_IGNORABLE + " " + DRAWN_BLANK) - points("E0000-E0FFF")))
def test_a_text_of_nothing_else_is_no_key_and_no_category(text: str) -> None:
    for whole in (text, text * 3, f" {text}"):
        assert hidden_in_key(whole) == text
        assert shows_nothing(whole)


def test_a_category_that_shows_something_may_have_a_selector() -> None:
    assert not shows_nothing("❤\ufe0f")
    assert hidden_in_key("❤\ufe0f") == "\ufe0f"


@pytest.mark.slow
def test_a_key_has_no_white_space_that_passes_for_another() -> None:
    spaces = {c for c in EVERY if unicodedata.category(c) in ("Zs", "Zl", "Zp")}
    assert set(re.findall(OTHER_SPACES.pattern, EVERY)) == spaces - {" ", "\u3000"}
    for space in spaces - {" ", "\u3000"}:
        assert hidden_in_key(f"a{space}b") == space
        assert not shows_nothing(f"a{space}b")
