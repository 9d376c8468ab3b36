"""Texts of a declaration that people rely on: that something was said, which a program can check in a simple way.

Whether it is true is for people to judge. What is refused is a text that says nothing: a placeholder, a word in place
of a sentence, a criterion without a figure.
"""

from __future__ import annotations

import re
from collections.abc import Callable

FEWEST_WORDS = 5
"""Different words that make a sentence."""

# A character of Chinese, Japanese, Korean or Thai counts as a word: they are written without spaces.
_WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_]+(?:['’-][^\W\d_]+)*")
_PLACEHOLDERS = frozenset({"todo", "tbd", "tba", "fixme", "placeholder", "lorem", "xxx", "asdf", "foo", "bar", "baz"})
_FIGURES = frozenset(
    {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "dozen"}
    | {"hundred", "thousand", "million", "half", "third", "quarter", "tenth", "twice", "double"}
    | {"none", "never", "every", "always"}
)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def says_something(text: str) -> bool:
    """Whether a text has a word or a name in it that is no placeholder."""
    words = [word.casefold() for word in re.findall(r"[^\W_]+", text)]
    return any(len(set(word)) > 1 or not word.isascii() for word in words if word not in _PLACEHOLDERS)


def is_sentence(text: str) -> bool:
    """Whether a text has enough different words for a sentence, and no placeholder among them."""
    words = set(_words(text))
    return len(words) >= FEWEST_WORDS and not words & _PLACEHOLDERS


def has_figure(text: str) -> bool:
    """Whether a text has something in it that can be counted: a digit, or a number in words."""
    return any(character.isnumeric() for character in text) or bool(set(_words(text)) & _FIGURES)


def text_that(passes: Callable[[str], bool], allowed: str) -> Callable[[str], str]:
    """A validator of a declaration's key; ``allowed`` is what may stand there."""

    def validated(text: str) -> str:
        if not passes(text):
            raise ValueError(allowed)
        return text

    return validated


NAMED = text_that(says_something, "who or what is meant, in words")
SENTENCE = text_that(is_sentence, f"a sentence of at least {FEWEST_WORDS} different words, without a placeholder")
CRITERION = text_that(
    lambda text: is_sentence(text) and has_figure(text),
    f"a sentence of at least {FEWEST_WORDS} different words with a figure in it, which somebody who knows no statistics"
    " can check, e.g. 'Of ten trains announced as late, six are.'",
)
