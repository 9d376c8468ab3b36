"""How often the quality trigger fires in a world that has not changed, and how often in one that has: by simulation.

``python benchmarks/quality_rates.py`` prints a table. The rate is that of one look at one window; the monitor looks
every day at windows that overlap, so over a year the chance of a false alarm is larger than that of a look, and smaller
than their sum.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from everloop.model_file.schema import QualityTrigger
from everloop.monitoring.counting import count_outcomes
from everloop.monitoring.quality import judge_quality
from everloop.monitoring.reference import Reference

SPREAD = 1.5
"""How much the log odds differ between rows."""


def centre_of(rate: float) -> float:
    """The mean of the log odds with which that share of rows is positive."""
    z = np.random.default_rng(0).normal(0, SPREAD, 100_000)
    low, high = -40.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if (1 / (1 + np.exp(-middle - z))).mean() > rate else (middle, high)
    return middle


class World:
    """Days of rows whose scores are right, but for a factor on the odds, a stretch and a wandering of whole days."""

    def __init__(self, rate: float, days: int, rows: int, seed: int) -> None:
        self.centre, self.days, self.rows = centre_of(rate), days, rows
        self.rng = np.random.default_rng(seed)

    def fires(self, trigger: QualityTrigger, *, factor: float = 1, stretch: float = 1, wander: float = 0) -> bool:
        """Whether the trigger fires on freshly drawn days.

        Their odds are off by ``factor``, their spread by ``stretch``, and whole days wander by ``wander``.
        """
        days = []
        for _ in range(self.days):
            z = self.centre + self.rng.normal(0, SPREAD, self.rows)
            p = 1 / (1 + np.exp(-z))
            # Scores turn about the mean of the positives' log odds, which leaves their number as it is.
            pivot = float((p * (1 - p) * z).sum() / (p * (1 - p)).sum())
            truth = 1 / (1 + np.exp(-(pivot + stretch * (z - pivot) + np.log(factor))))
            # Whole days are better or worse by a part of their variance, and right on average.
            truth = np.clip(truth + wander * np.tanh(self.rng.normal()) * p * (1 - p), 0, 1)
            labels = (self.rng.random(self.rows) < truth).astype(float)
            days.append(count_outcomes(None, p, labels, metric="log_loss", classification=True))
        return bool(_judged(days, trigger))


def misses(share: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Right on most rows, and far off on a few; on average right."""
    return lambda rng, rows: (
        np.where(rng.random(rows) < share, 10.0, -10 * share / (1 - share)) + rng.normal(0, 3 * share, rows)
    )


def tail(spread: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Errors of mean zero with the right tail of a lognormal distribution."""
    return lambda rng, rows: np.exp(spread * rng.normal(0, 1, rows)) - np.exp(spread**2 / 2)


NOISES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, rows: rng.normal(0, 1, rows),
    "t, 2 degrees": lambda rng, rows: rng.standard_t(2, rows),
    "lognormal 1": tail(1.0),
    "lognormal 1.5": tail(1.5),
    "2% misses": misses(0.02),
    "(0.5% misses)": misses(0.005),
    "(lognormal 2)": tail(2.0),
}
"""Nothing is promised of what is in brackets."""


def regression_fires(rng: np.random.Generator, trigger: QualityTrigger, noise: str, rows: int, off: float) -> bool:
    """Whether the trigger fires on freshly drawn days of a regression whose answers are ``off`` by that much."""
    days = []
    for _ in range(trigger.days):
        scores = rng.normal(0, 1, rows)
        labels = scores + off + NOISES[noise](rng, rows)
        days.append(count_outcomes(None, scores, labels, metric="mae", classification=False))
    return bool(_judged(days, trigger))


def _judged(days: list[Any], trigger: QualityTrigger) -> tuple[Any, ...]:
    return judge_quality(
        Reference(0, 0, {}), days, trigger=trigger, window_days=1, minimum_rows=1, rarest_fault=0.02
    ).fallen


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--confidence", type=float, default=0.99)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.0005, 0.001, 0.005, 0.05, 0.5])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shapes = [(7, 50), (7, 200), (10, 50), (10, 200), (14, 100), (10, 1000)]
    print(f"Fires, in percent of {options.draws} looks (changed worlds: a third of them).")
    print(f"Declared: at most {100 * (1 - options.confidence):.3g} where nothing has changed.\n")
    heads = f"{'unchanged':>10} {'days wander':>12} {'level x 2':>10} {'spread / 2':>11}"
    print(f"{'rate':>7} {'days':>5} {'rows':>5} {heads}")
    for rate in options.rates:
        for days, rows in shapes:
            trigger = QualityTrigger(days=days, minimum_increase=0.0, confidence=options.confidence)
            world = World(rate, days, rows, options.seed)
            some = options.draws // 3
            cells = (
                100 * np.mean([world.fires(trigger) for _ in range(options.draws)]),
                100 * np.mean([world.fires(trigger, wander=0.5) for _ in range(options.draws)]),
                100 * np.mean([world.fires(trigger, factor=2) for _ in range(some)]),
                100 * np.mean([world.fires(trigger, stretch=0.5) for _ in range(some)]),
            )
            shown = f"{cells[0]:10.1f} {cells[1]:12.1f} {cells[2]:10.1f} {cells[3]:11.1f}"
            print(f"{100 * rate:6.2f}% {days:5} {rows:5} {shown}", flush=True)
    print(f"\n{'regression':>14} {'days':>5} {'rows':>5} {'unchanged':>10} {'off by 0.5':>11}")
    rng = np.random.default_rng(options.seed + 1)
    for noise in NOISES:
        for days, rows in ((3, 50), (7, 5), (7, 50), (14, 100)):
            trigger = QualityTrigger(days=days, minimum_increase=0.0, confidence=options.confidence)
            still = 100 * np.mean([regression_fires(rng, trigger, noise, rows, 0.0) for _ in range(options.draws)])
            off = 100 * np.mean([regression_fires(rng, trigger, noise, rows, 0.5) for _ in range(options.draws // 3)])
            print(f"{noise:>14} {days:5} {rows:5} {still:10.1f} {off:11.1f}")


if __name__ == "__main__":
    main()
