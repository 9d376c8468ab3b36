"""What a person does about a text that is no YAML: where it is, what is there, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import yaml

from everloop.model_file.exceptions import Mistake
from everloop.shown import shortened, shown

LONGEST_PROBLEM = 200
"""Characters of the YAML reader's own words: it repeats names of anchors and tags whole."""

_TWO_DOTS = (
    "quotes around a text that has a ':' in it, e.g. objective: \"a text: with a colon\"; put each key on its own"
    " line, indented like the other keys of its section"
)
_INDENTED = "the keys of a section indented alike, with spaces; quotes around the whole text if it contains quotes"
_TABS = "spaces: YAML takes no tabs for indentation"
_ESCAPES = "single quotes around a text with a backslash, or two backslashes in double quotes"


@dataclass(frozen=True)
class _Advice:
    """``found`` and ``allowed`` where ``begins`` begins what the YAML reader says is wrong, or was doing.

    ``at_begin`` tells it where what the reader was doing began: a bracket that is never closed is not missing at the
    end of the file.
    """

    begins: str
    found: Callable[[yaml.MarkedYAMLError], str]
    allowed: str
    at_begin: bool = False


def _said(text: str) -> Callable[[yaml.MarkedYAMLError], str]:
    return lambda _error: text


def _character(error: yaml.MarkedYAMLError) -> str:
    return f"a value that begins with {str(error.problem)[len('found character ') :].split(' that ')[0]}"


_ADVICE = (
    _Advice("mapping values are not allowed", _said("a ':' where no key can begin"), _TWO_DOTS),
    _Advice("found character '\\t'", _said("a tab"), _TABS),
    _Advice("found character", _character, "quotes around a text that begins with a special character"),
    _Advice(
        "while scanning a quoted scalar",
        _said("a quote that is never closed"),
        "the same quote at the end of the text; if the text contains one, the other kind of quotes around it",
        at_begin=True,
    ),
    _Advice("while scanning a double-quoted scalar", _said("a backslash that YAML does not know"), _ESCAPES),
    _Advice(
        "while parsing a flow sequence",
        _said("a '[' that is never closed, or a value in it that needs quotes"),
        "a list [a, b] with commas, closed by ']'; quotes around texts with ':', ',', '[' or '{'",
        at_begin=True,
    ),
    _Advice(
        "while parsing a flow mapping",
        _said("a '{' that is never closed, or a value in it that needs quotes"),
        "a section {a: 1, b: 2} with commas, closed by '}'; quotes around texts with ':', ',', '[' or '{'",
        at_begin=True,
    ),
    _Advice("while scanning a simple key", _said("a line without a ':'"), "key: value", at_begin=True),
    _Advice("while scanning an alias", _said("a value that begins with '*'"), "quotes around it"),
    _Advice("while scanning an anchor", _said("a value that begins with '&'"), "quotes around it"),
    _Advice(
        "sequence entries are not allowed",
        _said("a '-' beside a key"),
        "each '- value' of a list on a line of its own below the key; quotes around a text that begins with '- '",
    ),
    _Advice("while scanning a block scalar", _said("a value that begins with '|' or '>'"), "quotes around it"),
    _Advice(
        "expected a single document",
        _said("a second document after '---'"),
        "one document in a file: no line '---' but the first",
    ),
    _Advice("expected the node content", _said("a value that begins with a bracket or a comma"), "quotes around it"),
    _Advice("expected <block end>, but found '-'", _said("a '-' among keys"), _INDENTED),
    _Advice("expected <block end>, but found ']'", _said("a ']' that closes nothing"), "a '[' before it, or quotes"),
    _Advice("expected <block end>, but found '}'", _said("a '}' that closes nothing"), "a '{' before it, or quotes"),
    _Advice("expected <block end>", _said("something that does not belong to the line before it"), _INDENTED),
)


def syntax_mistake(error: yaml.YAMLError, text: str) -> Mistake:
    """What is wrong with ``text``, which could not be read as YAML, with the line and the column."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        return Mistake(
            "",
            line,
            f"the character U+{error.character:04X} at column {column}",
            "characters that YAML allows; remove this one, or write it as an escape in double quotes",
        )
    if not isinstance(error, yaml.MarkedYAMLError):
        return Mistake("", 0, shortened(str(error), LONGEST_PROBLEM), "valid YAML")
    # Where the problem does not tell, what the reader was doing does.
    said = (str(error.problem or ""), str(error.context or ""))
    advice = next((a for a in _ADVICE if any(words.startswith(a.begins) for words in said)), None)
    mark = error.context_mark if advice is not None and advice.at_begin and error.context_mark else error.problem_mark
    mark = mark or error.context_mark
    found = shown(said[0])[1:-1] if advice is None else advice.found(error)
    allowed = "valid YAML; if it is a text, quotes around it" if advice is None else advice.allowed
    if mark is None:
        return Mistake("", 0, found, allowed)
    return Mistake("", mark.line + 1, f"{found}, at column {mark.column + 1}", allowed)
