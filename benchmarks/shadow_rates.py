"""How often a shadow refuses a candidate: one that keeps every limit just so, and each kind of bad one.

``python benchmarks/shadow_rates.py``: a shadow before two steps and a bake, a false-rollback rate of 5%, limits of 2%
errors, 1 in 100 slow, 10% decided otherwise and a score shift of 0.05; 500 shadows for each cell.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from everloop.model_file.sections.rollout import Rollout
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.shadow import Pair, ShadowSeen, decide_shadow

ROWS = (50, 100, 200, 500, 1000)
DRAWS = 500
DECLARED = Rollout.model_validate(
    {
        "steps": [{"percent": 25, "minutes": 180}, {"percent": 50, "minutes": 180}],
        "shadow": {"minutes": 1440, "minimum_rows": 2, "max_disagreement": 0.1, "max_score_shift": 0.05},
        "guardrail": {"max_error_rate": 0.02, "max_p99_latency_ms": 1000},
    }
)
PLAN = RolloutPlan((Step(0, 86_400), Step(25, 10_800), Step(50, 10_800)), 86_400)


@dataclass(frozen=True)
class Candidate:
    """Rates of failing, being slow and deciding otherwise; mean and standard deviation of the score's difference."""

    failed: float = 0.0
    slow: float = 0.002
    otherwise: float = 0.03
    shift: float = 0.01
    spread: float = 0.1


CANDIDATES = {
    "good": Candidate(),
    "exactly at every limit": Candidate(0.02, 0.01, 0.1, 0.05),
    "5% fail": Candidate(failed=0.05),
    "all fail": Candidate(failed=1.0),
    "4% above the latency limit": Candidate(slow=0.04),
    "20% decided otherwise": Candidate(otherwise=0.2),
    "scores 0.07 too high": Candidate(shift=0.07),
    "scores 0.1 too high": Candidate(shift=0.1),
    "scores 0.1 too low": Candidate(shift=-0.1),
}


def refused(candidate: Candidate, rows: int, rng: np.random.Generator) -> bool:
    """Whether one shadow of so many rows ends in a rollback."""
    rates = np.array([[candidate.failed], [candidate.slow], [candidate.otherwise]])
    failed, slow, otherwise = rng.random((3, rows)) < rates
    shifts = rng.normal(candidate.shift, candidate.spread, rows)
    pairs = [
        Pair(500, 20.0) if f else Pair(200, 5000.0 if s else 20.0, bool(o), float(shift))
        for f, s, o, shift in zip(failed, slow, otherwise, shifts, strict=True)
    ]
    seen = ShadowSeen(rows, pairs)
    return decide_shadow(DECLARED, PLAN, step_index=0, overtime_seconds=0, seen=seen).decision == "rollback"


def main() -> None:
    """Print the table, in percent of shadows."""
    rng = np.random.default_rng(1)
    print("| the candidate | " + " | ".join(f"{rows:,} rows" for rows in ROWS) + " |")
    print("|---" * (len(ROWS) + 1) + "|")
    for name, candidate in CANDIDATES.items():
        shares = [sum(refused(candidate, rows, rng) for _ in range(DRAWS)) / DRAWS for rows in ROWS]
        print(f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main()
