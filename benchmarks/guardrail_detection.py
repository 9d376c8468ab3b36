"""How soon the guardrail finds a bad version, and how often it rolls back a good one, by looks at every minute.

``python benchmarks/guardrail_detection.py`` prints its tables, by simulation: the guardrail that is deployed, beside
the one before it, which looked once as each step and the bake ended and went by exact tests of one look. The rollout
is the worked example's: 25% for 3 hours, 50% for 3 hours, a bake of 24 hours. Minutes are from the beginning of the
fault to the look that rolls back. CloudWatch's own delay of one to two minutes comes on top, and is the same for both.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from scipy.stats import fisher_exact

from everloop.model_file.schema import Guardrail
from everloop.rollout.guardrails import Verdict, decide_bake, decide_step
from everloop.rollout.measures import SLOW_SHARE
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.version_metrics import Minute, VersionMetrics
from everloop.statistics.binomial import exact_lower_bound

PLAN = RolloutPlan((Step(25, 10_800), Step(50, 10_800)), 86_400)
GUARDRAIL = Guardrail(max_error_rate=0.02, max_p99_latency_ms=200, minimum_requests=20)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
SHARES = (0.25, 0.5, 1.0)
SECONDS = (10_800, 10_800, 86_400)
BAKE = 2
SEEN_LATE = 2
"""Minutes until CloudWatch shows one."""

FORMER_RATE = 0.05
"""Of the former guardrail, for each limit."""


@dataclass(frozen=True)
class Rates:
    """What a version does: the shares of its requests that fail, are slow, and are refused."""

    errors: float = 0.001
    slow: float = 0.001
    refused: float = 0.01


GOOD = Rates()
AT_ITS_LIMITS = Rates(errors=0.02, slow=0.01, refused=0.05)
AS_MUCH_MORE_AS_ALLOWED = Rates(
    errors=GOOD.errors + GUARDRAIL.max_added_error_rate, refused=GOOD.refused + GUARDRAIL.max_error_rate
)

# Durations are lognormal with a deviation of a half; the limit is one and a half times the good version's p99, which
# 0.09% exceed. Of a version whose every percentile is twice as high 4.0% do.
SLOW_AS_DECLARED, TWICE_AS_SLOW = 0.0009, 0.040


def counted(rng: np.random.Generator, rates: Rates, requests: float, minutes: int) -> VersionMetrics:
    """Minutes of Poisson traffic."""
    asked = rng.poisson(requests, minutes)
    found = [rng.binomial(asked, rate) for rate in (rates.errors, rates.refused, rates.slow)]
    return VersionMetrics.of(
        tuple(
            Minute(BEGIN + timedelta(minutes=i), int(n), int(e), int(r), int(n), int(s))
            for i, (n, e, r, s) in enumerate(zip(asked, *found, strict=True))
        ),
        None,
        BEGIN + timedelta(minutes=minutes),
    )


def until(metrics: VersionMetrics, minute: int) -> VersionMetrics:
    """What a look after so many minutes sees."""
    return VersionMetrics.of(metrics.minutes[:minute], None, BEGIN + timedelta(minutes=minute))


def judged(phase: int, found: VersionMetrics, before: VersionMetrics, minute: int) -> Verdict:
    """The deployed guardrail's verdict at a look."""
    if phase == BAKE:
        return decide_bake(PLAN, GUARDRAIL, until(found, minute), before, elapsed_seconds=60 * minute)
    return decide_step(
        PLAN,
        GUARDRAIL,
        step_index=phase,
        elapsed_seconds=60 * minute,
        metrics=until(found, minute),
        before=until(before, minute),
    )


def p_more_refused(found: VersionMetrics, before: VersionMetrics) -> float:
    """Fisher's exact test of whether more was refused than by the version before."""
    table = [[v.refused, v.requests - v.refused] for v in (found, before)]
    return float(fisher_exact(table, alternative="greater").pvalue)


def formerly(found: VersionMetrics, before: VersionMetrics) -> bool:
    """Whether the former guardrail rolls back as a phase ends. No traffic is waited for here."""
    share = FORMER_RATE / PLAN.phases
    more = found.refused / found.requests - before.refused / before.requests
    return (
        exact_lower_bound(found.errors, found.requests, 1 - share / 2) > GUARDRAIL.max_error_rate
        or exact_lower_bound(found.slow, found.timed, 1 - share) > SLOW_SHARE
        or (more > GUARDRAIL.max_error_rate and p_more_refused(found, before) < share / 2)
    )


def rolls_back(phase: int, found: VersionMetrics, before: VersionMetrics) -> Callable[[int], bool]:
    """Whether the deployed guardrail rolls back at a look after so many minutes."""
    return lambda minute: judged(phase, found, before, minute).decision == "rollback"


def first_minute(found_at: Callable[[int], bool], minutes: int) -> int | None:
    """The first look that rolls back: what was found once stays found."""
    if not found_at(minutes):
        return None
    low, high = 0, minutes
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found_at(middle) else (middle, high)
    return high


def lived(
    rng: np.random.Generator, candidate: Rates, champion: Rates, traffic: float, late: int
) -> Iterator[tuple[int, VersionMetrics, VersionMetrics]]:
    """Each phase with what both versions do in it; ``late`` minutes into the bake, or in all phases for 0."""
    for phase, (share, seconds) in enumerate(zip(SHARES, SECONDS, strict=True)):
        minutes = seconds // 60
        if phase < BAKE:
            ours = champion if late else candidate
            yield (
                phase,
                counted(rng, ours, traffic * share, minutes),
                counted(rng, champion, traffic * (1 - share), minutes),
            )
        else:
            well = counted(rng, champion, traffic, late).minutes
            ill = counted(rng, candidate, traffic, minutes - late).minutes
            shifted = (
                Minute(m.at + timedelta(minutes=late), m.requests, m.errors, m.refused, m.timed, m.slow) for m in ill
            )
            whole = VersionMetrics.of((*well, *shifted), None, BEGIN + timedelta(minutes=minutes))
            yield phase, whole, counted(rng, champion, traffic, minutes)


def found_after(
    rng: np.random.Generator, candidate: Rates, champion: Rates, traffic: float, late: int = 0
) -> tuple[int | None, int | None]:
    """Minutes from the fault to the rollback, by the deployed guardrail and by the former one."""
    passed, new, old = 0, None, None
    for phase, found, before in lived(rng, candidate, champion, traffic, late):
        minutes = SECONDS[phase] // 60
        if not (late and phase < BAKE):
            if new is None:
                looks = first_minute(rolls_back(phase, found, before), minutes)
                new = None if looks is None else passed + looks - late
            if old is None and formerly(found, before):
                old = passed + minutes - late
            passed += minutes
        if new is not None and old is not None:
            break
    return new, old


def told(found: list[int | None]) -> str:
    """The median and the ninth tenth in minutes, and how many are found at all."""
    known = sorted(m for m in found if m is not None)
    if not known:
        return "never"
    median, most = np.percentile(known, [50, 90], method="higher")
    share = "" if len(known) == len(found) else f" ({100 * len(known) / len(found):.0f}%)"
    return f"{median:.0f} / {most:.0f}{share}"


def detection_table(draws: int, seed: int) -> None:
    """Minutes to the rollback of each kind of bad version."""
    print(
        "\nMinutes from the fault to the rollback, median / 90th percentile; (share found). The former in brackets.\n"
    )
    cases = {
        "errors 1% over 0.1%": (Rates(errors=0.01), GOOD, 0),
        "errors 2% over 0.1%": (Rates(errors=0.02), GOOD, 0),
        "errors 5% over 0.1%": (Rates(errors=0.05), GOOD, 0),
        "every request fails": (Rates(errors=1.0), GOOD, 0),
        "p95 and p99 twice as high": (Rates(slow=TWICE_AS_SLOW), Rates(slow=SLOW_AS_DECLARED), 0),
        "refuses 10% over 1%": (Rates(refused=0.10), GOOD, 0),
        "errors 5%, from hour 20 of the bake": (Rates(errors=0.05), GOOD, 1200),
        "every request fails, from hour 20": (Rates(errors=1.0), GOOD, 1200),
    }
    traffic = (1, 10, 100, 1000)
    print(f"{'':36}" + "".join(f"{f'{n} a minute':>34}" for n in traffic))
    for name, (candidate, champion, late) in cases.items():
        cells = []
        for requests in traffic:
            rng = np.random.default_rng([seed, requests])
            both = [found_after(rng, candidate, champion, requests, late) for _ in range(draws)]
            cells.append(f"{told([new for new, _ in both])} [{told([old for _, old in both])}]")
        print(f"{name:36}" + "".join(f"{cell:>34}" for cell in cells), flush=True)


def refused_table(draws: int, seed: int) -> None:
    """How many requests a candidate refuses in its first step, until callers are back on the champion."""
    late = "CloudWatch's two minutes included"
    print(f"\nRequests refused until the rollback, median / 90th percentile, of a step of {SHARES[0]:.0%}; {late}.\n")
    traffic, minutes = (10, 100, 1000), SECONDS[0] // 60
    print(f"{'':36}" + "".join(f"{f'{n} a minute':>24}" for n in traffic))
    for refused in (0.1, 0.5, 1.0):
        cells = []
        for requests in traffic:
            rng, counts = np.random.default_rng([seed, requests]), []
            for _ in range(draws):
                found = counted(rng, Rates(refused=refused), requests * SHARES[0], minutes)
                before = counted(rng, Rates(refused=0.0), requests * (1 - SHARES[0]), minutes)
                seen = first_minute(rolls_back(0, found, before), minutes)
                counts.append(None if seen is None else sum(m.refused for m in found.minutes[: seen + SEEN_LATE]))
            cells.append(told(counts))
        print(f"{f'refuses {refused:.0%}, the champion none':36}" + "".join(f"{c:>24}" for c in cells), flush=True)


def cold_table(draws: int, seed: int) -> None:
    """How many cold starts of a candidate callers meet in its first step, until it is rolled back for them."""
    guardrail = GUARDRAIL.model_copy(update={"max_cold_start_ms": 2000.0})
    minutes, rates = SECONDS[0] // 60, (0.02, 0.2, 2.0)
    print(f"\nCold starts until the rollback, median / 90th percentile, of a step of {minutes // 60} hours.\n")
    print(f"{'':36}" + "".join(f"{f'{60 * rate:.0f} an hour':>24}" for rate in rates))
    for slow in (0.01, 0.1, 0.5, 1.0):
        cells = []
        for rate in rates:
            rng, counts = np.random.default_rng([seed, round(60 * rate)]), []
            for _ in range(draws):
                found = cold_starts(rng, rate, slow, minutes)

                def rolls(minute: int, found: VersionMetrics = found) -> bool:
                    seen, elapsed = until(found, minute), 60 * minute
                    verdict = decide_step(PLAN, guardrail, step_index=0, elapsed_seconds=elapsed, metrics=seen)
                    return verdict.decision == "rollback"

                at = first_minute(rolls, minutes)
                counts.append(None if at is None else sum(m.cold for m in found.minutes[:at]))
            cells.append(told(counts))
        print(f"{f'{slow:.0%} are slow, 1% allowed':36}" + "".join(f"{c:>24}" for c in cells), flush=True)


def cold_starts(rng: np.random.Generator, rate: float, slow: float, minutes: int) -> VersionMetrics:
    """Minutes of a version that fails nothing; ``rate`` cold starts in each on average."""
    cold = rng.poisson(rate, minutes)
    found = zip(cold, rng.binomial(cold, slow), strict=True)
    counts = (
        Minute(BEGIN + timedelta(minutes=i), 100, timed=100, cold=int(n), slow_cold=int(s))
        for i, (n, s) in enumerate(found)
    )
    return VersionMetrics.of(tuple(counts), None, BEGIN + timedelta(minutes=minutes))


def false_table(draws: int, seed: int) -> None:
    """How many rollouts of a version that keeps every limit are rolled back."""
    declared = GUARDRAIL.false_rollback_rate
    print(
        f"\nRollouts rolled back of a version that keeps every limit, in percent of {draws}; declared: {declared:.0%};"
        " [former].\n"
    )
    traffic = (1, 10, 100, 1000)
    print(f"{'':36}" + "".join(f"{f'{n} a minute':>16}" for n in traffic))
    cases = {
        "good": (GOOD, GOOD),
        "exactly at every limit": (AT_ITS_LIMITS, AT_ITS_LIMITS),
        "as much more as is allowed": (AS_MUCH_MORE_AS_ALLOWED, GOOD),
    }
    for name, (candidate, champion) in cases.items():
        cells = []
        for requests in traffic:
            rng = np.random.default_rng([seed, requests])
            new = old = 0
            for _ in range(draws):
                phases = list(lived(rng, candidate, champion, requests, 0))
                new += any(judged(p, f, b, SECONDS[p] // 60).decision == "rollback" for p, f, b in phases)
                old += any(formerly(f, b) for _, f, b in phases)
            cells.append(f"{100 * new / draws:.1f} [{100 * old / draws:.1f}]")
        print(f"{name:36}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=50, help="rollouts for each time to detect")
    parser.add_argument("--rollouts", type=int, default=400, help="rollouts for each false-rollback rate")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    detection_table(options.draws, options.seed)
    refused_table(options.draws, options.seed)
    cold_table(options.draws, options.seed)
    false_table(options.rollouts, options.seed)


if __name__ == "__main__":
    main()
