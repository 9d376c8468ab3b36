"""A text that is no YAML is told with its place and with what a person writes instead."""

from __future__ import annotations

import pytest

from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import parse_model_file


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: see: this\n", "2: found a ':' where no key can begin, at column 7; allowed: quotes around a text"),
        ("a: 1\n  b: 2\n", "2: found a ':' where no key can begin, at column 4; allowed: quotes around a text"),
        ("a:\n\tb: 1\n", "2: found a tab, at column 1; allowed: spaces: YAML takes no tabs"),
        ("a: @x\n", "1: found a value that begins with '@', at column 4; allowed: quotes around a text that"),
        ("a: %x\n", "1: found a value that begins with '%', at column 4; allowed: quotes around a text that"),
        ("a: 'x\nb: 1\n", "1: found a quote that is never closed, at column 4; allowed: the same quote"),
        ('a: 1\nb: "x\n', "2: found a quote that is never closed, at column 4; allowed: the same quote"),
        (
            "a: 1\nb: [1, 2\nc: 1\n",
            "2: found a '[' that is never closed, or a value in it that needs quotes, at column 4",
        ),
        ("a: {x: 1\nb: 1\n", "1: found a '{' that is never closed, or a value in it that needs quotes, at column 4"),
        ("a: 1\nb\nc: 2\n", "2: found a line without a ':', at column 1; allowed: key: value"),
        ('a: "C:\\dir"\n', "1: found a backslash that YAML does not know, at column 8; allowed: single quotes"),
        ("a: *\n", "1: found a value that begins with '*', at column 5; allowed: quotes around it"),
        ("a: & b\n", "1: found a value that begins with '&', at column 5; allowed: quotes around it"),
        (
            "a: - 1\n",
            "1: found a '-' beside a key, at column 4; allowed: each '- value' of a list on a line of its own",
        ),
        ("a: 1\n---\nb: 1\n", "2: found a second document after '---', at column 1; allowed: one document"),
        ("a: |x\n", "1: found a value that begins with '|' or '>', at column 5; allowed: quotes around it"),
        ("a: >=5\n", "1: found a value that begins with '|' or '>', at column 5; allowed: quotes around it"),
        ("a:\n    b: 1\n  c: 2\n", "3: found something that does not belong to the line before it, at column 3"),
        (
            "a: 'it' s\n",
            "1: found something that does not belong to the line before it, at column 9; allowed: the keys of",
        ),
        ("a: }\n", "1: found a value that begins with a bracket or a comma, at column 4; allowed: quotes around it"),
        ("a: [1]]\n", "1: found a ']' that closes nothing, at column 7; allowed: a '[' before it, or quotes"),
        ("a: 1\n- b\n", "2: found a '-' among keys, at column 1; allowed: the keys of a section indented alike"),
        ("a: 1\nb: \x07\n", "2: found the character U+0007 at column 4; allowed: characters that YAML allows"),
    ],
)
def test_each_slip_of_the_pen_is_told_with_its_place_and_its_remedy(text: str, told: str) -> None:
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(text)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"model.yaml:{told}"), line


def test_what_no_advice_is_for_is_told_in_the_readers_words() -> None:
    with pytest.raises(ModelFileError, match=r"model\.yaml:2: found expected .<document start>.*quotes around"):
        parse_model_file("%a\n")
