r"""The rules that each row keeps for itself, as conditions of a query on frozen rows (:mod:`everloop.dataset.frozen`).

They are those of :mod:`everloop.dataset.row_rules`, in its order: a test holds one to the other on the same rows. They
keep to what Trino (Athena) and DuckDB read alike. Patterns name characters by their numbers, as ``\x{200b}``, which
both understand (https://trino.io/docs/current/functions/regexp.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.dataset import rule_words
from everloop.dataset.lake_sql import double, quoted
from everloop.limits import INVISIBLE_CHARACTERS, JOINERS, SELECTORS, UNUSABLE_CHARACTERS, LatePattern, value_range
from everloop.problem_types import BINARY, MULTICLASS

if TYPE_CHECKING:
    from everloop.model_file.schema import Feature, ModelDeclaration

SPACES = "\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Python's ``str.strip`` takes for white space, as the inside of a character class."""


@dataclass(frozen=True)
class RowCondition:
    """A rule that rows may break.

    Attributes
    ----------
    code, column : str
        As in :class:`everloop.dataset.violations.Violation`.
    rule : str
        Follows "is", e.g. ``out of range: allowed is from 0 to 5000``.
    broken : str
        The condition of a row that breaks it. Empty where no row alone does: of keys that are there twice.
    shows : bool
        Whether there is a value to show.
    """

    code: str
    column: str
    rule: str
    broken: str
    shows: bool = True

    @property
    def count(self) -> str:
        """The expression that counts the rows which break it."""
        if not self.broken:
            return f'count("{self.column}") - count(DISTINCT "{self.column}")'
        return f"count_if({self.broken})"


def row_conditions(declaration: ModelDeclaration) -> list[RowCondition]:
    """Those of key, time and label, then of each feature."""
    found = [*_own_conditions(declaration)]
    for feature in declaration.data.numbers:
        found += _number_conditions(feature)
    for feature in declaration.data.categories:
        found += _category_conditions(feature)
    return found


def _own_conditions(declaration: ModelDeclaration) -> Iterator[RowCondition]:
    yield _missing("key")
    yield RowCondition("duplicate_key", "key", rule_words.DUPLICATE_KEY, "")
    yield _missing("time")
    yield _infinite("label")
    if declaration.problem.type == BINARY:
        # What to write instead follows from what is there; see everloop.dataset.snapshot_counts.
        yield RowCondition("label_not_binary", "label", "", 'is_finite("label") AND "label" NOT IN (0E0, 1E0)')
        return
    if declaration.problem.type == MULTICLASS:
        classes = declaration.problem.classes or []
        places = ", ".join(double(float(place)) for place in range(len(classes)))
        broken = f'is_finite("label") AND "label" NOT IN ({places})'
        yield RowCondition("label_no_class", "label", rule_words.no_class(classes), broken)
        return
    low, high = value_range(declaration.data.target_min, declaration.data.target_max)
    yield _outside("label", low, high)


def _number_conditions(feature: Feature) -> Iterator[RowCondition]:
    if feature.missing == "refuse":
        yield _missing(feature.name)
    yield _infinite(feature.name)
    if feature.min is not None or feature.max is not None:
        yield _outside(feature.name, feature.min, feature.max)


def _category_conditions(feature: Feature) -> Iterator[RowCondition]:
    name = f'"{feature.name}"'
    if feature.missing == "refuse":
        yield _missing(feature.name)
    limit = feature.max_length
    yield RowCondition("too_long", feature.name, rule_words.too_long(limit), f"length({name}) > {limit}")
    control = f"regexp_like({name}, {quoted(f'[{character_class(UNUSABLE_CHARACTERS)}]')})"
    yield RowCondition("control_character", feature.name, rule_words.CONTROL_CHARACTER, control)
    hidden = "".join(map(character_class, (INVISIBLE_CHARACTERS, SELECTORS, JOINERS)))
    others = f"[^{hidden}{character_class(SPACES)}]"
    unseen = f"regexp_like({name}, {quoted(f'[{hidden}]')}) AND NOT regexp_like({name}, {quoted(others)})"
    yield RowCondition("nothing_seen", feature.name, rule_words.NOTHING_SEEN, unseen)
    if feature.values is not None and feature.unseen == "refuse":
        rule = rule_words.not_allowed(feature.values)
        unknown = f"{name} NOT IN ({', '.join(map(quoted, feature.values))})"
        yield RowCondition("category_not_allowed", feature.name, rule, unknown)


def character_class(inside: re.Pattern[str] | LatePattern | str) -> str:
    """The inside of a class of characters with every character by its number; half characters are no text in a lake."""
    text = inside if isinstance(inside, str) else inside.pattern[1:-1]
    kept = re.sub("[\ud800-\udfff]-[\ud800-\udfff]", "", text)
    return "".join(
        "-" if letter == "-" and 0 < place < len(kept) - 1 else f"\\x{{{ord(letter):x}}}"
        for place, letter in enumerate(kept)
    )


def _missing(name: str) -> RowCondition:
    return RowCondition("missing_not_allowed", name, rule_words.MISSING, f'"{name}" IS NULL', shows=False)


def _infinite(name: str) -> RowCondition:
    return RowCondition("not_finite", name, rule_words.NOT_FINITE, f'is_infinite("{name}")')


def _outside(name: str, low: float | None, high: float | None) -> RowCondition:
    limits = [f'"{name}" < {double(low)}'] if low is not None else []
    limits += [f'"{name}" > {double(high)}'] if high is not None else []
    broken = f'is_finite("{name}") AND ({" OR ".join(limits)})'
    return RowCondition("out_of_range", name, rule_words.out_of_range(low, high), broken)
