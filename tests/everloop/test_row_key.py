"""One rule says what a key is; what it gives, it gives again."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.row_key import KeyRefusedError, row_key


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("00123", "00123"),
        ("1e9", "1e9"),
        ("1.5", "1.5"),
        ("10.0.0.1", "10.0.0.1"),
        ("NA", "NA"),
        ("a b", "a b"),
        ("Straße", "Straße"),
        ("cafe\u0301", "caf\u00e9"),
        ("k" * 256, "k" * 256),
        (123, "123"),
        ("نامه\u200cای", "نامه\u200cای"),  # a joiner that Persian is written with
        ("👩\u200d🔬", "👩\u200d🔬"),
        (-7, "-7"),
        (0, "0"),
        (2**64 - 1, "18446744073709551615"),
        (10**255, "1" + "0" * 255),
        (123.0, "123"),
        (-0.0, "0"),
        (float(2**53 - 1), "9007199254740991"),
        (Decimal("123"), "123"),
        (Decimal("123.00"), "123"),
        (Decimal("1E+3"), "1000"),
        (Decimal(2**100), str(2**100)),
    ],
)
def test_texts_stay_and_whole_numbers_become_their_digits(value: Any, key: str) -> None:
    assert row_key(value) == key


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        (None, "missing_not_allowed", "missing"),
        ("", "missing_not_allowed", "empty"),
        (True, "wrong_type", "true or false"),
        (1.5, "wrong_type", "fraction"),
        (float(2**53), "wrong_type", "several whole numbers"),
        (float("inf"), "wrong_type", "several whole numbers"),
        (float("nan"), "wrong_type", "not a number"),
        (Decimal("1.5"), "wrong_type", "fraction"),
        (Decimal("NaN"), "wrong_type", "not a number"),
        (Decimal("1E+999999"), "too_long", "256"),
        (10**256, "too_long", "256"),
        pytest.param(10**5000, "too_long", "256", id="more digits than Python writes"),
        ("k" * 257, "too_long", "256"),
        ("\u0958" * 200, "too_long", "256"),  # normal form C writes it as two characters
        (" 1", "wrong_type", "white space"),
        ("1\u00a0", "wrong_type", "white space"),
        ("a\u00a0b", "wrong_type", r"like a plain space, U\+00A0"),
        ("a\u2028b", "wrong_type", r"like a plain space, U\+2028"),
        ("\ufeff1", "wrong_type", r"U\+FEFF"),
        ("1\u200b", "wrong_type", r"U\+200B"),
        ("A\u00ad1", "wrong_type", r"U\+00AD"),
        ("\u200e5f", "wrong_type", r"U\+200E"),
        ("\u3164", "wrong_type", r"U\+3164"),
        ("a\u2800", "wrong_type", r"U\+2800"),
        ("1\u034f2", "wrong_type", r"U\+034F"),
        ("\u115f\u1160", "wrong_type", r"U\+115F"),
        ("\uffa0", "wrong_type", r"U\+FFA0"),
        ("\u180e", "wrong_type", r"U\+180E"),
        ("1\ufe0f", "wrong_type", r"U\+FE0F"),
        ("1\U000e0100", "wrong_type", r"U\+E0100"),
        ("1\u200d", "wrong_type", r"U\+200D"),
        ("\u200c", "wrong_type", r"U\+200C"),
        ("a\U000e0041", "wrong_type", r"U\+E0041"),
        ("-0", "wrong_type", "written as a float"),
        ("a\nb", "control_character", "control character"),
        ("\ud800", "control_character", "control character"),
        ("1000000001.0", "wrong_type", "written as a float"),
        ("-5.", "wrong_type", "written as a float"),
        ("5,00", "wrong_type", "written as a float"),
        ("1E+09", "wrong_type", "scientific"),
        ("1,23457E+17", "wrong_type", "scientific"),
        ("1e-05", "wrong_type", "scientific"),
        (date(2024, 3, 1), "wrong_type", "a date"),
        (datetime(2024, 3, 1, tzinfo=UTC), "wrong_type", "a datetime"),
        (b"k", "wrong_type", "of bytes"),
        ('="00123"', "wrong_type", "formula"),
        ([1], "wrong_type", "a list"),
        ({}, "wrong_type", "a dict"),
    ],
)
def test_what_is_no_key_is_refused_with_what_is_taken(value: Any, code: str, says: str) -> None:
    with pytest.raises(KeyRefusedError, match=says) as refused:
        row_key(value)
    assert refused.value.code == code


def test_a_narrow_float_holds_fewer_whole_numbers() -> None:
    assert row_key(float(2**24 - 1), exact_below=2**24) == "16777215"
    with pytest.raises(KeyRefusedError, match="several whole numbers"):
        row_key(float(2**24), exact_below=2**24)


def test_the_sentence_names_the_field_and_the_value() -> None:
    sentences = {}
    for value in ("1.0", 2.5, None, True, "", "x" * 300):
        with pytest.raises(KeyRefusedError) as refused:
            row_key(value)
        sentences[value] = refused.value.about("id", value)
    assert sentences["1.0"].startswith("'id' is '1.0', a whole number written as a float")
    assert sentences[2.5].startswith("'id' is 2.5, a number with a fraction")
    assert sentences[None] == "'id' is missing, but it must identify the row"
    assert sentences[True].startswith("'id' is true or false")
    assert sentences[""].startswith("'id' is empty")
    assert len(sentences["x" * 300]) < 120


@pytest.mark.slow
@given(st.one_of(st.text(), st.integers(), st.floats(), st.decimals(allow_nan=True), st.booleans(), st.none()))
def test_a_key_is_its_own_key_and_no_other_value_is_let_in(value: Any) -> None:
    try:
        key = row_key(value)
    except KeyRefusedError:
        return
    assert row_key(key) == key
    assert unicodedata.is_normalized("NFC", key)
    assert 1 <= len(key) <= 256
    if not isinstance(value, str):
        assert int(key) == value
