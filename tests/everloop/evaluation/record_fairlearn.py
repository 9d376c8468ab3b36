"""Records what fairlearn says of drawn rows, for ``test_fairness.py``: fairlearn is no package of ours.

Made with fairlearn 0.15.0: ``uv run --with fairlearn==0.15.0 tests/everloop/evaluation/record_fairlearn.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

FIGURES = Path(__file__).with_name("fairlearn_figures.json")
CASES = 24


def drawn(case: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, decisions and groups of a case; two to five groups of uneven size, some with few positives."""
    rng = np.random.RandomState(case)  # its stream is the same in every release of numpy
    rows, groups = 60 + 40 * case, 2 + case % 4
    group = np.minimum((rng.rand(rows) ** 2 * groups).astype(int), groups - 1)
    group[: 2 * groups] = np.arange(2 * groups) % groups
    labels = (rng.rand(rows) < 0.2 + 0.1 * group).astype(int)
    labels[:groups], labels[groups : 2 * groups] = 1, 0
    acts = (rng.rand(rows) < 0.3 + 0.3 * labels + 0.05 * group).astype(int)
    return labels, acts, group


def main() -> None:
    """Write the figures."""
    from fairlearn import metrics  # type: ignore[import-not-found,unused-ignore]  # who renews has it

    found = []
    for case in range(CASES):
        labels, acts, group = drawn(case)
        asked = {"y_true": labels, "y_pred": acts, "sensitive_features": group}
        frame = metrics.MetricFrame(
            metrics={
                "selection_rate": metrics.selection_rate,
                "true_positive_rate": metrics.true_positive_rate,
                "false_positive_rate": metrics.false_positive_rate,
            },
            **asked,
        )
        found.append(
            {
                "by_group": {name: frame.by_group[name].tolist() for name in frame.by_group},
                "selection_rate_gap": metrics.demographic_parity_difference(**asked),
                "selection_rate_ratio": metrics.demographic_parity_ratio(**asked),
                "equalized_odds_gap": metrics.equalized_odds_difference(**asked),
                "true_positive_rate_gap": metrics.equal_opportunity_difference(**asked),
                "false_positive_rate_gap": frame.difference()["false_positive_rate"],
            }
        )
    FIGURES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
