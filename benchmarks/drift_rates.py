"""How often drift alarms in a world that has not changed, and how often in one that has: by simulation.

``python -m benchmarks.drift_rates`` prints a table. The features are numbers and categories of which many are rare, and
the score of a rare class; days may differ from each other. The effect that counts as drift is declared as zero, so the
rates are those of the tests alone.

A second table is of the scores of a refit, which serves without a score reference of its own: judged by what it
collected in its first windows, and, for comparison, by its evaluated sibling's scores of the test days.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np

from everloop.documents.window import WindowRecord
from everloop.monitoring.build import category_bins, number_bins
from everloop.monitoring.counting import bin_indices, counted, counted_daily
from everloop.monitoring.drift import DriftPolicy, judge_drift
from everloop.monitoring.natural import natural_variation
from everloop.monitoring.own_scores import DAYS, own_scores
from everloop.monitoring.profile import Profile
from everloop.monitoring.reference import SCORE, FeatureReference, Reference
from tests.helpers.window_records import window_record

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
    """The reference of ``days`` unchanged days of ``rows`` rows, its natural variation over up to ``span`` days."""
    drawn = [rows_of(rng, rows, spread, False) for _ in range(days)]
    features = {}
    for name in drawn[0]:
        values = np.concatenate([d[name] for d in drawn])
        bins = number_bins(values, 10) if values.dtype.kind == "f" else category_bins(values.tolist())
        indices, day = bin_indices(bins, values), np.repeat(np.arange(days), rows)
        variation = natural_variation(counted_daily(bins, indices, day), span)
        features[name] = FeatureReference(bins, counted(bins, indices), variation)
    return Reference(rows=days * rows, days=days, features=features)


def window_of(rng: np.random.Generator, reference: Reference, rows: int, spread: float, changed: bool) -> Profile:
    """A day of ``rows`` rows, counted over the reference's bins."""
    drawn = rows_of(rng, rows, spread, changed)
    counts = {n: counted(f.bins, bin_indices(f.bins, drawn[n])) for n, f in reference.features.items()}
    return Profile(bins="", rows=rows, features=counts)


BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
TEST_DAYS = 14


def sibling_reference(rng: np.random.Generator, known: Reference, rows: int, spread: float) -> Reference:
    """The reference of a refit: features as ``known``, and its sibling's scores, a seventh steeper in log odds."""
    drawn = [1.15 * log_odds(rng, rows, spread) for _ in range(TEST_DAYS)]
    scores = 1 / (1 + np.exp(-np.concatenate(drawn)))
    bins, day = number_bins(scores, 50), np.repeat(np.arange(TEST_DAYS), rows)
    indices = bin_indices(bins, scores)
    score = FeatureReference(bins, counted(bins, indices), natural_variation(counted_daily(bins, indices, day), 7))
    features = {name: f for name, f in known.features.items() if name != "score"}
    return replace(known, features=features, score=score, score_unjudged="they are its sibling's")


def log_odds(rng: np.random.Generator, rows: int, spread: float, shift: float = 0.0) -> np.ndarray:
    """Of one day's scores."""
    return rng.normal(-1 + shift + spread * rng.normal(), 1, rows)


def served_day(rng: np.random.Generator, reference: Reference, rows: int, spread: float, shift: float) -> Profile:
    """A day of a refit's answers, its scores' log odds moved by ``shift``."""
    scores = 1 / (1 + np.exp(-log_odds(rng, rows, spread, shift)))
    bins, features = reference.score_bins, window_of(rng, reference, rows, spread, False).features
    assert bins is not None
    return Profile(reference.bins_id, rows, features, counted(bins, bin_indices(bins, scores)))


def refit_rates(draws: int, rate: float) -> None:
    """Each of ``draws`` refits serves three weeks after its score reference is complete."""
    print(f"\nWindows of {draws} refits in the three weeks after each has collected its score reference, in percent.")
    print("Changed: the scores alone, by half a standard deviation of their log odds; in the first week of it.")
    print("With all: over the score and four features, as windows are judged. Declared is the rate with all.\n")
    head = f"{'rows a day':>10} {'days differ':>12} {'unchanged, score':>17} {'with all':>9} {'changed, score':>15}"
    print(f"{head} {'by the sibling, unchanged, score':>33}")
    for rows in (40, 150, 1000):
        for spread in (0.0, 0.1, 0.3):
            print(f"{rows:>10} {spread:12g} {refit_rate(draws, rate, rows, spread)}", flush=True)


def refit_rate(draws: int, rate: float, rows: int, spread: float) -> str:
    """One line of the table: how often windows alarm, in percent."""
    rng, policy = np.random.default_rng(1), DriftPolicy(7, 1, 1, rate, 0.0)
    known = [reference_of(rng, 90, 500, spread, 7) for _ in range(10)]
    still, still_all, moved, sibling = 0, 0, 0, 0
    for draw in range(draws):
        reference = sibling_reference(rng, known[draw % len(known)], rows, spread)
        first = [served_day(rng, reference, rows, spread, 0.0) for _ in range(DAYS)]
        collected = own_scores(records_of(first), reference, policy, version=1, before=BEGIN + timedelta(days=400))
        judging = collected.judging(reference)
        for shift, days in ((0.0, 21), (0.5, 7)):
            after = [served_day(rng, reference, rows, spread, shift) for _ in range(days)]
            for day in range(1, days + 1):
                chain = after[:day][::-1]
                report = judge_drift(judging, [*chain, *first[::-1]], policy, score_windows=day)
                alarmed = [f.name for f in report.alarmed]
                if shift:
                    moved += SCORE in alarmed
                else:
                    still, still_all = still + (SCORE in alarmed), still_all + bool(alarmed)
                    by_sibling = judge_drift(replace(reference, score_unjudged=""), chain, policy)
                    sibling += SCORE in [f.name for f in by_sibling.alarmed]
    looks = 100 / (21 * draws)
    return f"{still * looks:17.2f} {still_all * looks:9.2f} {100 * moved / (7 * draws):15.1f} {sibling * looks:33.1f}"


def records_of(windows: list[Profile]) -> list[WindowRecord]:
    """Recorded windows, oldest first."""
    return [
        window_record(end=BEGIN + timedelta(days=day + 1), rows=profile.rows, profile=profile.as_dict())
        for day, profile in enumerate(windows)
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--false-alarm-rate", type=float, default=0.01)
    parser.add_argument("--only", choices=["evaluated", "refit"], help="one of the two tables")
    options = parser.parse_args()
    if options.only != "refit":
        evaluated_rates(options)
    if options.only != "evaluated":
        refit_rates(options.draws, options.false_alarm_rate)


def evaluated_rates(options: argparse.Namespace) -> None:
    """Of a version with a reference of its own, over all features."""
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
