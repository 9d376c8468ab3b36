"""What a person should know of cells that were read: they may be meant in another way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pandas as pd

from everloop.dataset.file_format import MISSING_WORDS, FileFormat
from everloop.numbers_of import number_of
from everloop.shown import on_one_line, shown

_FLOAT_TEXT = re.compile(r"[+-]?[0-9]+[.,]0+")
_FORMULA = re.compile(r'="[^"]*"')
_THOUSAND = {".": re.compile(r"[+-]?[1-9][0-9]{0,2}[.][0-9]{3}"), ",": re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")}


def of_missing(name: str, texts: pd.Series, words: Sequence[str]) -> Iterator[str]:
    """Which words counted as missing."""
    found = texts[texts.isin([w for w in words if w])].value_counts()
    if len(found):
        told = ", ".join(f"{word!r} in {_rows(int(count))}" for word, count in found.items())
        yield f"{name}: {told} counts as missing"


def of_categories(name: str, texts: pd.Series, declared: Sequence[str]) -> Iterator[str]:
    """Texts that were taken as categories, and may be none that a request sends."""
    counts = texts.value_counts()
    for word in MISSING_WORDS:
        if word and word in counts and word not in declared:
            yield (
                f"{name}: {word!r} in {_rows(int(counts[word]))} is read as a category of that name; if it means "
                f"missing, add --missing-word '{word}'"
            )
    others = [word for word in counts.index if word not in declared]
    for odd, why in (
        ([w for w in others if w != w.strip()], "has white space at its start or end, which is part of the category"),
        ([w for w in others if _FLOAT_TEXT.fullmatch(w)], "is a whole number written as a float"),
        ([w for w in others if "\ufffd" in w], "has lost a letter to another encoding (U+FFFD)"),
        ([w for w in others if _FORMULA.fullmatch(w)], "is a spreadsheet formula, with its quotes"),
    ):
        if odd:
            rows = _rows(int(counts[odd].sum()))
            yield f"{name}: {shown(odd[0])}, read in {rows}, {why}; requests must send the same string"


def of_grouping(name: str, numbers: pd.Series, file_format: FileFormat) -> Iterator[str]:
    """Numbers whose decimal mark may be a thousands separator: in all of them three digits stand behind it."""
    mark = file_format.decimal
    if mark == "." and file_format.delimiter != ";":
        return
    marked = numbers[numbers.str.contains(mark, regex=False, na=False)]
    if len(marked) and marked.str.fullmatch(_THOUSAND[mark]).all():
        example = on_one_line(marked.iloc[0])
        yield (
            f"{name}: {mark!r} is read as the decimal mark, and three digits follow it in every row that has it "
            f"(e.g. {example}); if it separates thousands, remove it"
        )


def _rows(count: int) -> str:
    return number_of(count, "row")
