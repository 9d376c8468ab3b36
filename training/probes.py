"""Every kind of row that a serving contract admits, whether or not training or the test split holds one.

A declaration may allow what history never had: a missing value, an unknown category, a number at its limit. Each such
possibility is laid into real training rows, so that all else about a probe is as it comes in production.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from everloop.serving.contract import CategoryField, NumberField, ServingContract

BASE_ROWS = 8
"""Training rows that each possibility is laid into."""

LARGE = 1e18
"""Of either sign, for a number without a declared limit: beyond 64-bit identifiers and nanoseconds since 1970."""

TINY = 1e-300
"""The smallest kind of number that is not yet rounded to zero in a product."""

LONGEST_CHARACTER = "𐍈"
"""Four bytes of UTF-8, which no character has more of."""

MIXTURES = 256
"""Ways in which some features, and not the others, are missing or unseen together: all where there are no more. Of the
many that many features have, so many drawn ones hold every two features, and nearly every three, in every state."""

_NAMED = 5
"""Features of a mixture that a message names."""

Kind = Literal["unchanged", "missing", "unseen", "longest", "value", "limit", "unlimited", "together", "mixed"]


@dataclass(frozen=True)
class Possibility:
    """Something that the contract admits.

    Attributes
    ----------
    kind : str
        ``unchanged``: an unchanged training row. ``missing``: null. ``unseen``: a category that is not known.
        ``longest``: an unknown category of the greatest length. ``value``: a known category. ``limit``: a number at its
        declared limit. ``unlimited``: zero, or a large or tiny number of either sign, where no limit is declared.
        ``together``: one of these for many features at once. ``mixed``: some features, two at least, missing or unseen.
    feature : str
        The feature; empty where it is several or none.
    values : mapping of str to float or str
        What is laid into each base row: NaN and ``""`` are missing.
    shown : str
        The values in words, e.g. ``'wind' missing``.
    """

    kind: Kind
    feature: str
    values: Mapping[str, float | str]
    shown: str


def possibilities(contract: ServingContract) -> list[Possibility]:
    """All that the contract admits, in a fixed order."""
    return [
        Possibility("unchanged", "", {}, "an unchanged training row"),
        *(found for field in contract.numbers for found in _of_number(field)),
        *(found for field in contract.categories for found in _of_category(field)),
        *_together(contract),
        *_mixed(contract),
    ]


def counted(contract: ServingContract) -> dict[str, int]:
    """How many possibilities of each kind a contract has: what a complete proof is about."""
    return dict(sorted(Counter(p.kind for p in possibilities(contract)).items()))


def base_rows(features: pd.DataFrame, seed: int) -> pd.DataFrame:
    """``BASE_ROWS`` of the training rows (all, where they are fewer), the same for the same seed."""
    count = min(BASE_ROWS, len(features))
    chosen = np.random.default_rng(seed).choice(len(features), count, replace=False)
    return features.iloc[np.sort(chosen)].reset_index(drop=True)


def laid_into(base: pd.DataFrame, chosen: list[Possibility]) -> pd.DataFrame:
    """The probes: each possibility laid into every base row, row ``i * len(base) + j`` being possibility i in row j."""
    rows = len(base)
    columns = {name: np.tile(base[name].to_numpy(), len(chosen)) for name in base.columns}
    for index, possibility in enumerate(chosen):
        for name, value in possibility.values.items():
            columns[name][index * rows : (index + 1) * rows] = value
    # Given its type, so that pandas does not guess another one for text.
    return pd.DataFrame({name: pd.Series(column, dtype=base[name].dtype) for name, column in columns.items()})


def _of_number(field: NumberField) -> Iterator[Possibility]:
    if field.missing == "allow":
        yield _missing(field)
    for word, limit in (("min", field.min), ("max", field.max)):
        if limit is not None:
            yield _one("limit", field.name, limit, f"{limit:g}, its declared {word}")
    for value in (0.0, TINY, -TINY, LARGE, -LARGE):
        if _admitted(value, field) and (field.min is None or field.max is None):
            yield _one("unlimited", field.name, value, f"{value:g}")


def _of_category(field: CategoryField) -> Iterator[Possibility]:
    if field.missing == "allow":
        yield _missing(field)
    if field.unseen == "accept":
        short, longest = _unknown(field, 1), _unknown(field, field.max_length)
        yield _one("unseen", field.name, short, f"{short!r}, an unseen category")
        yield _one("longest", field.name, longest, f"an unseen category of {field.max_length} characters")
    for value in field.values:
        yield _one("value", field.name, value, repr(value))


def _together(contract: ServingContract) -> Iterator[Possibility]:
    """Everything at once, where there is more than one feature to do it to."""
    missing: dict[str, float | str] = {}
    missing |= {f.name: np.nan for f in contract.numbers if f.missing == "allow"}
    missing |= {f.name: "" for f in contract.categories if f.missing == "allow"}
    unseen: dict[str, float | str] = {f.name: _unknown(f, 1) for f in contract.categories if f.unseen == "accept"}
    lowest: dict[str, float | str] = {f.name: _end(f, -LARGE) for f in contract.numbers}
    highest: dict[str, float | str] = {f.name: _end(f, LARGE) for f in contract.numbers}
    for values, shown in (
        (missing, "all values that may be missing, missing together"),
        (unseen, "all categories that may be unseen, unseen together"),
        ({**missing, **unseen}, "all values that may be unseen or missing, together"),
        (lowest, "all numbers together at their lowest"),
        (highest, "all numbers together at their highest"),
        ({**highest, **missing}, "all values that may be missing, missing, and the other numbers at their highest"),
    ):
        if len(values) > 1:
            yield Possibility("together", "", values, shown)


def _mixed(contract: ServingContract) -> Iterator[Possibility]:
    """Some features missing or unseen, the others as they come."""
    states: dict[str, list[float | str]] = {f.name: [np.nan] for f in contract.numbers if f.missing == "allow"}
    for field in contract.categories:
        found: list[float | str] = [""] if field.missing == "allow" else []
        found += [_unknown(field, 1)] if field.unseen == "accept" else []
        if found:
            states[field.name] = found
    for mixture in _mixtures(states):
        words = [f"{name!r} {'missing' if value in ('', np.nan) else 'unseen'}" for name, value in mixture.items()]
        more = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
        yield Possibility("mixed", "", mixture, f"{', '.join(words[:_NAMED])}{more}, together")


def _mixtures(states: Mapping[str, list[float | str]]) -> Iterator[dict[str, float | str]]:
    """Values by feature, of two features or more; every one, or as many as :data:`MIXTURES`, always the same."""
    drawn: Iterable[tuple[float | str | None, ...]]
    if math.prod(len(found) + 1 for found in states.values()) <= MIXTURES:
        drawn = itertools.product(*([None, *found] for found in states.values()))
    else:
        source = random.Random(0)
        drawn = (tuple(_drawn(found, source) for found in states.values()) for _ in range(MIXTURES))
    for values in drawn:
        mixture = {name: value for name, value in zip(states, values, strict=True) if value is not None}
        if len(mixture) > 1:
            yield mixture


def _drawn(states: list[float | str], source: random.Random) -> float | str | None:
    """One of the states, or as often none of them."""
    place = int(source.random() * 2 * len(states))
    return states[place] if place < len(states) else None


def _missing(field: NumberField | CategoryField) -> Possibility:
    value = np.nan if isinstance(field, NumberField) else ""
    return Possibility("missing", field.name, {field.name: value}, f"{field.name!r} missing")


def _one(kind: Kind, name: str, value: float | str, shown: str) -> Possibility:
    return Possibility(kind, name, {name: value}, f"{name!r} as {shown}")


def _admitted(value: float, field: NumberField) -> bool:
    return (field.min is None or value >= field.min) and (field.max is None or value <= field.max)


def _end(field: NumberField, end: float) -> float:
    """The declared limit on that side, or the large number that stands for none."""
    limit = field.min if end < 0 else field.max
    if limit is not None:
        return limit
    return end if _admitted(end, field) else (field.max if end < 0 else field.min) or 0.0


def _unknown(field: CategoryField, length: int) -> str:
    """A text of that length which is none of the known values."""
    known, text = frozenset(field.values), LONGEST_CHARACTER * length
    code = ord(LONGEST_CHARACTER)
    while text in known:
        code += 1
        text = chr(code) + text[1:]
    return text
