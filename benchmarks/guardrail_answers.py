"""How soon the guardrail finds a version that answers otherwise or worse, and how often it takes back a good one.

``python benchmarks/guardrail_answers.py`` prints two tables, by simulation. The rollout is the worked example's: 25%
for 3 hours, 50% for 3 hours, a bake of 24 hours; labels come an hour after requests. The limits are a score distance of
0.1 and 0.002 of Brier score. What is asked is sampled as on the lake, and looked at every 15 minutes, 20 minutes
late: that is contained in the minutes, which are from the first request on.

Both versions know the log odds of each row but for noise of their own, and are calibrated. A worse one has more noise.
A shifted one has everybody's log odds raised.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import guardrail_detection as metrics  # noqa: E402
from everloop.model_file.sections.rollout import QualityGuardrail, ScoresGuardrail  # noqa: E402
from everloop.problem_types import BINARY  # noqa: E402
from everloop.rollout.answer_measures import Judged, judge  # noqa: E402
from everloop.rollout.answered import Answered, ComparedRow  # noqa: E402
from everloop.rollout.answered_query import FIRST_QUOTA, LEAST_QUOTA, SETTLED, SLOT  # noqa: E402
from everloop.rollout.guardrails import decide_bake, decide_step  # noqa: E402
from everloop.rollout.looks import OF_ANSWERS, Look  # noqa: E402
from everloop.rollout.losses import Loss  # noqa: E402

GUARDRAIL = metrics.GUARDRAIL.model_copy(
    update={"scores": ScoresGuardrail(max_distance=0.1), "quality": QualityGuardrail(max_added_loss=0.002)}
)
LOSS = Loss("Brier score", BINARY)
MINUTE = 60_000
LABEL_MINUTES = 60
NOISE = 0.4
"""Of the champion's log odds; the true ones have a deviation of 1.2 around -1.4."""


@dataclass(frozen=True)
class Candidate:
    """The noise of its log odds, and by how much they are raised."""

    noise: float = NOISE
    raised: float = 0.0


@cache
def calibrated(noise: float) -> tuple[float, float]:
    """Slope and intercept with which log odds of so much noise tell the truth (Newton's method, 200,000 rows)."""
    rng = np.random.default_rng(2)
    truth = rng.normal(-1.4, 1.2, 200_000)
    seen, outcome = truth + noise * rng.normal(size=truth.size), 1 / (1 + np.exp(-truth))
    design, weights = np.stack([seen, np.ones_like(seen)]), np.array([1.0, 0.0])
    for _ in range(8):
        said = 1 / (1 + np.exp(-(weights @ design)))
        weights = weights + np.linalg.solve((design * said * (1 - said)) @ design.T, design @ (outcome - said))
    return float(weights[0]), float(weights[1])


def area(noise: float, rng: np.random.Generator) -> float:
    """The area under the ROC curve of log odds with so much noise."""
    truth = rng.normal(-1.4, 1.2, 200_000)
    late = rng.random(truth.size) < 1 / (1 + np.exp(-truth))
    order = np.argsort(truth + noise * rng.normal(size=truth.size))
    ranks = np.empty(truth.size)
    ranks[order] = np.arange(1, truth.size + 1)
    ones = int(late.sum())
    return float((ranks[late].sum() - ones * (ones + 1) / 2) / (ones * (truth.size - ones)))


def noise_of(loss: float) -> float:
    """How much noise takes so much of the champion's area, by bisection."""
    wanted, low, high = area(NOISE, np.random.default_rng(1)) - loss, NOISE, 5.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if area(middle, np.random.default_rng(1)) > wanted else (low, middle)
    return high


def sampled(rng: np.random.Generator, candidate: Candidate, traffic: float, share: float, minutes: int) -> Answered:
    """The rows of a phase that the lake's sample has."""
    fits = {noise: calibrated(noise) for noise in (NOISE, candidate.noise)}
    rows: list[ComparedRow] = []
    width = int(SLOT.total_seconds() // 60)
    for slot in range(ceil(minutes / width)):
        quota = max(LEAST_QUOTA, FIRST_QUOTA // (slot + 1))
        count = min(quota, int(rng.poisson(traffic * width)))
        at = np.sort(rng.integers(slot * width * MINUTE, (slot + 1) * width * MINUTE, count))
        truth = rng.normal(-1.4, 1.2, count)
        label = rng.random(count) < 1 / (1 + np.exp(-truth))
        scores = []
        for noise, raised in ((candidate.noise, candidate.raised), (NOISE, 0.0)):
            slope, intercept = fits[noise]
            seen = truth + noise * rng.normal(size=count)
            scores.append(1 / (1 + np.exp(-(slope * seen + intercept + raised))))
        by = rng.random(count) < share
        rows += [
            ComparedRow(f"{slot}-{i}", int(t), bool(b), float(a), float(c), float(y), int(t) + LABEL_MINUTES * MINUTE)
            for i, (t, b, a, c, y) in enumerate(zip(at, by, *scores, label, strict=True))
        ]
    return Answered(rows)


def seen_at(answered: Answered, minute: int) -> Answered:
    """What a look after so many minutes has: rows and labels that are in the lake."""
    until = minute * MINUTE - int(SETTLED.total_seconds()) * 1000
    rows = [row for row in answered.rows if row.at < until]
    known = [
        row if row.labelled_at < until else ComparedRow(row.request, row.at, row.by_candidate, row.ours, row.theirs)
        for row in rows
    ]
    return Answered(known)


def judged(answered: Answered, minute: int, only: str | None = None) -> Judged:
    """What a look finds, or what one measure of it does, by the key that declares it."""
    look = Look.at(metrics.PLAN, GUARDRAIL, ends=False)
    alone = {key: None for key in OF_ANSWERS.values() if only not in (None, key)}
    return judge(GUARDRAIL.model_copy(update=alone), look, seen_at(answered, minute), LOSS)


def found_after(rng: np.random.Generator, candidate: Candidate, traffic: float, code: str) -> int | None:
    """Minutes until a reason of this code takes the candidate back."""
    passed, width = 0, int(SLOT.total_seconds() // 60)
    for share, seconds in zip(metrics.SHARES, metrics.SECONDS, strict=True):
        minutes = seconds // 60
        answered = sampled(rng, candidate, traffic, share, minutes)

        def breaks(look: int, answered: Answered = answered) -> bool:
            return bool(judged(answered, look * width, OF_ANSWERS[code]).broken)

        look: int | None = metrics.first_minute(breaks, minutes // width)
        if look is not None:
            return passed + look * width
        passed += minutes
    return None


def detection_table(draws: int, seed: int) -> None:
    """Minutes to the rollback of each kind of wrong answers."""
    print("\nMinutes from the first request to the rollback, median / 90th percentile; (share found).\n")
    cases = {
        "score distance 0.2 (log odds + 0.54)": (Candidate(raised=0.54), "score_distance"),
        "score distance 0.4 (log odds + 1.11)": (Candidate(raised=1.11), "score_distance"),
        "area under the ROC curve less 0.02": (Candidate(noise_of(0.02)), "added_loss"),
        "area under the ROC curve less 0.05": (Candidate(noise_of(0.05)), "added_loss"),
        "area under the ROC curve less 0.10": (Candidate(noise_of(0.10)), "added_loss"),
    }
    traffic = (10, 100, 1000)
    print(f"{'':40}{'Brier':>9}" + "".join(f"{f'{n} a minute':>20}" for n in traffic))
    for name, (candidate, code) in cases.items():
        rows = sampled(np.random.default_rng(9), candidate, 1000, 0.5, 1440).rows
        more = np.mean([LOSS.of(r.ours, r.label or 0.0) - LOSS.of(r.theirs, r.label or 0.0) for r in rows])
        cells = []
        for requests in traffic:
            rng = np.random.default_rng([seed, requests])
            cells.append(metrics.told([found_after(rng, candidate, requests, code) for _ in range(draws)]))
        print(f"{name:40}{more:>+9.4f}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


def false_table(draws: int, seed: int) -> None:
    """How many rollouts of an equally good version are rolled back, by any guardrail."""
    declared = GUARDRAIL.false_rollback_rate
    print(f"\nRollouts rolled back with every guardrail on, in percent of {draws}; declared: {declared:.0%}.\n")
    traffic = (10, 100, 1000)
    print(f"{'':40}" + "".join(f"{f'{n} a minute':>14}" for n in traffic))
    cases = {
        "as good as the champion": (Candidate(), metrics.GOOD),
        "at the limits of metrics and distance": (Candidate(raised=0.268), metrics.AT_ITS_LIMITS),
    }
    for name, (candidate, rates) in cases.items():
        cells = []
        for requests in traffic:
            rng, back = np.random.default_rng([seed, requests]), 0
            for _ in range(draws):
                back += _is_taken_back(rng, candidate, rates, requests)
            cells.append(f"{100 * back / draws:.1f}")
        print(f"{name:40}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


def _is_taken_back(rng: np.random.Generator, candidate: Candidate, rates: metrics.Rates, traffic: float) -> bool:
    """By the last look at each phase: what was found once stays found."""
    for phase, found, before in metrics.lived(rng, rates, rates, traffic, 0):
        seconds = metrics.SECONDS[phase]
        answers = judged(sampled(rng, candidate, traffic, metrics.SHARES[phase], seconds // 60), seconds // 60)
        if phase == metrics.BAKE:
            verdict = decide_bake(metrics.PLAN, GUARDRAIL, found, before, elapsed_seconds=seconds, answers=answers)
        else:
            verdict = decide_step(
                metrics.PLAN,
                GUARDRAIL,
                step_index=phase,
                elapsed_seconds=seconds,
                metrics=found,
                before=before,
                answers=answers,
            )
        if verdict.decision == "rollback":
            return True
    return False


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20, help="rollouts for each time to detect")
    parser.add_argument("--rollouts", type=int, default=100, help="rollouts for each false-rollback rate")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    detection_table(options.draws, options.seed)
    false_table(options.rollouts, options.seed)


if __name__ == "__main__":
    main()
