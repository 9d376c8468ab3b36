"""How often the gate is right on real data: the error it makes, what it lets pass, and whether its refusals were right.

    python benchmarks/gate_on_streams.py [--draws 60] [--streams flights …] [--data FOLDER] [--processes 2]

The streams are real ones: flights (all, three airports, four carriers), covtype, electricity and weather; see
``benchmarks/streams.py``. A model is trained every 14 days (of the public files every 28) on all rows before, and
recalibrated daily from its own labels. Two questions are asked.

**Rates.** A candidate and a champion have answered at least 100 days that neither has learned from. Their true
difference is that of all these days together. A test part is a number of those days, drawn with replacement: whole
days, since days are what varies. A bound below the true difference is an error, whatever the margin is: the gate then
passes a candidate that is exactly no better. Power is how often a truly better one passes at margin 0.

**In time order.** As in production: each candidate is judged on the days that follow its training, and takes the
champion's place if it passes. Each judgement is compared with what the two lose on the four windows after the test
part. So a refusal can be right.

Rules that are compared:

- *point*: the candidate's loss is lower on the test part.
- *rows*: 95% of 200 resamples of the rows say so (a bootstrap that takes rows for independent).
- *gate*: this product's bound.
- *control*: Student's t by days after a regression on the champion's loss of the day, whose mean is known from other
  days (control variates; Deng, Xu, Kohavi and Walker, "Improving the sensitivity of online controlled experiments by
  utilizing pre-experiment data", 2013). As other days it takes 60 drawn ones, or in time order those of two windows
  before the test part.
- *scores*: the same after a regression on the day's outcomes less what both have answered on average, whose mean is 0
  as long as scores are recalibrated (control variates by the scores).
- *days*: Student's t by days alone, so that one sees what the control adds.
- *pooled*: the gate's bound of the difference pooled with those of refused predecessors, each on its own test part
  (``benchmarks/pooled.py``); the candidate must also be ahead on its own.
- *e-values*: each test part's p-value as an e-value (Shafer, Shen, Vereshchagin and Vovk 2011), multiplied over refused
  predecessors; passes from 20 on.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

# Processes share the cores: a learner with threads of its own would wait for the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import fitted  # noqa: E402
from benchmarks.pooled import pooled  # noqa: E402
from benchmarks.refit import markdown  # noqa: E402
from benchmarks.retraining import hashed, kept, learner, makers  # noqa: E402
from benchmarks.streams import HISTORY_DAYS  # noqa: E402
from everloop.evaluation.bounds import FEWEST_OF_A_CLASS, upper_bound  # noqa: E402
from everloop.evaluation.metrics import estimate  # noqa: E402
from everloop.evaluation.report import PairedDifference  # noqa: E402
from everloop.evaluation.significance import parts_of, standard_error  # noqa: E402
from everloop.retraining.backtest.losses import row_losses  # noqa: E402
from everloop.retraining.backtest.timeline import Timeline, score_windows  # noqa: E402
from everloop.statistics.student_t import t_cdf, t_quantile  # noqa: E402

CONFIDENCE = 0.95
REAL = ("flights", "covtype", "electricity", "weather")
TEST_DAYS = (7, 14, 28, 56)
FEWEST_POOL_DAYS, RESAMPLES, LATER_WINDOWS, BEFORE_WINDOWS = 100, 200, 4, 2
RULES = ("point", "rows", "days", "control", "scores", "gate")
CHAINS = ("point", "rows", "gate", "pooled", "e-values", "control", "scores")
STEPS = ((0.0, 0.0025), (0.0025, 0.005), (0.005, 0.01), (0.01, 0.02), (0.02, 0.05), (0.05, math.inf))
"""By how much of its loss a champion is beaten."""


@dataclass(frozen=True)
class Rows:
    """Rows that two have answered: labels, scores of candidate and champion, days, and the champion's losses."""

    labels: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray
    days: np.ndarray

    def taken(self, index: np.ndarray, days: np.ndarray | None = None) -> Rows:
        """These rows alone, of days that are called as given."""
        named = self.days[index] if days is None else days
        return Rows(self.labels[index], self.ours[index], self.theirs[index], named)

    @property
    def champion_losses(self) -> np.ndarray:
        """By row."""
        return np.asarray(row_losses(self.labels, self.theirs[None], "log_loss")[0])

    @property
    def differences(self) -> np.ndarray:
        """Candidate less champion, by row."""
        return np.asarray(row_losses(self.labels, self.ours[None], "log_loss")[0] - self.champion_losses)


@dataclass(frozen=True)
class Answered:
    """A stream with what its models answered, recalibrated: float array (windows, rows)."""

    line: Timeline
    served: np.ndarray

    def rows(self, candidate: int, champion: int, first: int, end: int) -> Rows:
        """What both answered from the day ``first`` on up to ``end``."""
        starts = self.line.day_starts
        asked = slice(starts[max(first, 0)], starts[min(end, self.line.days)])
        labels, days = self.line.target[asked], self.line.day[asked]
        return Rows(labels, self.served[candidate, asked], self.served[champion, asked], days)


@dataclass
class Found:
    """What a stream showed."""

    name: str
    wrong: dict[tuple[str, int], list[bool]] = field(default_factory=lambda: defaultdict(list))
    passed: dict[tuple[str, int, int], list[bool]] = field(default_factory=lambda: defaultdict(list))
    judged: dict[tuple[str, int], list[tuple[bool, float, float]]] = field(default_factory=lambda: defaultdict(list))
    """By rule and half windows of the test part: whether it passed, the later difference, and its standard error."""


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", nargs="*", default=list(REAL), help="beginnings of names")
    parser.add_argument("--data", type=Path, default=ROOT / ".cache" / "streams", help="where public files are kept")
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    names = [n for n in makers(options.data) if n.startswith(tuple(options.streams)) and _real(n)]
    with ProcessPoolExecutor(options.processes) as pool:
        found = list(pool.map(measure, names, [options.data] * len(names), [options.draws] * len(names)))
    print(f"{len(found)} streams: {', '.join(one.name for one in found)}\n")
    print(rates_table(found))
    print(power_table(found))
    for halves in (1, 2):
        print(chain_table(found, halves))
    return 0


def _real(name: str) -> bool:
    return "shuffled" not in name and ", 14 days" not in name


def measure(name: str, data: Path, draws: int) -> Found:
    """Both questions of one stream."""
    stream = makers(data)[name]()
    line = Timeline(stream.target, stream.day, HISTORY_DAYS, 2 * stream.window_days)

    def made() -> dict[str, np.ndarray]:
        return {"served": fitted.fitted(line, score_windows(line, learner(stream, 40)))}

    answered, found = Answered(line, kept(f"{hashed(stream)}-gate", made)["served"]), Found(name)
    rng = np.random.default_rng(17)
    for candidate, champion in pairs(line):
        first = line.first_day(max(candidate, champion))
        rates(answered.rows(candidate, champion, first, line.days), draws, rng, found)
    for rule in CHAINS:
        for halves in (1, 2):
            chain(answered, rule, halves, rng, found)
    sys.stderr.write(f"{name}\n")
    return found


def pairs(line: Timeline) -> set[tuple[int, int]]:
    """The windows of a candidate and a champion, one of them older, that can be compared on days enough."""
    last = line.windows - math.ceil(FEWEST_POOL_DAYS / line.window_days)
    older = {(first, last) for first in (0, last // 2, last - 1)} | {(0, 1), (0, last // 2)}
    apart = {(first, newer) for first, newer in older if 0 <= first < newer}
    return apart | {(newer, first) for first, newer in apart}


def rates(rows: Rows, draws: int, rng: np.random.Generator, found: Found) -> None:
    """How each rule does on test parts drawn from the days of these rows."""
    true, of_days = float(rows.differences.mean()), by_day(rows.days)
    better = -true / float(rows.champion_losses.mean())
    step = next((i for i, (low, high) in enumerate(STEPS) if low < better <= high), None)
    for days in TEST_DAYS:
        for _ in range(draws):
            test, outside = drawn(rows, of_days, days, rng), drawn(rows, of_days, 60, rng)
            for rule, (_, bound) in bounds(test, outside.champion_losses, outside.days, rng).items():
                found.wrong[rule, days].append(bound < true)
                if step is not None:
                    found.passed[rule, days, step].append(bound < 0)


def by_day(days: np.ndarray) -> list[np.ndarray]:
    """The rows of each day."""
    return [np.flatnonzero(days == day) for day in np.unique(days)]


def drawn(rows: Rows, of_days: Sequence[np.ndarray], days: int, rng: np.random.Generator) -> Rows:
    """Whole days, each drawn with replacement and then taken for a day of its own."""
    chosen = [of_days[i] for i in rng.integers(len(of_days), size=days)]
    named = np.repeat(np.arange(days), [len(index) for index in chosen])
    return rows.taken(np.concatenate(chosen), named)


def bounds(
    test: Rows, other_losses: np.ndarray, other_days: np.ndarray, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """By rule: the estimate and the bound below which it takes the true difference to be."""
    differences = test.differences
    mean = float(differences.mean())
    error, freedom = standard_error(differences - mean, test.days)
    return {
        "point": (mean, mean),
        "rows": (mean, float(np.quantile(resampled(differences, rng), CONFIDENCE))),
        "days": (mean, mean + t_quantile(CONFIDENCE, freedom) * error),
        "control": controlled(test, other_losses, other_days),
        "scores": by_scores(test),
        "gate": (mean, gate_bound(judged(test))),
    }


def resampled(differences: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Means of rows drawn with replacement."""
    return np.asarray(differences[rng.integers(len(differences), size=(RESAMPLES, len(differences)))].mean(axis=1))


def controlled(test: Rows, other_losses: np.ndarray, other_days: np.ndarray) -> tuple[float, float]:
    """The difference less what the champion's loss on these days explains of it, and its bound."""
    differences, losses = test.differences, test.champion_losses
    of_day = [np.bincount(test.days - test.days.min(), v - v.mean()) for v in (differences, losses)]
    slope = float(of_day[0] @ of_day[1] / max(float(of_day[1] @ of_day[1]), 1e-12))
    known = float(other_losses.mean())
    mean = float(differences.mean()) - slope * (float(losses.mean()) - known)
    error, freedom = standard_error(differences - differences.mean() - slope * (losses - losses.mean()), test.days)
    known_error, _ = standard_error(other_losses - known, other_days)
    return mean, mean + t_quantile(CONFIDENCE, max(1, freedom - 1)) * math.hypot(error, slope * known_error)


def by_scores(test: Rows) -> tuple[float, float]:
    """The difference less what the days' luck explains of it, and its bound: outcomes less scores, whose mean is 0."""
    differences, luck = test.differences, test.labels - (test.ours + test.theirs) / 2
    mean, mean_luck = float(differences.mean()), float(luck.mean())
    days = test.days - test.days.min()
    of_day = [np.bincount(days, values) for values in (differences - mean, luck - mean_luck)]
    slope = float(of_day[0] @ of_day[1] / max(float(of_day[1] @ of_day[1]), 1e-12))
    left = differences - mean - slope * (luck - mean_luck)
    error, freedom = standard_error(left, test.days)
    adjusted = mean - slope * mean_luck
    return adjusted, adjusted + t_quantile(CONFIDENCE, max(1, freedom - 1)) * error


def judged(test: Rows) -> PairedDifference:
    """As the product's evaluation reports it, but for interval and p-value."""
    ours, theirs = (estimate("log_loss", test.labels, scores) for scores in (test.ours, test.theirs))
    influence, few = ours.influence - theirs.influence, min(test.labels.sum(), (1 - test.labels).sum())
    error, freedom = standard_error(influence, test.days)
    reason = "too few of a class" if few < FEWEST_OF_A_CLASS else ""
    parts, days = parts_of(ours, theirs, influence, test.days), len(np.unique(test.days))
    difference = ours.value - theirs.value
    return PairedDifference("log_loss", difference, error, freedom, None, None, None, parts, reason, days)


def gate_bound(paired: PairedDifference) -> float:
    """As the product's gate takes it."""
    if paired.standard_error is None or paired.parts is None or paired.reason:
        return math.inf
    return upper_bound(paired.difference, paired.standard_error, paired.degrees_of_freedom, paired.parts, CONFIDENCE)


def chain(answered: Answered, rule: str, halves: int, rng: np.random.Generator, found: Found) -> None:
    """Candidates in time order, each judged by the rule; one that passes is the next champion."""
    champion, evidence, line = 0, 1.0, answered.line
    refused: list[PairedDifference] = []
    for candidate in range(1, line.windows - 2):
        first = line.first_day(candidate)
        end = first + halves * line.window_days // 2
        test = answered.rows(candidate, champion, first, end)
        paired, passed = judged(test), False
        if rule == "pooled":
            passed = paired.difference < 0 and gate_bound(pooled([*refused, paired])) < 0
        elif rule == "e-values":
            evidence *= e_value(paired)
            passed = evidence >= 1 / (1 - CONFIDENCE)
        else:
            since = max(line.first_day(champion), first - BEFORE_WINDOWS * line.window_days)
            before = answered.rows(champion, champion, since, first)
            passed = bounds(test, before.champion_losses, before.days, rng)[rule][1] < 0
        later = answered.rows(candidate, champion, end, end + LATER_WINDOWS * line.window_days)
        difference = later.differences
        error, _ = standard_error(difference - difference.mean(), later.days)
        found.judged[rule, halves].append((passed, float(difference.mean()), error))
        refused.append(paired)
        if passed:
            champion, refused, evidence = candidate, [], 1.0


def e_value(paired: PairedDifference) -> float:
    """Of the one-sided p-value by days: the mixture of all calibrators κ p^(κ−1)."""
    if paired.standard_error is None or not paired.standard_error > 0:
        return 1.0
    p = max(t_cdf(paired.difference / paired.standard_error, paired.degrees_of_freedom), 1e-9)
    return (1 - p + p * math.log(p)) / (p * math.log(p) ** 2) if p < 1 else 0.5


def rates_table(found: Sequence[Found]) -> str:
    """The error, over all pairs, and of the stream where it is largest."""
    rows = []
    for rule in RULES:
        cells = [rule]
        for days in TEST_DAYS:
            shares = [float(np.mean(one.wrong[rule, days])) for one in found]
            every = [wrong for one in found for wrong in one.wrong[rule, days]]
            cells.append(f"{100 * np.mean(every):.1f} ({100 * max(shares):.1f})")
        rows.append(cells)
    draws = sum(len(one.wrong["gate", TEST_DAYS[0]]) for one in found)
    title = f"Exactly no better, and passes: percent of {draws:,} draws (of the worst stream)\n\n"
    return title + markdown(["rule", *(f"{days} days" for days in TEST_DAYS)], rows) + "\n"


def power_table(found: Sequence[Found]) -> str:
    """How often a truly better candidate passes."""
    rows = []
    for step, (low, high) in enumerate(STEPS):
        for rule in RULES[1:]:
            told = f"{100 * low:g} to {100 * high:g}%" if math.isfinite(high) else f"over {100 * low:g}%"
            cells, draws = [told, rule], 0
            for days in TEST_DAYS:
                every = [passed for one in found for passed in one.passed[rule, days, step]]
                cells.append(f"{100 * np.mean(every):.0f}" if every else "")
                draws = len(every)
            rows.append([*cells, f"{draws:,}"])
    title = "Truly better by that share of the champion's loss, and passes: percent\n\n"
    return title + markdown(["better by", "rule", *(f"{days} days" for days in TEST_DAYS), "draws"], rows) + "\n"


def chain_table(found: Sequence[Found], halves: int) -> str:
    """Promotions and refusals in time order, and how many of them later days confirmed."""
    rows = []
    for rule in CHAINS:
        every = [one for stream in found for one in stream.judged[rule, halves]]
        passed, refused = [o for o in every if o[0]], [o for o in every if not o[0]]
        truly_worse = [o for o in every if o[1] - 2 * o[2] > 0]
        truly_better = [o for o in every if o[1] + 2 * o[2] < 0]
        rows.append(
            [
                rule,
                str(len(every)),
                f"{len(passed)}, {sum(o[1] >= 0 for o in passed)} ({sum(o[1] - 2 * o[2] > 0 for o in passed)})",
                f"{len(refused)}, {sum(o[1] >= 0 for o in refused)} ({sum(o[1] + 2 * o[2] < 0 for o in refused)})",
                f"{sum(o[0] for o in truly_worse)} of {len(truly_worse)}",
                f"{sum(o[0] for o in truly_better)} of {len(truly_better)}",
            ]
        )
    head = ["rule", "judged", "promoted, later no better (clearly worse)", "refused, later no better (clearly better)"]
    head += ["clearly worse: passed", "clearly better: passed"]
    return (
        f"In time order, test parts of {7 * halves} days (public files {14 * halves})\n\n" + markdown(head, rows) + "\n"
    )


if __name__ == "__main__":
    sys.exit(main())
