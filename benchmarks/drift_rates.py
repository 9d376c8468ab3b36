"""How often drift alarms in a world that has not changed, and how often in one that has: by simulation.

``python benchmarks/drift_rates.py`` prints a table. The features are numbers and categories of which many are rare, and
the score of a rare class; days may differ from each other. The effect that counts as drift is declared as zero, so the
rates are those of the tests alone.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np

from everloop.monitoring.build import category_bins, natural_variation, number_bins
from everloop.monitoring.counting import bin_indices, counted, counted_daily
from everloop.monitoring.drift import DriftPolicy, judge_drift
from everloop.monitoring.profile import Profile
from everloop.monitoring.reference import FeatureReference, Reference

COMMON = [f"c{i}" for i in range(4)]
RARE = ["usual", *(f"r{i}" for i in range(30))]


def rows_of(rng: np.random.Generator, rows: int, spread: float, changed: bool) -> dict[str, np.ndarray]:
    """One day's rows; whole days differ by ``spread``."""
    tilt = spread * rng.normal(size=4)
    common = np.exp(tilt) / np.exp(tilt).sum()
    rare = np.array([0.97, *np.full(30, 0.001)])
    if changed:
        rare = np.array([0.77, 0.201, *np.full(29, 0.001)])
    return {
        "number": rng.normal(spread * rng.normal() + (0.7 if changed else 0), 1, rows),
        "heavy": rng.standard_t(1.5, rows),
        "common": rng.choice(COMMON, rows, p=common),
        "rare": rng.choice(RARE, rows, p=rare),
        "score": 1 / (1 + np.exp(7 - 1.5 * rng.normal(spread * rng.normal(), 1, rows))),
    }


def reference_of(rng: np.random.Generator, days: int, rows: int, spread: float, span: int) -> Reference:
    drawn = [rows_of(rng, rows, spread, False) for _ in range(days)]
    features = {}
    for name in drawn[0]:
        values = np.concatenate([d[name] for d in drawn])
        bins = number_bins(values, 10) if values.dtype.kind == "f" else category_bins(values)
        indices, day = bin_indices(bins, values), np.repeat(np.arange(days), rows)
        variation = natural_variation(counted_daily(bins, indices, day), span)
        features[name] = FeatureReference(bins, counted(bins, indices), variation)
    return Reference(rows=days * rows, days=days, features=features)


def window_of(rng: np.random.Generator, reference: Reference, rows: int, spread: float, changed: bool) -> Profile:
    drawn = rows_of(rng, rows, spread, changed)
    counts = {n: counted(f.bins, bin_indices(f.bins, drawn[n])) for n, f in reference.features.items()}
    return Profile(bins="", rows=rows, features=counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--false-alarm-rate", type=float, default=0.01)
    options = parser.parse_args()
    print(f"Alarms over all features, in percent of {options.draws} windows (changed worlds: a third of them).")
    print(f"Declared: at most {100 * options.false_alarm_rate:g} where nothing has changed.\n")
    print(f"{'reference':>16} {'window':>14} {'days differ':>12} {'unchanged':>10} {'changed':>8}")
    for days, rows in ((40, 50), (90, 500)):
        for span in (1, 7):
            for per_day in (10, 50, 200):
                for spread in (0.0, 0.3):
                    rng = np.random.default_rng(1)
                    policy = DriftPolicy(span, 1, 1, options.false_alarm_rate, 0.0)
                    references = [reference_of(rng, days, rows, spread, span) for _ in range(30)]

                    def alarms(
                        draws: int,
                        changed: bool,
                        rng: np.random.Generator = rng,
                        references: list[Reference] = references,
                        policy: DriftPolicy = policy,
                        per_day: int = per_day,
                        spread: float = spread,
                    ) -> float:
                        found = 0
                        for draw in range(draws):
                            reference = references[draw % len(references)]
                            window = partial(window_of, rng, reference, per_day, spread, changed)
                            found += bool(
                                judge_drift(reference, [window() for _ in range(policy.days)], policy).alarmed
                            )
                        return 100 * found / draws

                    still, moved = alarms(options.draws, False), alarms(options.draws // 3, True)
                    shown = f"{f'{days} d x {rows}':>16} {f'{span} d x {per_day}':>14} {spread:12g}"
                    print(f"{shown} {still:10.1f} {moved:8.1f}", flush=True)


if __name__ == "__main__":
    main()
