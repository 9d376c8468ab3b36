"""How often a model with rare large errors passes that is no better, and one whose losses have a heavy tail.

``python benchmarks/rare_faults_rates.py`` prints three tables, all by simulation with the real evaluation and bounds:
a regression that misses few rows by much, a binary model that is surely wrong on a rare kind of row, and losses with
heavy tails. Each candidate is better on all other rows by exactly what it loses on those. The gate promises to see
errors that hit at least a share of the rows (``gate.rarest_fault``), says which share its test part can miss, and
refuses where that is more than declared. Of the cells inside the promise the worst are drawn again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from few_rows_rates import tail  # type: ignore[import-not-found]  # beside this

from everloop.evaluation.bounds import FEWEST_OF_A_CLASS, rarest_seen, rows_needed, upper_bound
from everloop.evaluation.heavy_tails import is_heavy
from everloop.evaluation.metrics import Estimate, estimate
from everloop.evaluation.report import PairedDifference
from everloop.evaluation.significance import paired_difference

Rng = np.random.Generator
Pair = Callable[[Rng, int], tuple[Estimate, Estimate]]
"""Draws so many rows: the candidate's estimate and the other's."""

DAYS = 30
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
DECLARED = (0.05, 0.02, 0.005, 0.001)
POPULATION = 100_000
WORST = 6


@dataclass(frozen=True)
class Cell:
    """A world of ``rows`` rows in which the error hits ``share`` of them.

    The candidate of ``equal`` is exactly no better, that of ``worse`` worse by exactly ``margin``.
    """

    name: str
    rows: int
    share: float
    equal: Pair
    worse: Pair
    margin: float

    def promised(self, confidence: float) -> bool:
        """Whether this kind of row is frequent enough for a verdict on so many rows to cover it."""
        return self.share >= rarest_seen(confidence, self.rows)


def misses(share: float, spread: float, noise: float, margin: float = 0.0) -> Pair:
    """A regression that misses ``share`` of its rows by 10, or by 10 on average with a logarithm that spreads.

    On the others it is better by what that costs less the ``margin``, with a ``noise`` in units of the misses'
    deviation.
    """

    def pair(rng: Rng, rows: int) -> tuple[Estimate, Estimate]:
        size = 10 * np.exp(spread * rng.normal(0, 1, rows) - spread**2 / 2)
        missed = rng.random(rows) < share
        differences = np.where(missed, size, -10 * share / (1 - share))
        return _against_nothing(differences + margin + rng.normal(0, noise * 10 * np.sqrt(share), rows))

    return pair


def _against_nothing(differences: np.ndarray) -> tuple[Estimate, Estimate]:
    mean = float(differences.mean())
    return Estimate("mae", mean, differences - mean), Estimate("mae", 0.0, np.zeros(len(differences)))


def log_loss(truth: np.ndarray, answered: np.ndarray) -> np.ndarray:
    """The log loss of each row."""
    return np.asarray(-truth * np.log(answered) - (1 - truth) * np.log1p(-answered))


def probability(z: np.ndarray | float) -> np.ndarray:
    """Log odds as probabilities."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(z))))


class SurelyWrong:
    """A candidate that answers the log odds ``logit`` to a rare kind of row which is always positive.

    Elsewhere it has the truth, and the champion's odds are off by the factor that costs as much in all, less a
    ``part`` of it: the ``margin``.
    """

    def __init__(self, share: float, logit: float, centre: float, part: float = 0.0) -> None:
        self.share, self.logit, self.centre = share, logit, centre
        z = centre + np.random.default_rng(1).normal(0, 1, POPULATION)
        truth, right = probability(z), np.array(0.999)
        missed = log_loss(np.array(1.0), probability(logit)) - log_loss(np.array(1.0), right)
        self.margin = part * share * float(missed)
        costs = (1 - part) * share * float(missed) / (1 - share) + log_loss(truth, truth).mean()
        low, high = 0.0, 30.0
        for _ in range(60):
            self.off = (low + high) / 2
            enough = log_loss(truth, probability(z + self.off)).mean() > costs
            low, high = (low, self.off) if enough else (self.off, high)

    def __call__(self, rng: Rng, rows: int) -> tuple[Estimate, Estimate]:
        """The losses of candidate and champion on freshly drawn rows."""
        z, rare = self.centre + rng.normal(0, 1, rows), rng.random(rows) < self.share
        labels = (rng.random(rows) < np.where(rare, 1.0, probability(z))).astype(np.int64)
        candidate = np.where(rare, probability(self.logit), probability(z))
        champion = np.where(rare, 0.999, probability(z + self.off))
        return estimate("log_loss", labels, candidate), estimate("log_loss", labels, champion)


def pareto(index: float) -> Callable[[Rng, int], np.ndarray]:
    """Differences of mean zero with the right tail of a Pareto distribution of that index."""
    return lambda rng, rows: rng.pareto(index, rows) - 1 / (index - 1)


TAILS: dict[str, Callable[[Rng, int], np.ndarray]] = {
    "normal": lambda rng, rows: rng.normal(0, 1, rows),
    "exponential": lambda rng, rows: rng.exponential(1, rows) - 1,
    "t, 3 degrees": lambda rng, rows: rng.standard_t(3, rows),
    "t, 2 degrees": lambda rng, rows: rng.standard_t(2, rows),
    **{f"lognormal {spread:g}": tail(spread) for spread in (1.0, 1.5, 2.0, 2.5)},
    **{f"Pareto {index:g}": pareto(index) for index in (3, 2, 1.5, 1.2)},
}


def judged(pair: tuple[Estimate, Estimate], confidence: float) -> tuple[float, PairedDifference]:
    """The bound on the difference; infinite where the gate refuses for too few of a class."""
    ours, theirs = pair
    found = paired_difference(ours, theirs, np.arange(len(ours.influence)) % DAYS)
    assert found.standard_error is not None
    assert found.parts is not None
    bound = upper_bound(found.difference, found.standard_error, found.degrees_of_freedom, found.parts, confidence)
    return (bound if found.parts.counted >= FEWEST_OF_A_CLASS else np.inf), found


def passes(cell: Cell, rng: Rng, draws: int, confidence: float) -> tuple[float, float]:
    """In percent: what passes as better, and, when it is too bad by exactly the margin, as not worse."""
    better = [judged(cell.equal(rng, cell.rows), confidence)[0] < 0 for _ in range(draws)]
    not_worse = [judged(cell.worse(rng, cell.rows), confidence)[0] <= cell.margin for _ in range(draws)]
    return 100 * float(np.mean(better)), 100 * float(np.mean(not_worse))


def faults_table(title: str, cells: list[Cell], draws: int, again: int, confidence: float, seed: int) -> None:
    """How often a candidate passes that is badly wrong on a rare kind of row, and no better for it."""
    print(f"\n{title}: passes in percent of {draws} draws, better / not worse; declared {100 * (1 - confidence):.3g}.")
    print("(In brackets: rarer than what the verdict says this test part can miss.)\n")
    sizes = sorted({cell.rows for cell in cells})
    print(f"{'rows':>6} {'model':28} " + " ".join(f"{f'{100 * share:g}%':>13}" for share in SHARES))
    found: list[tuple[float, Cell]] = []
    rng = np.random.default_rng(seed)
    for rows in sizes:
        for name in dict.fromkeys(cell.name for cell in cells):
            shown = []
            for cell in (c for c in cells if c.rows == rows and c.name == name):
                better, not_worse = passes(cell, rng, draws, confidence)
                text = f"{better:.1f} / {not_worse:.1f}"
                shown.append(f"{text if cell.promised(confidence) else f'({text})':>13}")
                if cell.promised(confidence):
                    found.append((max(better, not_worse), cell))
            print(f"{rows:6} {name:28} {' '.join(shown)}", flush=True)
    found.sort(key=lambda one: -one[0])
    print(f"\nThe {WORST} of {len(found)} cells inside the promise where most passed, drawn again: {again} draws.")
    rng = np.random.default_rng(seed + 1000)
    for _, cell in found[:WORST]:
        better, not_worse = passes(cell, rng, again, confidence)
        print(f"{cell.rows:6} {cell.name:28} {100 * cell.share:g}%: {better:.1f} / {not_worse:.1f}", flush=True)


def tails_table(rows_of: list[int], draws: int, confidence: float, seed: int) -> None:
    """How often candidates pass whose differences have heavy tails, and how often a single row is refused for it."""
    print(f"\nHeavy tails: in percent of {draws} draws, no better and passed / better by 4, by 10 standard errors and")
    print(f"passed / one row has too much of the squares. Declared: {100 * (1 - confidence):.3g}.\n")
    print(f"{'':14} " + " ".join(f"{f'{rows:,} rows':>21}" for rows in rows_of))
    rng = np.random.default_rng(seed)
    for name, draw in TAILS.items():
        cells = []
        for rows in rows_of:
            drawn = [judged(_against_nothing(draw(rng, rows)), confidence) for _ in range(draws)]
            bounds = np.array([bound for bound, _ in drawn])
            error = float(np.median([found.standard_error for _, found in drawn if found.standard_error is not None]))
            heavy = np.mean([found.parts is not None and is_heavy(found.parts) for _, found in drawn])
            rates = [100 * np.mean(bounds < better * error) for better in (0, 4, 10)]
            cells.append(f"{rates[0]:.1f} / {rates[1]:.0f}, {rates[2]:.0f} / {100 * heavy:.0f}")
        print(f"{name:14} " + " ".join(f"{cell:>21}" for cell in cells), flush=True)


def regression_cells(rows_of: list[int]) -> list[Cell]:
    """The settings of a regression."""
    kinds = {
        "misses alike": (0.0, 0.1),
        "misses alike, much noise": (0.0, 1.0),
        "misses that spread by 1": (1.0, 0.1),
    }
    cells = []
    for name, (spread, noise) in kinds.items():
        for share in SHARES:
            margin = 5 * share
            equal, worse = misses(share, spread, noise), misses(share, spread, noise, margin)
            cells += [Cell(name, rows, share, equal, worse, margin) for rows in rows_of]
    return cells


def binary_cells(rows_of: list[int]) -> list[Cell]:
    """The settings of a binary classification."""
    cells = []
    for centre in (-1.0, -4.0):
        for logit in (-3.0, -7.0, -13.0):
            for share in SHARES:
                equal, worse = SurelyWrong(share, logit, centre), SurelyWrong(share, logit, centre, 0.5)
                name = f"log odds {logit:g}, of {centre:g}"
                cells += [Cell(name, rows, share, equal, worse, worse.margin) for rows in rows_of]
    return cells


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--again", type=int, default=2000, help="draws of the cells where most passed")
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--rows", type=int, nargs="+", default=[183, 600, 2100, 10000])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["regression", "binary", "tails"])
    options = parser.parse_args()
    confidence, seed = options.confidence, options.seed
    for declared in DECLARED:
        needed = rows_needed(confidence, declared)
        print(f"gate.rarest_fault {declared:g}: the gate refuses fewer than {needed:,} test rows.")
    for rows in options.rows:
        print(f"{rows:,} rows can miss errors that hit fewer than {100 * rarest_seen(confidence, rows):.3g}% of them.")
    if options.only in (None, "regression"):
        cells = regression_cells(options.rows)
        faults_table("Regression", cells, options.draws, options.again, confidence, seed)
    if options.only in (None, "binary"):
        cells = binary_cells(options.rows)
        faults_table("Binary, log loss", cells, options.draws, options.again, confidence, seed)
    if options.only in (None, "tails"):
        tails_table(options.rows, options.draws, confidence, seed)


if __name__ == "__main__":
    main()
