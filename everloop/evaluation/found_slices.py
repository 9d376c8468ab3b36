"""Slices that nobody declared: where a shallow regression tree finds the loss to be high.

A tree that is grown on the rows it is then judged by finds bad parts in pure noise. So it grows on the older half of
the test days, and its leaves are measured on the newer half alone (honest estimation).

References
----------
L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and Regression Trees" (1984), chapter 8.
S. Athey, G. Imbens, "Recursive partitioning for heterogeneous causal effects", PNAS 113 (2016).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from everloop.evaluation.slices import Part
from everloop.numbers_of import number_of

DEPTH = 2
CUTS = 31
"""Places at which a number may be cut in two: its quantiles."""

MOST_NAMED = 4
"""Values that a condition names; of more it says how many."""

Columns = Mapping[str, np.ndarray]
"""By feature: float64 with NaN where missing, or texts with ``""`` where missing."""


@dataclass(frozen=True)
class _Split:
    gain: float
    inside: np.ndarray
    told: str
    told_else: str


def found_parts(columns: Columns, losses: np.ndarray, days: np.ndarray, minimum_rows: int) -> tuple[list[Part], str]:
    """The leaves of the tree as slices of the newer days, and how they were found, in a sentence.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (rows,)
    losses : ndarray, shape (rows,)
        Of each row; the tree grows on them.
    days : ndarray, shape (rows,)
    minimum_rows : int
        Of a leaf, among the older days.
    """
    every = np.unique(days)
    if len(every) < 4:
        return [], f"no slices were looked for: that takes 4 test days, and there are {len(every)}"
    older = days < every[len(every) // 2]
    if older.sum() < 2 * minimum_rows:
        rows = number_of(int(older.sum()), "row")
        needed = f"and {2 * minimum_rows:,} are needed"
        return [], f"no slices were looked for: the older half of the test days has {rows}, {needed}"
    leaves = list(_grow(columns, losses, older, np.ones(len(losses), dtype=bool), minimum_rows, DEPTH, ()))
    how = (
        f"a tree of depth {DEPTH} was grown on the losses of {number_of(int(older.sum()), 'row')} of the older"
        f" {number_of(len(every) // 2, 'test day')}, and its leaves are measured on the newer days alone"
    )
    if len(leaves) < 2:
        return [], f"{how}: it found nothing to part rows by"
    return [Part(" and ".join(told), "found", rows & ~older) for rows, told in leaves], how


def _grow(
    columns: Columns,
    losses: np.ndarray,
    older: np.ndarray,
    rows: np.ndarray,
    minimum_rows: int,
    depth: int,
    told: tuple[str, ...],
) -> Iterator[tuple[np.ndarray, tuple[str, ...]]]:
    best = _best(columns, losses, rows & older, minimum_rows) if depth else None
    if best is None:
        yield rows, told
        return
    yield from _grow(columns, losses, older, rows & best.inside, minimum_rows, depth - 1, (*told, best.told))
    yield from _grow(columns, losses, older, rows & ~best.inside, minimum_rows, depth - 1, (*told, best.told_else))


def _best(columns: Columns, losses: np.ndarray, learned: np.ndarray, minimum_rows: int) -> _Split | None:
    best: _Split | None = None
    for name, values in columns.items():
        made = _of_number if values.dtype.kind == "f" else _of_category
        found = made(name, values, losses, learned, minimum_rows)
        if found is not None and (best is None or found.gain > best.gain):
            best = found
    return best


def _of_number(
    name: str, values: np.ndarray, losses: np.ndarray, learned: np.ndarray, minimum_rows: int
) -> _Split | None:
    known = values[learned]
    finite = known[np.isfinite(known)]
    if not len(finite):
        return None
    cuts = np.unique(np.quantile(finite, np.linspace(0, 1, CUTS + 2)[1:-1]))
    cuts = np.unique(np.array([float(f"{cut:.3g}") for cut in cuts]))
    # A missing number goes with the small ones.
    place = np.searchsorted(cuts, np.where(np.isfinite(known), known, -np.inf), side="right")
    at, gain = _best_cut(place, losses[learned], len(cuts) + 1, minimum_rows)
    if at is None:
        return None
    cut = float(cuts[at])
    inside = ~np.isfinite(values) | (values < cut)
    missing = " or missing" if not np.isfinite(values).all() else ""
    return _Split(gain, inside, f"{name} below {cut:.9g}{missing}", f"{name} {cut:.9g} and above")


def _of_category(
    name: str, values: np.ndarray, losses: np.ndarray, learned: np.ndarray, minimum_rows: int
) -> _Split | None:
    texts = values.astype(str)
    found, index = np.unique(texts[learned], return_inverse=True)
    counts, sums = np.bincount(index), np.bincount(index, weights=losses[learned])
    order = np.argsort(sums / counts, kind="stable")
    rank = np.empty(len(found), dtype=np.int64)
    rank[order] = np.arange(len(found))
    at, gain = _best_cut(rank[index], losses[learned], len(found), minimum_rows)
    if at is None:
        return None
    low, high = found[order[: at + 1]].tolist(), found[order[at + 1 :]].tolist()
    # A value that the older days lack goes with the values of low loss.
    inside = ~np.isin(texts, high)
    return _Split(gain, inside, _among(name, low, high), _among(name, high, low))


def _best_cut(place: np.ndarray, losses: np.ndarray, places: int, minimum_rows: int) -> tuple[int | None, float]:
    """After which place the two sides' means differ the most, by the squares it explains."""
    counts = np.bincount(place, minlength=places).cumsum()[:-1].astype(np.float64)
    sums = np.bincount(place, weights=losses, minlength=places).cumsum()[:-1]
    rows, total = len(losses), float(losses.sum())
    fits = (counts >= minimum_rows) & (rows - counts >= minimum_rows)
    if not fits.any():
        return None, 0.0
    left, right = np.maximum(counts, 1), np.maximum(rows - counts, 1)
    gains = np.where(fits, sums**2 / left + (total - sums) ** 2 / right - total**2 / rows, -np.inf)
    at = int(np.argmax(gains))
    return (at, float(gains[at])) if gains[at] > 1e-12 * float(losses @ losses) else (None, 0.0)


def _among(name: str, values: list[str], others: list[str]) -> str:
    named = [value or "missing" for value in values]
    if len(values) <= MOST_NAMED:
        return f"{name} {' or '.join(named)}"
    if len(others) <= MOST_NAMED:
        return f"{name} not {' or '.join(value or 'missing' for value in others)}"
    return f"{name} one of {len(values)} values ({', '.join(named[:MOST_NAMED])}, …)"
