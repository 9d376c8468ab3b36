"""The rules that each row keeps for itself, checked column by column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from everloop.dataset import rule_words
from everloop.dataset.violations import MAX_EXAMPLES, Violation
from everloop.limits import UNUSABLE_CHARACTERS, shows_nothing, value_range
from everloop.problem_types import BINARY, MULTICLASS
from everloop.shown import shown

if TYPE_CHECKING:
    from everloop.model_file.schema import Feature, ModelDeclaration


@dataclass(frozen=True)
class Finding:
    """Rows that break one rule.

    Attributes
    ----------
    column : str
        The column as the data's owner calls it.
    broken : bool array
        The rows.
    rule : str
        Follows "is", e.g. ``out of range: allowed is 0 to 5000``.
    cells : pandas.Series or None
        What is there; None where there is nothing to show.
    helps : object array or None
        Of each row what helps, as the end of a sentence; None where the rule says it.
    """

    code: str
    column: str
    broken: np.ndarray
    rule: str
    cells: pd.Series | None = None
    helps: np.ndarray | None = None

    def reason(self, row: int) -> str:
        """Why the row at this position is refused."""
        found = "" if self.cells is None else f" {shown_cell(self.cells.iloc[row])}"
        return f"{self.column or 'the row'}{found} is {self.rule}{self._help(row)}"

    def violation(self, keys: pd.Series, places: np.ndarray | None = None) -> Violation:
        """The finding as a violation; rows are shown by place (from 1), key and value."""
        rows = np.flatnonzero(self.broken)
        first = [(int(row), int(row) + 1 if places is None else int(places[row])) for row in rows[:MAX_EXAMPLES]]
        examples = tuple(self._example(row, place, keys) for row, place in first)
        sentence = rule_words.in_rows(len(rows), f"{self.rule}{self._common_help(rows)}")
        return Violation(self.code, self.column, len(rows), sentence, examples)

    def _example(self, row: int, at: int, keys: pd.Series) -> str:
        place = f"row {at}, key {keys.iloc[row]!r}"
        return place if self.cells is None else f"{place}, has {shown_cell(self.cells.iloc[row])}"

    def _help(self, row: int) -> str:
        return "" if self.helps is None else str(self.helps[row])

    def _common_help(self, rows: np.ndarray) -> str:
        """What helps most of the rows; each row's reason has its own."""
        ways = Counter(way for way in map(self._help, rows) if way)
        most, count = max(ways.items(), key=itemgetter(1), default=("", 0))
        return most if count in (0, len(rows)) else f"; most of them: {most.removeprefix('; ')}"


def row_findings(
    frame: pd.DataFrame, declaration: ModelDeclaration, *, key: str, time: str, label: str
) -> list[Finding]:
    """Every rule that some row breaks.

    Parameters
    ----------
    frame : pandas.DataFrame
        Typed columns, see :mod:`everloop.dataset.columns`.
    key, time, label : str
        What these columns are called in ``frame``. A missing label is none; it breaks no rule.
    """
    found = [
        *_key_findings(frame[key]),
        _missing(frame[time]),
        *_label_findings(frame[label], declaration),
    ]
    for feature in declaration.data.numbers:
        found.extend(_number_findings(frame[feature.name], feature))
    for feature in declaration.data.categories:
        found.extend(_category_findings(frame[feature.name], feature))
    return [finding for finding in found if finding.broken.any()]


def outside(values: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    """Whether each value lies outside the inclusive limits; NaN does not."""
    broken = np.zeros(len(values), dtype=bool)
    if low is not None:
        broken |= values < low
    if high is not None:
        broken |= values > high
    return broken


def _key_findings(keys: pd.Series) -> Iterator[Finding]:
    name = str(keys.name)
    yield _missing(keys)
    repeated = keys.duplicated(keep="first").to_numpy() & keys.notna().to_numpy()
    yield Finding("duplicate_key", name, repeated, rule_words.DUPLICATE_KEY, keys)


def _label_findings(labels: pd.Series, declaration: ModelDeclaration) -> Iterator[Finding]:
    values, name = labels.to_numpy(), str(labels.name)
    yield _infinite(labels)
    if declaration.problem.type == BINARY:
        wrong = ~np.isnan(values) & (values != 0) & (values != 1)
        rule = rule_words.not_binary(np.unique(values[np.isfinite(values)])[:3].tolist())
        yield Finding("label_not_binary", name, wrong & np.isfinite(values), rule, labels)
        return
    if declaration.problem.type == MULTICLASS:
        classes = declaration.problem.classes or []
        wrong = np.isfinite(values) & ~np.isin(values, np.arange(len(classes)))
        yield Finding("label_no_class", name, wrong, rule_words.no_class(classes), labels)
        return
    low, high = value_range(declaration.data.target_min, declaration.data.target_max)
    rule = rule_words.out_of_range(low, high)
    yield Finding("out_of_range", name, outside(values, low, high) & np.isfinite(values), rule, labels)


def _number_findings(column: pd.Series, feature: Feature) -> Iterator[Finding]:
    values = column.to_numpy()
    if feature.missing == "refuse":
        yield _missing(column)
    yield _infinite(column)
    broken = outside(values, feature.min, feature.max) & np.isfinite(values)
    rule = rule_words.out_of_range(feature.min, feature.max)
    yield Finding("out_of_range", feature.name, broken, rule, column)


def _category_findings(column: pd.Series, feature: Feature) -> Iterator[Finding]:
    if feature.missing == "refuse":
        yield _missing(column)
    yield _too_long(column, feature.max_length)
    yield _control_characters(column)
    yield _nothing_seen(column)
    if feature.values is not None and feature.unseen == "refuse":
        unknown = column.notna().to_numpy() & ~column.isin(feature.values).to_numpy()
        rule = rule_words.not_allowed(feature.values)
        yield Finding("category_not_allowed", feature.name, unknown, rule, column)


def _missing(column: pd.Series) -> Finding:
    return Finding("missing_not_allowed", str(column.name), column.isna().to_numpy(), rule_words.MISSING)


def _infinite(column: pd.Series) -> Finding:
    return Finding("not_finite", str(column.name), np.isinf(column.to_numpy()), rule_words.NOT_FINITE, column)


def _too_long(column: pd.Series, limit: int) -> Finding:
    broken = _where_text(column, lambda text: len(text) > limit)
    return Finding("too_long", str(column.name), broken, rule_words.too_long(limit), column)


def _control_characters(column: pd.Series) -> Finding:
    broken = _where_text(column, lambda text: not text.isprintable() and bool(UNUSABLE_CHARACTERS.search(text)))
    return Finding("control_character", str(column.name), broken, rule_words.CONTROL_CHARACTER, column)


def _nothing_seen(column: pd.Series) -> Finding:
    broken = _where_text(column, shows_nothing)
    return Finding("nothing_seen", str(column.name), broken, rule_words.NOTHING_SEEN, column)


def shown_cell(cell: object) -> str:
    """A cell as a person would write it, not as numpy would, and cut."""
    return shown(cell.item() if isinstance(cell, np.generic) else cell)


def _where_text(column: pd.Series, test: Callable[[str], bool]) -> np.ndarray:
    # Columns repeat few values, so each distinct one is looked at once.
    codes, distinct = pd.factorize(column)
    hits = np.array([*map(test, distinct.tolist()), False], dtype=np.bool_)  # the last one answers code -1, missing
    return np.asarray(hits[codes])
