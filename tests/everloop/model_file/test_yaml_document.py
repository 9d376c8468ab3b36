"""Whatever a file holds, it is read or refused with a line: never half, and never with a traceback."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.model_file import yaml_document
from everloop.model_file.exceptions import Mistake, ModelFileError
from everloop.model_file.reader import parse_model_file
from everloop.model_file.yaml_document import DEEPEST, LONGEST_TEXT, Document, DocumentError
from support.growth import assert_linear, calls
from tests.helpers.declarations import as_yaml, binary_document

GOOD = as_yaml(binary_document())
SEED = "  seed: 7"


def mistakes_of(text: str) -> list[tuple[int, str, str]]:
    try:
        mistakes = Document(text).mistakes
    except DocumentError as refused:
        mistakes = refused.mistakes
    return [(m.line, m.path, m.found) for m in mistakes]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2013-99-99", "'2013-99-99'"),
        ("2013-01-01", "'2013-01-01'"),
        ("!foo 7", "the tag !foo"),
        ("!!python/object:os.system 7", "the tag !!python/object:os.system"),
        ("!!int abc", "the tag !!int"),
        ("{[1, 2]: 3}", "a key of several parts"),
        ("{{a: 1}: 3}", "a key of several parts"),
        ("{1: 2}", "the key '1'"),
        ("{yes: 2}", "the key 'yes'"),
        ("{null: 2}", "the key 'null'"),
        ("0x_", "0x_"),
        ("0b_", "0b_"),
        ("010", "010, which YAML reads as 8"),
        ("-014", "-014, which YAML reads as -12"),
        ("1:30", "1:30, which YAML reads as 90"),
        ("1:30.5", "1:30.5, which YAML reads as 90.5"),
        ("0x1F", "0x1F, which YAML reads as 31"),
        ("0b11", "0b11, which YAML reads as 3"),
        ("1__0", "1__0, which YAML reads as 10"),
        ("1_0.5", "1_0.5, which YAML reads as 10.5"),
        ("1" * 5000, "1" * 80 + "…"),
        (f"0x{'f' * 5000}", f"0x{'f' * 78}…"),
        ("9223372036854775808", "9223372036854775808"),
        ("[" * 3000, f"a value {DEEPEST + 1} levels deep"),
        ('"\\ud800"', "'\\ud800'"),
        ('{"\\udfff": 1}', "the key '\\udfff'"),
        ("7: 8", "a ':' where no key can begin, at column 10"),
        ("\x07", "the character U+0007 at column 9"),
    ],
)
def test_what_can_not_be_read_is_told_at_its_line(value: str, found: str) -> None:
    # GIVEN a good declaration with one value that is no value of YAML's, or none of a declaration's
    text = GOOD.replace(SEED, f"  seed: {value}")
    # WHEN it is read; THEN the one mistake is at its line
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(text)
    (mistake,) = refused.value.mistakes
    assert mistake.line == GOOD.splitlines().index(SEED) + 1
    assert mistake.found == found
    assert mistake.allowed


@pytest.mark.parametrize("value", ["&a [*a]", "&a {b: *a}", "&a 7\nowner: *a"])
def test_anchors_and_aliases_are_each_refused(value: str) -> None:
    """A shared value would be told at the place it is shared from."""
    text = f"model: a\nserving: {value}\n"
    alias_line = 2 + value.count("\n")
    assert mistakes_of(text) == [(2, "", "the anchor &a"), (alias_line, "", "the alias *a")]


def test_a_merge_is_no_key() -> None:
    assert mistakes_of("model: a\nserving:\n  <<: {max_rows: 3}\n") == [(3, "serving", "the key '<<'")]


def test_every_unreadable_value_is_told_at_once() -> None:
    text = 'model: 0x_\nserving:\n  a: [0, 0b_]\n  a: 3\n  7: "\\ud800"\n'
    assert mistakes_of(text) == [
        (1, "model", "0x_"),
        (3, "serving.a[1]", "0b_"),
        (4, "serving.a", "the same key a second time"),
        (5, "serving", "the key '7'"),
    ]


def test_a_number_is_what_everyone_reads_in_it() -> None:
    """PyYAML alone takes 1e-3 for text, which a training script would get as it stands."""
    numbers = {"1e-3": 0.001, "2E5": 2e5, "1.5e3": 1500.0, "-.5e+1": -5.0, "0.25": 0.25, "12": 12, "-3": -3}
    for written, number in numbers.items():
        found = Document(f"a: {written}").value["a"]
        assert (found, type(found)) == (number, type(number)), written
    for text in ("2013-01-01", "2013-01-01 10:00:00", "e5", "1e", "1e5m"):
        assert Document(f"a: {text}").value == {"a": text}


def test_places_are_those_of_keys_and_items() -> None:
    document = Document("a:\n  - b: 1\n  -\n    b: [2,\n      yes]\nc:\n")
    assert [document.place(where).line for where in [("a",), ("a", 0), ("a", 0, "b"), ("a", 1, "b", 1), ("c",)]] == [
        *(1, 2, 2, 5, 6),
    ]
    assert document.place(("a", 1, "b", 1)).written == "yes"
    # What is not there is at the nearest section around it.
    missing = [document.place(where) for where in [("a", 1, "z"), ("a", 5), ("c", "d"), ("z",)]]
    assert [(p.line, p.is_there) for p in missing] == [(4, False), (1, False), (6, False), (1, False)]


SNIPPETS = st.sampled_from(
    [
        *("&a", "*a", "<<:", "!x", "!!binary /w==", "!!set {a}", "? [1]", ": 3", "- ", "{", "}", "[", "]", '"', "'"),
        *("|", ">-", "%YAML 9.9", "---", "...", "\t", "#", "@", "`", "\x00", "\x85", "\u2028", "\ufeff", "\ud7ff"),
        *("0x_", "0b_", "1:99:99", "-.inf", ".nan", "1e999", "2013-99-99", "=", "~", '"\\ud800"', '"\\0"', "yes"),
    ]
)


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), SNIPPETS | st.text(max_size=3)), min_size=1, max_size=3))
def test_any_text_is_read_or_refused_with_lines(insertions: list[tuple[int, str]]) -> None:
    text = GOOD
    for place, snippet in insertions:
        text = text[:place] + snippet + text[place:]
    mistakes, message = read(text)
    message.encode()
    for mistake in mistakes:
        assert mistake.found
        assert mistake.allowed
        assert 1 <= mistake.line <= len(text.splitlines()) + 1


def read(text: str) -> tuple[list[Mistake], str]:
    """What is wrong with the text. Anything raised but the one error there is comes through."""
    try:
        parse_model_file(text)
    except ModelFileError as refused:
        return refused.mistakes, str(refused)
    return [], ""


def _valued(text: str) -> str:
    return GOOD.replace(SEED, f"  seed: {text}")


LONG_VALUES: dict[str, Callable[[int], str]] = {
    "digits that end in a letter": lambda n: _valued("1" * n + "x"),
    "a number of base 60": lambda n: _valued("1" + ":1" * (n // 2)),
    "digits": lambda n: _valued("1" * n),
    "underscores": lambda n: _valued("1" + "_" * n + "x"),
    "a long text": lambda n: _valued("a b " * (n // 4)),
    "a long key": lambda n: GOOD + "x" * n + ": 1\n",
    "a quote without an end": lambda n: _valued("'" + "a\n    " * (n // 6)),
}
MANY_PARTS: dict[str, Callable[[int], str]] = {
    "unknown keys": lambda n: GOOD + "".join(f"k{i}: 1\n" for i in range(n // 8)),
    "one key again and again": lambda n: GOOD + "k: 1\n" * (n // 5),
    "wrong parameters": lambda n: _valued("7\n  parameters: {" + ",".join(f"a{i}: [1]" for i in range(n // 12)) + "}"),
    "wrong features": lambda n: GOOD.replace(
        "  features:\n", "  features:\n" + "  - {name: F, typ: number}\n" * (n // 26)
    ),
    "aliases": lambda n: GOOD + "".join(f"k{i}: *a\n" for i in range(n // 10)),
    "keys without values": lambda n: GOOD + "? a\n" * (n // 4),
    "an open list in a list": lambda n: _valued("[" * n),
}


def refuse_in_few_words(text: str) -> None:
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(text)
    assert len(str(refused.value)) < 50_000


WRITTEN = [*"-?:[]{},#'|>\\\"~@`=7\n ", "a: ", "b:", "- ", ": ", "\n  ", "\n    ", "|+\n", ">2\n", "\\x41", "\\ud800"]
WRITTEN += ["---\n", "\n...\n", "010", "1e3", "yes", "null", "é", "<<: ", "1:30", "# c", "k: v\n", "key: 'x'\n"]


@given(st.lists(st.sampled_from(WRITTEN) | st.text(max_size=2), max_size=14).map("".join))
def test_both_readers_of_yaml_make_the_same_of_a_text(text: str) -> None:
    def read(text: str) -> object:
        try:
            document = Document(text)
        except DocumentError as refused:
            return refused.mistakes
        places = [document.place((key,)) for key in document.value]
        return repr(document.value), document.mistakes, places

    for whole in (text, f"a: {text}", f"x:\n  y: 1\n{text}", f"k: [1, {text}"):
        fast = read(whole)
        with pytest.MonkeyPatch.context() as slower:
            slower.setattr(yaml_document, "_LOADERS", yaml_document._LOADERS[-1:])
            assert read(whole) == fast


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG_VALUES)
def test_a_long_value_costs_in_proportion_and_is_told_in_few_words(name: str) -> None:
    # The square of what Python multiplies shows late.
    size = 60_000 if "base 60" in name else 10_000
    assert_linear(LONG_VALUES[name], refuse_in_few_words, size=size)


@pytest.mark.slow
@pytest.mark.parametrize("name", MANY_PARTS)
def test_many_parts_cost_in_proportion_and_are_told_in_few_words(name: str) -> None:
    assert_linear(MANY_PARTS[name], refuse_in_few_words, size=1_000, cost=calls)


@pytest.mark.slow
def test_the_places_of_many_keys_are_found_in_proportion() -> None:
    def keys(count: int) -> tuple[Document, list[str]]:
        names = [f"k{i}" for i in range(count)]
        return Document("".join(f"{name}: 1\n" for name in names)), names

    def find_all(given: tuple[Document, list[str]]) -> None:
        document, names = given
        assert [document.place((name,)).line for name in names] == list(range(1, len(names) + 1))

    assert_linear(keys, find_all, size=400)


def test_a_file_too_large_to_be_a_declaration_is_not_read() -> None:
    assert mistakes_of("#" * (LONGEST_TEXT + 1)) == [(0, "", f"a text of {LONGEST_TEXT + 1:,} characters")]


def test_a_number_too_long_to_mean_one_is_told() -> None:
    assert mistakes_of(_valued("1" + ":59" * 50)) == [(44, "training.seed", ("1" + ":59" * 50)[:80] + "…")]


def test_of_many_mistakes_the_first_are_told_and_all_are_kept() -> None:
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(GOOD + "".join(f"k{i}: 1\n" for i in range(150)))
    assert len(refused.value.mistakes) == 150
    assert str(refused.value).splitlines()[-1] == "model.yaml: 50 more mistakes"


@pytest.mark.parametrize(
    "written", ["0", "-0", "+5", "-12", "3.", ".5", "0.50", "1e-3", "1E3", "1.0e+3", "-.5e2", "007.5"]
)
def test_a_number_in_decimal_digits_is_what_everyone_reads(written: str) -> None:
    document = Document(f"a: {written}")
    assert document.mistakes == []
    assert document.value["a"] == float(written)
