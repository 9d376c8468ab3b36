"""How often the guardrail rolls back a step that waits for traffic, and after how many requests.

``python benchmarks/guardrail_rates.py`` prints two tables. The first is exact: the real guardrail is asked from how
many errors on it rolls back, and the number of errors is followed from request to request. The second, of what is
refused, is by simulation.
"""

from __future__ import annotations

import argparse

import numpy as np

from everloop.model_file.schema import Guardrail
from everloop.rollout.guardrails import decide_step
from everloop.rollout.looks import PARTS
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.version_metrics import VersionMetrics

PLAN = RolloutPlan((Step(10, 300), Step(50, 300)), 3600)


def rolls_back(guardrail: Guardrail, look: int, found: VersionMetrics, before: VersionMetrics | None = None) -> bool:
    """Whether the guardrail rolls back at that look."""
    verdict = decide_step(PLAN, guardrail, step_index=0, elapsed_seconds=300 * look, metrics=found, before=before)
    return verdict.decision == "rollback"


def fewest_errors(guardrail: Guardrail, every: int) -> list[int]:
    """From how many errors on each look rolls back; one more than its requests where no number does."""
    fewest: list[int] = []
    needed = guardrail.minimum_requests
    for look, requests in enumerate(range(every, needed + 1, every), 1):
        known = fewest[-1] if fewest and requests < needed else 1
        counts = range(known, requests + 1)
        fewest.append(
            next((k for k in counts if rolls_back(guardrail, look, VersionMetrics(requests, k, None))), requests + 1)
        )
    return fewest


def followed(fewest: list[int], every: int, rate: float) -> tuple[float, float, float]:
    """How often a step is rolled back while it waits, how often in all, and after how many requests it ends."""
    errors, back, mean = np.eye(1, every * len(fewest) + 1)[0], 0.0, 0.0
    waiting = 0.0
    for count in fewest:
        mean += every * (1 - back)
        for _ in range(every):
            errors = errors * (1 - rate) + np.append(0.0, errors[:-1]) * rate
        waiting = back
        back += float(errors[count:].sum())
        errors[count:] = 0
    return waiting, back, mean


def error_table(limit: float) -> None:
    """How often a canary with a given error rate is rolled back."""
    print(f"\nError rate: {limit:.0%} are allowed. Rolled back while it waits / in all, in percent; mean requests.")
    share = Guardrail(max_error_rate=limit, max_p99_latency_ms=200).false_rollback_rate * PARTS["error_rate"]
    print(f"Declared for a step: at most {100 * share / PLAN.phases:.2f} at the limit.\n")
    rates = (limit, 2.5 * limit, 5 * limit, 15 * limit, 1.0)
    print(f"{'needed':>7} {'every':>6} " + " ".join(f"{f'at {rate:.0%}':>22}" for rate in rates))
    for needed, every in ((5, 1), (50, 5), (100, 5), (500, 10), (1000, 10)):
        guardrail = Guardrail(max_error_rate=limit, max_p99_latency_ms=200, minimum_requests=needed)
        fewest = fewest_errors(guardrail, every)
        cells = []
        for rate in rates:
            waiting, back, mean = followed(fewest, every, rate)
            cells.append(f"{100 * waiting:.1f} / {100 * back:.1f} {mean:6.1f}")
        print(f"{needed:7} {every:6} " + " ".join(f"{cell:>22}" for cell in cells), flush=True)


def refusal_table(draws: int, seed: int) -> None:
    """How often a canary is rolled back that refuses more requests than the champion."""
    print(
        f"\nRefused requests: a tenth of the traffic, 30% refused by both, or by the candidate more; {draws} draws.\n"
    )
    more = (0.0, 0.1, 0.3, 0.7)
    print(f"{'needed':>7} {'every':>6} " + " ".join(f"{f'+{m:.0%}':>14}" for m in more))
    rng = np.random.default_rng(seed)
    for needed, every in ((5, 1), (50, 5), (100, 5), (500, 10)):
        guardrail = Guardrail(max_error_rate=0.02, max_p99_latency_ms=200, minimum_requests=needed)
        cells = []
        for extra in more:
            ends = [_refused_until(rng, guardrail, every, 0.3 + extra) for _ in range(draws)]
            back = np.mean([e is not None for e in ends])
            cells.append(f"{100 * back:.1f} {np.mean([needed if e is None else e for e in ends]):6.1f}")
        print(f"{needed:7} {every:6} " + " ".join(f"{cell:>14}" for cell in cells), flush=True)


def _refused_until(rng: np.random.Generator, guardrail: Guardrail, every: int, share: float) -> int | None:
    refused = other = 0
    for look, requests in enumerate(range(every, guardrail.minimum_requests + 1, every), 1):
        refused += rng.binomial(every, share)
        other += rng.binomial(9 * every, 0.3)
        found = VersionMetrics(requests, 0, None, refused=refused)
        if rolls_back(guardrail, look, found, VersionMetrics(9 * requests, 0, None, refused=other)):
            return requests
    return None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=0.02)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    error_table(options.limit)
    refusal_table(options.draws, options.seed)


if __name__ == "__main__":
    main()
