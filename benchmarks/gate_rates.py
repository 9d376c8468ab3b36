"""How often the gate lets a model through that is no better, and how often one that is: by simulation.

``python benchmarks/gate_rates.py`` prints a table. A world is drawn: rows of some days, of which few are positive, and
whose odds of being positive may differ from day to day by a factor. A champion and a candidate answer; the true
difference of their losses is known. The real evaluation and the real bounds judge them, many times over.

Of hundreds of cells the largest is large by chance as well. So the cells where most passed that should not are drawn
again, with a seed of their own and more draws: what they come to then is no longer chosen for being large.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from everloop.evaluation.bounds import FEWEST_OF_A_CLASS, upper_bound
from everloop.evaluation.metrics import estimate
from everloop.evaluation.significance import metric_value, paired_difference

POPULATION = 100_000
WORST = 6
"""How many cells are drawn again."""
Scores = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From the true log odds and independent noise to the log odds that a model answers."""


@dataclass(frozen=True)
class World:
    """Rows of ``days`` days with ``positives`` of them expected to be 1, or to be 0 when ``flipped``.

    The logarithms of the days' rows have the standard deviation ``uneven``; 0 are days of as many rows.
    """

    rows: int
    days: int
    positives: float
    day_spread: float
    flipped: bool = False
    uneven: float = 0.0

    @property
    def label(self) -> str:
        """The world as the tables call it."""
        of = f"{self.positives:g} of {self.rows} in {self.days} d"
        return f"{of}, spread {self.day_spread:g}, uneven {self.uneven:g}"


def probability(z: np.ndarray) -> np.ndarray:
    """Log odds as probabilities."""
    return np.asarray(1 / (1 + np.exp(-z)))


def times(factor: float) -> Scores:
    """The truth with its odds multiplied."""
    return lambda z, noise: z + np.log(factor)


def blurred(spread: float) -> Scores:
    """The truth with noise in its log odds."""
    return lambda z, noise: z + spread * noise


def blind(z: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Answers the same rate to everyone."""
    return np.full_like(z, -np.log(1 / probability(z).mean() - 1))


def wrong_of_some(z: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Wrong by a factor of twenty on the seventh of the rows that are likeliest to be positive."""
    return np.where(z > np.quantile(z, 6 / 7), z - 3, z)


PAIRS: dict[str, tuple[Scores, Scores]] = {
    "a tenth of the odds": (times(0.1), times(1)),
    "half of the odds": (times(0.5), times(1)),
    "1.5 times the odds": (times(1.5), times(1)),
    "ten times the odds": (times(10), times(1)),
    "odds blurred": (blurred(1), times(1)),
    "a twentieth, of some rows": (wrong_of_some, times(1)),
    "the same model": (times(1), times(1)),
    "better than the rate alone": (times(1), blind),
    "better than a third of the odds": (times(1), times(0.3)),
}


class Setting:
    """A world with its truth: centre of the log odds, and what answering costs on average."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.rng = world, np.random.default_rng(seed)
        self.spread = self.rng.normal(0, 1, POPULATION)
        self.noise, self.shift = self.rng.normal(0, 1, POPULATION), world.day_spread * self.rng.normal(0, 1, POPULATION)
        low, high = -40.0, 40.0
        for _ in range(60):
            self.centre = (low + high) / 2
            enough = probability(self.centre + self.spread + self.shift).mean() * world.rows > world.positives
            low, high = (low, self.centre) if enough else (self.centre, high)

    def loss(self, scores: Scores) -> float:
        """The true mean log loss."""
        z = self.centre + self.spread
        truth, answered = probability(z + self.shift), scores(z, self.noise)
        return float(np.mean(truth * np.logaddexp(0, -answered) + (1 - truth) * np.logaddexp(0, answered)))

    def equal_to(self, other: Scores, above: bool) -> Scores:
        """The multiple of the true odds, above or below them, that costs as much as ``other``: exactly no better."""
        wanted = self.loss(other)
        best = 0.0 if not self.world.day_spread else min(np.linspace(-1, 2, 61), key=lambda x: self.loss(shifted(x)))
        near, far = best, best + (8 if above else -8)
        for _ in range(50):
            middle = (near + far) / 2
            near, far = (middle, far) if self.loss(shifted(middle)) < wanted else (near, middle)
        return shifted(far)

    def draw(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """True log odds without the day's part, noise, labels and days."""
        rows, days = self.world.rows, np.arange(self.world.rows) % self.world.days
        if self.world.uneven:
            share = np.exp(self.world.uneven * self.rng.normal(0, 1, self.world.days))
            days = self.rng.choice(self.world.days, rows, p=share / share.sum())
        z, noise = self.centre + self.rng.normal(0, 1, rows), self.rng.normal(0, 1, rows)
        shift = self.world.day_spread * self.rng.normal(0, 1, self.world.days)[days]
        return z, noise, (self.rng.random(rows) < probability(z + shift)).astype(np.int64), days


def shifted(by: float) -> Scores:
    """The truth with its log odds moved."""
    return lambda z, noise: z + by


def passes(
    setting: Setting, candidate: Scores, champion: Scores, confidence: float, margins: list[float]
) -> list[bool]:
    """Whether one draw passes ``difference <= margin`` for each margin."""
    z, noise, labels, days = setting.draw()
    ours, theirs = probability(candidate(z, noise)), probability(champion(z, noise))
    if setting.world.flipped:
        labels, ours, theirs = 1 - labels, 1 - ours, 1 - theirs
    few = min(labels.sum(), len(labels) - labels.sum()) < FEWEST_OF_A_CLASS
    if few:
        return [False for _ in margins]
    paired = paired_difference(estimate("log_loss", labels, ours), estimate("log_loss", labels, theirs), days)
    assert paired.standard_error is not None  # the rows have both classes, and many days
    assert paired.parts is not None
    bound = upper_bound(paired.difference, paired.standard_error, paired.degrees_of_freedom, paired.parts, confidence)
    return [bool(bound < margin) for margin in margins]


def pairs_of(setting: Setting) -> dict[str, tuple[Scores, Scores]]:
    """The pairs of candidate and champion in a setting, by what they are called."""
    pairs = dict(PAIRS)
    for name, other in (("a third of the odds", times(1 / 3)), ("three times the odds", times(3))):
        pairs[f"= as {name}, other side"] = (setting.equal_to(other, above="third" in name), other)
    return pairs


def cell(
    setting: Setting, candidate: Scores, champion: Scores, draws: int, confidence: float
) -> tuple[float, float, bool]:
    """The percentages that pass as better and as not worse, and whether the candidate is no better."""
    true = setting.loss(candidate) - setting.loss(champion)
    margins = [0.0, max(true, 0.0)]
    passed = np.mean([passes(setting, candidate, champion, confidence, margins) for _ in range(draws)], axis=0)
    return 100 * float(passed[0]), 100 * float(passed[1]), true > -1e-9


def gate_table(worlds: list[World], draws: int, confidence: float, seed: int, again: int) -> None:
    """How often each candidate passes in each world. The worst cells are drawn again: the worst of many is too bad."""
    print(f"\nPasses, in percent of {draws} draws. Declared: at most {100 * (1 - confidence):.3g} where no better (=).")
    print("`not worse` has the true difference for its margin where the candidate is worse: exactly too bad.\n")
    print(f"{'world':46} {'candidate':34} {'better':>7} {'not worse':>10}")
    wrong: list[tuple[float, World, str]] = []
    for world in worlds:
        setting = Setting(world, seed)
        for name, (candidate, champion) in pairs_of(setting).items():
            better, not_worse, no_better = cell(setting, candidate, champion, draws, confidence)
            if no_better:
                wrong.append((max(better, not_worse), world, name))
            _print(world, name, better, not_worse)
    wrong.sort(key=lambda found: -found[0])
    print(f"\nThe {WORST} of {len(wrong)} cells where most passed that are no better, drawn again: {again} draws.\n")
    for _, world, name in wrong[:WORST]:
        setting = Setting(world, seed + 1000)
        candidate, champion = pairs_of(setting)[name]
        better, not_worse, _ = cell(setting, candidate, champion, again, confidence)
        _print(world, name, better, not_worse)


def _print(world: World, name: str, better: float, not_worse: float) -> None:
    side = "flipped, " if world.flipped else ""
    print(f"{side + world.label:46} {name:34} {better:7.1f} {not_worse:10.1f}", flush=True)


def interval_table(worlds: list[World], draws: int, seed: int) -> None:
    """How often the reported intervals hold the truth."""
    print(f"\nThe 95% intervals: how often given, and of those how often they hold the truth; {draws} draws.\n")
    print(f"{'world':46} {'log loss':>16} {'AUC':>16}")
    for world in worlds:
        setting = Setting(world, seed + 1)
        truth = {"log_loss": setting.loss(times(1)), "roc_auc": true_area(setting)}
        given, held = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
        for _ in range(draws):
            z, _, labels, days = setting.draw()
            for metric, true in truth.items():
                found = metric_value(estimate(metric, labels, probability(z)), days)
                if found.low is not None and found.high is not None:
                    given[metric] += 1
                    held[metric] += found.low <= true <= found.high
        cells = [f"{100 * given[m] / draws:5.0f}% / {100 * held[m] / max(1, given[m]):5.1f}" for m in truth]
        label = world.label
        print(f"{label:46} {cells[0]:>16} {cells[1]:>16}", flush=True)


def true_area(setting: Setting) -> float:
    """The area under the ROC curve of the true probabilities."""
    z = setting.centre + setting.spread
    weight = probability(z + setting.shift)
    order = np.argsort(z)
    below = np.cumsum((1 - weight)[order])
    return float(np.sum(weight[order] * below) / (weight.sum() * (1 - weight).sum()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=150)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--rows", type=int, default=2100)
    parser.add_argument("--positives", type=float, nargs="+", default=[0, 1, 2, 5, 20, 100])
    parser.add_argument("--spreads", type=float, nargs="+", default=[0, 0.7])
    parser.add_argument("--days", type=int, nargs="+", default=[7, 30])
    parser.add_argument("--uneven", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=int, default=1600, help="draws of the cells where most passed")
    options = parser.parse_args()
    worlds = [
        World(options.rows, days, positives, spread, uneven=options.uneven)
        for days in options.days
        for spread in options.spreads
        for positives in options.positives
    ]
    flipped = [World(options.rows, 7, positives, 0, flipped=True) for positives in (2, 20)]
    gate_table([*worlds, *flipped], options.draws, options.confidence, options.seed, options.again)
    interval_table([w for w in worlds if w.positives], options.draws, options.seed)


if __name__ == "__main__":
    main()
