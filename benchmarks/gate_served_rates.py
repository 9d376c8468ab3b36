"""How often the gate is wrong where it compares scores as they are served, and how often it is right: by simulation.

``python benchmarks/gate_served_rates.py`` prints a table. In a world like those of ``gate_rates.py`` a champion and a
candidate answer. Both are recalibrated day by day from the labels of the days before, by the product's own learner, as
the evaluation does. So what a row is served with depends on labels of earlier rows: this asks whether the gate's bound,
which takes days for independent, still keeps its rate.

The truth of a draw is what both models, as they were served on its days, lose on average over new rows of these days.
The gate is wrong when its bound lies below the true difference. ``wrong`` is that share: at most 1 - confidence is
declared, whatever the margin is. ``better`` and ``raw`` are how often the candidate passes as better by served and by
raw scores.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from everloop.evaluation.bounds import FEWEST_OF_A_CLASS, upper_bound
from everloop.evaluation.metrics import estimate
from everloop.evaluation.significance import paired_difference
from everloop.recalibration.calibration import Calibration
from everloop.recalibration.daily import Terms, continued
from everloop.recalibration.learner import calibration_for, learn
from everloop.recalibration.state import State
from everloop.recalibration.sums import LogOddsSums

NODES = 21
"""Of the quadrature (Gauss and Hermite) over log odds, and over a model's noise: the truth is no sample."""

BEFORE = 20
"""Days that the champion was recalibrated for before the test part."""

Scores = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From the true log odds without the day's part, and two independent noises, to the log odds that a model answers."""


def turned(level: float, slope: float = 1.0) -> Scores:
    """The truth with its log odds moved and stretched: what recalibration puts right."""
    return lambda z, one, other: level + slope * z


def blurred(spread: float, which: int = 0, level: float = 0.0) -> Scores:
    """The truth with noise in its log odds, of the one kind or of the other: what recalibration can't put right."""
    return lambda z, one, other: level + z + spread * (other if which else one)


PAIRS: dict[str, tuple[Scores, Scores]] = {
    "as good: each blurred by its own noise": (blurred(0.7, 0), blurred(0.7, 1)),
    "as good: and the champion's level off": (blurred(0.7, 0), blurred(0.7, 1, 1.0)),
    "as good: and the candidate's level off": (blurred(0.7, 0, -1.0), blurred(0.7, 1)),
    "level alone: the champion's is off": (turned(0.0), turned(1.0)),
    "level alone: the candidate's is off": (turned(1.0), turned(0.0)),
    "stretch alone: the champion's is off": (turned(0.0), turned(0.0, 1.8)),
    "stretch alone: the candidate's is off": (turned(0.0, 1.8), turned(0.0)),
    "worse: blurred": (blurred(0.7), turned(0.0)),
    "better: the champion is blurred": (turned(0.0), blurred(0.7)),
    "better: and its own level is off": (turned(1.0), blurred(1.0)),
}


@dataclass(frozen=True)
class World:
    """Rows of ``days`` days, ``rate`` of them 1.

    ``spread`` is the standard deviation of the log odds that a day has in common; with ``walk`` it adds up from day to
    day in place of being drawn anew.
    """

    rows: int
    days: int
    rate: float
    spread: float
    walk: bool = False
    delay: int = 1

    @property
    def label(self) -> str:
        """The world as the table calls it."""
        how = "walk" if self.walk else "spread"
        return f"{self.rows} rows, {self.days} d, rate {self.rate:g}, {how} {self.spread:g}, {self.delay} d late"

    def shifts(self, rng: np.random.Generator) -> np.ndarray:
        """What each day has in common, the days before the test part first."""
        each = rng.normal(0, 1, BEFORE + self.days) * self.spread
        return np.cumsum(each) - each.sum() / 2 if self.walk else each


def probability(z: np.ndarray) -> np.ndarray:
    """Log odds as probabilities."""
    return np.asarray(1 / (1 + np.exp(-z)))


@dataclass(frozen=True)
class Day:
    """A day's rows: true log odds, two noises, labels, and what the day has in common."""

    z: np.ndarray
    noises: tuple[np.ndarray, np.ndarray]
    labels: np.ndarray
    shift: float


def drawn(world: World, rng: np.random.Generator) -> list[Day]:
    """The days of a draw."""
    centre, each, days = np.log(world.rate / (1 - world.rate)), world.rows // world.days, []
    for shift in world.shifts(rng):
        z = centre + rng.normal(0, 1, each)
        labels = (rng.random(each) < probability(z + shift)).astype(float)
        days.append(Day(z, (rng.normal(0, 1, each), rng.normal(0, 1, each)), labels, float(shift)))
    return days


def served(days: list[Day], scores: Scores, before: State | None, terms: Terms) -> Iterator[tuple[Calibration, State]]:
    """The calibration that each day is served with, and what is known after it."""
    state = before
    first = 1 if state is None or state.window is None else state.window + 1
    for number, day in enumerate(days, start=first):
        sums = LogOddsSums.of_rows(probability(scores(day.z, *day.noises)), day.labels)
        state = continued(state, terms, sums)
        serves = calibration_for(state, number)
        state = learn(state, number, sums)
        yield serves, state


class NewRows:
    """All rows that a day may have, with their probabilities: to take the truth over."""

    def __init__(self, world: World) -> None:
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        weights = weights / weights.sum()
        self.z = np.log(world.rate / (1 - world.rate)) + np.repeat(nodes, NODES)
        self.noise = np.tile(nodes, NODES)
        self.weights = np.outer(weights, weights).ravel()

    def loss(self, scores: Scores, serves: Calibration, shift: float) -> float:
        """What a model's answers cost on a day, on average. It knows one noise alone, so both are the same here."""
        truth = probability(self.z + shift)
        answered = serves.apply(probability(scores(self.z, self.noise, self.noise)))
        return float(self.weights @ -(truth * np.log(answered) + (1 - truth) * np.log1p(-answered)))


@dataclass(frozen=True)
class Found:
    """A draw: the true difference as served, the bound on it, and that of raw scores; NaN where there is none."""

    true: float
    bound: float
    raw: float


def judge(
    world: World, pair: tuple[Scores, Scores], new: NewRows, rng: np.random.Generator, confidence: float
) -> Found:
    """Draw, serve, and judge as the gate does."""
    terms, days = Terms("log_odds", world.delay, 8.0), drawn(world, rng)
    candidate, champion = pair
    # Both go on from what was learned of the champion.
    *_, (_, before) = served(days[:BEFORE], champion, None, terms)
    tested = days[BEFORE:]
    made = [[c for c, _ in served(tested, scores, before, terms)] for scores in pair]
    true = np.mean(
        [
            new.loss(candidate, ours, day.shift) - new.loss(champion, theirs, day.shift)
            for day, ours, theirs in zip(tested, *made, strict=True)
        ]
    )
    labels = np.concatenate([day.labels for day in tested])
    raw = [[probability(scores(day.z, *day.noises)) for day in tested] for scores in pair]
    as_served = [[c.apply(p) for c, p in zip(cs, ps, strict=True)] for cs, ps in zip(made, raw, strict=True)]
    numbers = np.repeat(np.arange(world.days), world.rows // world.days)
    bounds = [bound_of(labels, np.concatenate(o), np.concatenate(t), numbers, confidence) for o, t in (as_served, raw)]
    return Found(float(true), *bounds)


def bound_of(labels: np.ndarray, ours: np.ndarray, theirs: np.ndarray, days: np.ndarray, confidence: float) -> float:
    """The gate's bound on the difference."""
    if min(labels.sum(), len(labels) - labels.sum()) < FEWEST_OF_A_CLASS:
        return float("nan")
    paired = paired_difference(estimate("log_loss", labels, ours), estimate("log_loss", labels, theirs), days)
    assert paired.standard_error is not None  # the rows have both classes, and many days
    assert paired.parts is not None
    return upper_bound(paired.difference, paired.standard_error, paired.degrees_of_freedom, paired.parts, confidence)


def cell(world: World, name: str, draws: int, confidence: float, seed: int) -> tuple[float, float, float, float]:
    """In percent of the draws: wrong, better as served, better by raw scores; and the mean true difference."""
    rng, new = np.random.default_rng(seed), NewRows(world)
    found = [judge(world, PAIRS[name], new, rng, confidence) for _ in range(draws)]
    # The same model twice differs by rounding alone.
    wrong = np.mean([f.bound < f.true - 1e-12 for f in found])
    better, raw = np.mean([f.bound < 0 for f in found]), np.mean([f.raw < 0 for f in found])
    return 100 * float(wrong), 100 * float(better), 100 * float(raw), float(np.mean([f.true for f in found]))


def table(worlds: list[World], draws: int, confidence: float, seed: int, again: int, worst: int) -> None:
    """Every pair in every world; those that were wrong most often are drawn again, with a seed of their own."""
    print(f"\nIn percent of {draws} draws; wrong is declared as at most {100 * (1 - confidence):.3g}.\n")
    print(f"{'world':46} {'pair':40} {'wrong':>6} {'better':>7} {'raw':>6} {'true difference':>16}")
    told = []
    for world in worlds:
        for name in PAIRS:
            found = cell(world, name, draws, confidence, seed)
            told.append((found[0], world, name))
            _print(world, name, found)
    told.sort(key=lambda one: -one[0])
    print(f"\nThe {worst} of {len(told)} cells that were wrong most often, drawn again: {again} draws.\n")
    for _, world, name in told[:worst]:
        _print(world, name, cell(world, name, again, confidence, seed + 1000))


def _print(world: World, name: str, found: tuple[float, float, float, float]) -> None:
    wrong, better, raw, true = found
    print(f"{world.label:46} {name:40} {wrong:6.1f} {better:7.1f} {raw:6.1f} {true:16.5f}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=int, default=600, help="draws of the cells that were wrong most often")
    parser.add_argument("--worst", type=int, default=6, help="how many of these there are")
    options = parser.parse_args()
    worlds = [
        World(2100, 14, 0.3, 0.0),
        World(2100, 14, 0.3, 0.5),
        World(2100, 14, 0.03, 0.5),
        World(2100, 7, 0.3, 0.5),
        World(3150, 21, 0.3, 0.5, delay=7),
        World(3150, 21, 0.3, 0.2, walk=True),
        World(3150, 21, 0.05, 0.2, walk=True, delay=3),
    ]
    table(worlds, options.draws, options.confidence, options.seed, options.again, options.worst)


if __name__ == "__main__":
    main()
