"""Wildcards match what they say, in a time that does not explode."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.core.globs import glob
from support.growth import assert_linear


@given(st.text("ab*?.\n[", max_size=8), st.text("ab.\n[", max_size=12))
def test_a_glob_matches_as_its_plain_translation_does(pattern: str, text: str) -> None:
    plain = "".join({"*": "(?s:.*)", "?": "(?s:.)"}.get(letter, re.escape(letter)) for letter in pattern)

    assert (glob(pattern).fullmatch(text) is None) == (re.fullmatch(plain, text) is None)


@pytest.mark.parametrize("pattern", ["*a*a*a*a*b", "*a*a*a*a*a*a*a*a*b*", "a*?*?*?*b", "*" * 50 + "b"])
def test_many_stars_cost_no_more_than_the_text_is_long(pattern: str) -> None:
    assert_linear(lambda size: "a" * size, glob(pattern).fullmatch, size=20_000)
