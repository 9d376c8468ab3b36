"""How often a regression that is no better passes with few rows, and a limit that is not kept: by simulation.

``python benchmarks/few_rows_rates.py`` prints two tables. In the first a candidate is a little better than the other
on most rows, and much worse on a few, or its losses have a heavy tail; on average it is exactly no better. In the
second the declared limit of a metric is exactly its true value, so that the candidate keeps it by nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from gate_rates import Setting, World, probability, times, true_area  # type: ignore[import-not-found]  # beside this

from everloop.evaluation.bounds import (
    FEWEST_OF_A_CLASS,
    area_bounds,
    days_needed,
    rows_needed,
    upper_bound,
)
from everloop.evaluation.metrics import Estimate, estimate
from everloop.evaluation.significance import metric_value, paired_difference

Losses = Callable[[np.random.Generator, int], np.ndarray]
RAREST_FAULT = 0.02
BETTER = 4.0
"""By how many standard errors a better candidate is better."""


def misses(share: float) -> Losses:
    """Differences of mean zero: badly wrong on a share of the rows, and a little better on the rest."""

    def draw(rng: np.random.Generator, rows: int) -> np.ndarray:
        missed = rng.random(rows) < share
        return np.where(missed, 10.0, -10 * share / (1 - share)) + rng.normal(0, 3 * share, rows)

    return draw


def tail(spread: float) -> Losses:
    """Differences of mean zero with the right tail of a lognormal distribution."""
    return lambda rng, rows: np.exp(spread * rng.normal(0, 1, rows)) - np.exp(spread**2 / 2)


LOSSES: dict[str, Losses] = {
    "5% misses": misses(0.05),
    "2% misses": misses(0.02),
    "0.5% misses": misses(0.005),
    "lognormal 1": tail(1.0),
    "lognormal 1.5": tail(1.5),
    "t, 3 degrees": lambda rng, rows: rng.standard_t(3, rows),
    "normal": lambda rng, rows: rng.normal(0, 1, rows),
}


def bound_of(differences: np.ndarray, days: np.ndarray, confidence: float) -> float:
    """The gate's upper bound of the mean difference."""
    influence = differences - differences.mean()
    zero = Estimate("mae", 0.0, np.zeros(len(differences)))
    found = paired_difference(Estimate("mae", float(differences.mean()), influence), zero, days)
    assert found.standard_error is not None
    assert found.parts is not None
    return upper_bound(found.difference, found.standard_error, found.degrees_of_freedom, found.parts, confidence)


def regression_table(draws: int, confidence: float, seed: int) -> None:
    """How often a candidate passes that is no better, and one that is better, by distribution of the losses."""
    print(f"\nRegression: passes in percent of {draws} draws, no better / better by {BETTER:g} standard errors.")
    print(f"Declared: at most {100 * (1 - confidence):.3g} where no better. The gate refuses what is in brackets.\n")
    print(f"{'days':>5} {'rows':>5} " + " ".join(f"{name:>15}" for name in LOSSES))
    rng = np.random.default_rng(seed)
    deviation = {name: float(np.std(draw(rng, 400_000))) for name, draw in LOSSES.items()}
    for groups in (2, 5, 7, 30):
        for rows in (60, 140, rows_needed(confidence, RAREST_FAULT), 300, 600):
            cells = []
            for name, draw in LOSSES.items():
                better = BETTER * deviation[name] / np.sqrt(rows)
                days = np.arange(rows) % groups
                bounds = np.array([bound_of(draw(rng, rows), days, confidence) for _ in range(draws)])
                cells.append(f"{100 * np.mean(bounds < 0):.1f} / {100 * np.mean(bounds < better):.0f}")
            refused = rows < rows_needed(confidence, RAREST_FAULT) or groups < days_needed(confidence)
            shown = " ".join(f"{f'({cell})' if refused else cell:>15}" for cell in cells)
            print(f"{groups:5} {rows:5} {shown}", flush=True)


def absolute_table(draws: int, confidence: float, seed: int) -> None:
    """How often limits are kept that lie exactly at the truth."""
    print(f"\nLimits at the truth: passes in percent of {draws} draws; at most {100 * (1 - confidence):.3g}.\n")
    print(f"{'world':46} {'judged':>7} {'log loss max':>13} {'AUC min':>8}")
    for groups in (5, 7, 30):
        for uneven in (0.0, 1.2):
            for spread in (0.0, 0.7):
                for positives in (5, 20, 100):
                    world = World(2100, groups, positives, spread, uneven=uneven)
                    judged, loss, area = _limits(world, draws, confidence, seed)
                    print(f"{world.label:46} {judged:7.0f} {loss:13.1f} {area:8.1f}", flush=True)


def _limits(world: World, draws: int, confidence: float, seed: int) -> tuple[float, float, float]:
    setting = Setting(world, seed + 2)
    loss, area = setting.loss(times(1)), true_area(setting)
    judged = kept_loss = kept_area = 0
    for _ in range(draws):
        z, _, labels, days = setting.draw()
        if min(labels.sum(), len(labels) - labels.sum()) < FEWEST_OF_A_CLASS:
            continue
        judged += 1
        one = metric_value(estimate("log_loss", labels, probability(z)), days)
        assert one.value is not None
        assert one.standard_error is not None
        assert one.parts is not None
        bound = upper_bound(one.value, one.standard_error, one.degrees_of_freedom, one.parts, confidence)
        kept_loss += bound <= loss
        one = metric_value(estimate("roc_auc", labels, probability(z)), days)
        assert one.value is not None
        assert one.standard_error is not None
        kept_area += area_bounds(one.value, one.standard_error, one.degrees_of_freedom, confidence)[0] >= area
    return 100 * judged / draws, 100 * kept_loss / draws, 100 * kept_area / draws


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    regression_table(options.draws, options.confidence, options.seed)
    absolute_table(options.draws, options.confidence, options.seed)


if __name__ == "__main__":
    main()
