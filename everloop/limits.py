"""How large a label, an answer or a file may be, of which times rows may be, and which characters no text has."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cached_property


class LatePattern:
    """A regular expression that is compiled when it is first used: large classes of characters take milliseconds.

    ``pattern`` is its text; the methods are those of :class:`re.Pattern`.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def search(self, text: str) -> re.Match[str] | None:
        """The first place that matches."""
        return self._compiled.search(text)

    def match(self, text: str) -> re.Match[str] | None:
        """A match where the text begins."""
        return self._compiled.match(text)

    def sub(self, new: str | Callable[[re.Match[str]], str], text: str) -> str:
        """``text`` with ``new`` in place of what matches."""
        return self._compiled.sub(new, text)


UNUSABLE_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, which no key or category means, and lone surrogates, which are no text at all."""

INVISIBLE_CHARACTERS = LatePattern(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff"
    "\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
"""What nobody sees, and no writing needs: zero-width spaces, byte order marks, marks of direction, tags, fillers of
Hangul, blank patterns. They are Unicode's Default_Ignorable_Code_Point (a test holds them to it) and what it draws
blank, without selectors and joiners."""

SELECTORS = LatePattern("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""What chooses another shape of the character before: Mongolian and emoji are written with them. Nobody sees whether
one is there, so no key has any."""

JOINERS = LatePattern("[\u200c\u200d]")
"""Persian and emoji are written with them, between other characters."""


OTHER_SPACES = LatePattern("[\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f]")
"""White space that looks like a plain space, or ends a line for some programs and not for others. The space of Chinese
and Japanese, as wide as their characters, is none of them: there it is the plain one."""


def hidden_in_key(text: str) -> str:
    """The first character of ``text`` that a key may not have because nobody sees it, or tells it from a plain space.

    Empty when there is none.
    """
    if text.isascii():
        return ""
    found = INVISIBLE_CHARACTERS.search(text) or SELECTORS.search(text) or OTHER_SPACES.search(text)
    if found is None and text and (JOINERS.match(text[0]) or JOINERS.match(text[-1])):
        found = JOINERS.search(text)
    return found[0] if found else ""


def shows_nothing(text: str) -> bool:
    """Whether a text has hidden characters and, but for spaces, no others: it would pass for a missing one."""
    if text.isascii():
        return False
    seen = _HIDDEN.sub("", text)
    return seen != text and not seen.strip()


_HIDDEN = LatePattern("|".join(each.pattern for each in (INVISIBLE_CHARACTERS, SELECTORS, JOINERS)))

LARGEST_VALUE = 1e60
"""Of either sign. Monitoring sums fourth powers of what it counts, and squares those sums again to find their error:
beyond this, a single value would make them infinite for good, and no number can be told from another any more."""

LARGEST_MODEL_BYTES = 512 * 1024**2
LARGEST_ESTIMATOR_BYTES = 128 * 1024**2
LARGEST_DOCUMENT_BYTES = 32 * 1024**2
"""Of a ``.onnx`` file, of a kept estimator, and of every other file of a version. A version is registered with all of
its files in the memory of a function, which has 1 GB."""

EARLIEST_TIME = datetime(1677, 9, 22, tzinfo=UTC)
LATEST_TIME = datetime(2262, 4, 11, tzinfo=UTC)
"""Rows of history lie between them. Athena unloads times in nanoseconds of 64 bits as its readers take them, which
hold no others: they would come back as another time."""

EARLIEST_CAPTURED = date(1970, 1, 1)
"""The first partition of captured predictions and labels. AWS tells when a request came in milliseconds since then, so
no request is older; a replay, whose clock is moved, can't begin earlier either."""


def largest_file(name: str) -> int:
    """How many bytes a file of a version may have."""
    by_type = {"onnx": LARGEST_MODEL_BYTES, "zip": LARGEST_ESTIMATOR_BYTES}
    return by_type.get(name.rpartition(".")[2], LARGEST_DOCUMENT_BYTES)


def value_range(low: float | None, high: float | None) -> tuple[float, float]:
    """The range of a value that is declared to lie from ``low`` to ``high``, where it is."""
    return (
        -LARGEST_VALUE if low is None else max(low, -LARGEST_VALUE),
        LARGEST_VALUE if high is None else min(high, LARGEST_VALUE),
    )
