"""Streams of rows for benchmarks: public ones in the order they come in, and generators after their papers.

SEA: Street and Kim (2001). Agrawal: Agrawal, Imielinski and Swami (1993). Hyperplane: Hulten, Spencer and Domingos
(2001). RBF: random centroids, as in Bifet and others' MOA (2010). Each is made here from its seed, with one of four
kinds of change: none, sudden, gradual (both concepts, the share of the new one growing) and recurring. The public
files are those of ``benchmarks/refit.py``; the flights are those of ``models/flight_delay``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.refit import read  # noqa: E402

DAYS, ROWS_A_DAY = 420, 50
HISTORY_DAYS = 56
Change = Literal["none", "sudden", "gradual", "recurring"]
CHANGES: tuple[Change, ...] = ("none", "sudden", "gradual", "recurring")


@dataclass(frozen=True)
class Stream:
    """Rows in their order.

    Attributes
    ----------
    features : float array, shape (rows, columns)
    target : array of 0 and 1, shape (rows,)
    day : int array, shape (rows,)
        Counted from 0, never falling.
    window_days : int
        How long a window is.
    steady : bool
        Whether nothing changes but the number of rows.
    """

    name: str
    features: np.ndarray
    target: np.ndarray
    day: np.ndarray
    window_days: int = 7
    steady: bool = False

    def shuffled(self, seed: int) -> Stream:
        """The same rows in an order that means nothing."""
        order = np.random.default_rng(seed).permutation(len(self.target))
        name = f"{self.name}, shuffled"
        return replace(self, name=name, features=self.features[order], target=self.target[order], steady=True)


def concept_of(change: Change, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Which of four concepts each row is of, int, shape (rows,)."""
    place = np.arange(rows) / rows
    if change == "none":
        return np.zeros(rows, dtype=int)
    if change == "sudden":
        return np.searchsorted([0.3, 0.55, 0.8], place, side="right")
    if change == "recurring":
        return (place * 8).astype(int) % 2
    # From one concept to the next over a quarter of the stream.
    before = np.minimum((place * 3).astype(int), 2)
    share = np.clip((place * 3 - before - 0.15) / 0.7, 0, 1)
    return np.asarray(before + (rng.random(rows) < share))


def noisy(target: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The labels, this share of them wrong."""
    return np.where(rng.random(len(target)) < share, 1 - target, target).astype(int)


def made(name: str, change: Change, features: np.ndarray, target: np.ndarray) -> Stream:
    """A generated stream."""
    day = np.arange(len(target)) // ROWS_A_DAY
    return Stream(f"{name}, {change}", features, target, day, steady=change == "none")


def sea(change: Change, seed: int) -> Stream:
    """Three numbers, of which two count: their sum is below a threshold; a tenth of the labels is wrong."""
    rng = np.random.default_rng([seed, 1])
    features = rng.uniform(0, 10, (DAYS * ROWS_A_DAY, 3))
    threshold = np.array([8.0, 9.0, 7.0, 9.5])[concept_of(change, len(features), rng)]
    return made("SEA", change, features, noisy(features[:, 0] + features[:, 1] <= threshold, 0.1, rng))


def agrawal(change: Change, seed: int) -> Stream:
    """Nine facts about a borrower, and the paper's first four functions of age, salary and education."""
    rng = np.random.default_rng([seed, 2])
    rows = DAYS * ROWS_A_DAY
    salary, age = rng.uniform(20_000, 150_000, rows), rng.integers(20, 81, rows)
    commission = np.where(salary >= 75_000, 0.0, rng.uniform(10_000, 75_000, rows))
    education, car, zipcode = rng.integers(0, 5, rows), rng.integers(1, 21, rows), rng.integers(0, 9, rows)
    house = rng.uniform(0.5, 1.5, rows) * 100_000 * (9 - zipcode)
    years, loan = rng.integers(1, 31, rows), rng.uniform(0, 500_000, rows)
    young, middle = age < 40, (age >= 40) & (age < 60)
    functions = np.array(
        [
            young | (age >= 60),
            np.select([young, middle], [_in(salary, 50, 100), _in(salary, 75, 125)], _in(salary, 25, 75)),
            np.select([young, middle], [education < 2, (education > 0) & (education < 4)], education > 1),
            np.select(
                [young, middle],
                [
                    np.where(education < 2, _in(salary, 25, 75), _in(salary, 50, 100)),
                    np.where((education > 0) & (education < 4), _in(salary, 50, 100), _in(salary, 75, 125)),
                ],
                np.where(education > 1, _in(salary, 50, 100), _in(salary, 25, 75)),
            ),
        ]
    )
    target = functions[concept_of(change, rows, rng), np.arange(rows)]
    columns = [salary, commission, age, education, car, zipcode, house, years, loan]
    return made("Agrawal", change, np.column_stack(columns).astype(float), noisy(target, 0.05, rng))


def _in(salary: np.ndarray, low: int, high: int) -> np.ndarray:
    return (salary >= low * 1000) & (salary <= high * 1000)


def hyperplane(change: Change, seed: int) -> Stream:
    """A plane in ten dimensions; its change for ``gradual`` is a slow turn at every row, as in the paper."""
    rng = np.random.default_rng([seed, 3])
    rows = DAYS * ROWS_A_DAY
    features = rng.random((rows, 10))
    if change == "gradual":
        weights = rng.random(10) + np.cumsum(np.tile(rng.choice([-1, 1], 10) * 1e-4, (rows, 1)), axis=0)
    else:
        weights = rng.random((4, 10))[concept_of(change, rows, rng)]
    target = (features * weights).sum(1) >= weights.sum(1) / 2
    return made("Hyperplane", change, features, noisy(target, 0.05, rng))


def rbf(change: Change, seed: int) -> Stream:
    """Thirty centroids in ten dimensions, each with a class, a width and a share; concepts move and relabel some."""
    rng = np.random.default_rng([seed, 4])
    rows, centroids = DAYS * ROWS_A_DAY, 30
    centre = rng.random((centroids, 10))
    label, width = rng.integers(0, 2, centroids), rng.uniform(0.05, 0.3, centroids)
    share = rng.dirichlet(np.full(centroids, 2.0))
    centres, labels = np.empty((4, centroids, 10)), np.empty((4, centroids), dtype=int)
    for concept in range(4):
        moved = rng.random(centroids) < 0.4 if concept else np.zeros(centroids, dtype=bool)
        centres[concept] = np.where(moved[:, None], rng.random((centroids, 10)), centre)
        labels[concept] = np.where(moved, 1 - label, label)
    of, concept_ = rng.choice(centroids, rows, p=share), concept_of(change, rows, rng)
    features = centres[concept_, of] + rng.normal(size=(rows, 10)) * width[of][:, None]
    return made("RBF", change, features, noisy(labels[concept_, of], 0.02, rng))


def _public(name: str, file: str, rows_a_day: int, take: int, data: Path) -> Stream:
    frame = read(file, data).iloc[::take]
    target = (frame.iloc[:, -1] == (2 if name == "covtype" else 1)).to_numpy(int)
    day = np.arange(len(target)) // rows_a_day
    return Stream(name, frame.iloc[:, :-1].to_numpy(float), target, day, window_days=14)


def flights(which: tuple[str, str] | None, window_days: int, rows: int, seed: int) -> Stream:
    """A sample of the project's flights: all, or those of an airport or a carrier, e.g. ("origin", "JFK")."""
    frame = _all_flights()
    if which is not None:
        frame = frame[frame[which[0]] == which[1]]
    kept = np.sort(np.random.default_rng([seed, 5]).choice(len(frame), min(rows, len(frame)), replace=False))
    frame = frame.iloc[kept]
    day = (frame["scheduled_departure"].dt.floor("D") - frame["scheduled_departure"].min().floor("D")).dt.days
    columns = frame.drop(columns=["flight_id", "scheduled_departure", "arrived_late"])
    coded = columns.apply(lambda c: c if c.dtype.kind in "fi" else pd.Series(pd.factorize(c)[0], index=c.index))
    name = f"flights{f' of {which[1]}' if which else ''}, {window_days} days"
    return Stream(name, coded.to_numpy(float), frame["arrived_late"].to_numpy(int), day.to_numpy(int), window_days)


def _all_flights() -> pd.DataFrame:
    cached = ROOT / ".cache" / "flight_delay.parquet"
    if not cached.is_file():
        from models.flight_delay.prepare import build, data_folder

        cached.parent.mkdir(parents=True, exist_ok=True)
        build(data_folder()).to_parquet(cached, index=False)
    return pd.read_parquet(cached).dropna(subset=["arrived_late"])


SEEN_SEED, HELD_BACK_SEED = 7, 11
GENERATORS = (("SEA", sea), ("Agrawal", agrawal), ("Hyperplane", hyperplane), ("RBF", rbf))
Streams = dict[str, Callable[[], Stream]]


def seen_streams(data: Path) -> Streams:
    """The streams that settings were chosen on, and how to make each; ``data`` is where public files are kept."""
    public: Streams = {
        "covtype": lambda: _public("covtype", "covtype.csv", 100, 10, data),
        "electricity": lambda: _public("electricity", "elec.csv", 48, 1, data),
        "weather": lambda: _public("weather", "weather.csv", 30, 1, data),
    }
    found = _flights("origin", (None, "EWR", "JFK", "LGA")) | public | _generated(SEEN_SEED)
    for name in ("flights, 7 days", *public):
        found[f"{name}, shuffled"] = _shuffled(found[name], SEEN_SEED)
    return found


def _shuffled(maker: Callable[[], Stream], seed: int) -> Callable[[], Stream]:
    return lambda: maker().shuffled(seed)


def held_back_streams() -> Streams:
    """Streams on which nothing was chosen: the flights of four carriers, and the generators from another seed."""
    found = _flights("carrier", ("UA", "B6", "EV", "DL")) | _generated(HELD_BACK_SEED)
    found["flights of UA, 7 days, shuffled"] = _shuffled(found["flights of UA, 7 days"], HELD_BACK_SEED)
    return {f"{name} *": maker for name, maker in found.items()}


def _flights(column: str, values: tuple[str | None, ...]) -> Streams:
    found: Streams = {}
    for value in values:
        which, rows = ((column, value), 25_000) if value else (None, 40_000)
        for days in (7, 14):
            name = f"flights{f' of {value}' if value else ''}, {days} days"
            found[name] = partial(flights, which, days, rows, SEEN_SEED)
    return found


def _generated(seed: int) -> Streams:
    return {f"{n}, {c}": partial(maker, c, seed) for n, maker in GENERATORS for c in CHANGES}
