"""Scores test rows with a served model, and measures how long one row takes."""

from __future__ import annotations

import time

import numpy as np

from everloop.evaluation.report import Latency
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import UnusableScoreError
from everloop.serving.scorer import Scorer
from everloop.training.channels import Split
from everloop.training.exceptions import ChampionError

BATCH = 20_000
LATENCY_CALLS = 400
_WARM_UP = 20


def arrays(contract: ServingContract, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """The rows as the inputs ``num`` and ``cat`` of the model with this contract.

    Raises
    ------
    ChampionError
        When the split lacks a feature of the contract: the declaration has dropped one that the champion uses.
    """
    numbers, categories = [f.name for f in contract.numbers], [f.name for f in contract.categories]
    gone = [name for name in (*numbers, *categories) if name not in split.features]
    if gone:
        raise ChampionError(
            f"the champion uses the feature {gone[0]!r}, which the declaration no longer has, so the two can't be"
            " compared: declare it again, take it out of the training script, and remove it from the declaration"
            " once a version without it is champion (`everloop docs change-a-model`)"
        )
    num = split.features[numbers].to_numpy(np.float64)
    cat = split.features[categories].to_numpy(object)
    return np.ascontiguousarray(num), np.ascontiguousarray(cat)


def score(scorer: Scorer, num: np.ndarray, cat: np.ndarray) -> np.ndarray:
    """Scores float64 [rows], computed in batches so that memory does not grow with the rows."""
    parts = [
        scorer.score(num[start : start + BATCH], cat[start : start + BATCH]) for start in range(0, len(num), BATCH)
    ]
    return np.concatenate(parts)


def score_or_nan(scorer: Scorer, num: np.ndarray, cat: np.ndarray) -> np.ndarray:
    """The same of rows that nobody sent: NaN where a score can't be answered."""
    parts = []
    for start in range(0, len(num), BATCH):
        try:
            parts.append(scorer.score(num[start : start + BATCH], cat[start : start + BATCH]))
        except UnusableScoreError as error:
            scores = np.array(error.scores, dtype=np.float64)
            scores[list(error.rows)] = np.nan
            parts.append(scores)
    return np.concatenate(parts)


def measure_latency(scorer: Scorer, num: np.ndarray, cat: np.ndarray) -> Latency:
    """Time single rows, spread over the split.

    In process, on the machine of the evaluation: without the network and the function around it.
    """
    rows = np.linspace(0, len(num) - 1, LATENCY_CALLS + _WARM_UP).astype(int)
    seconds = []
    for row in rows:
        one_num, one_cat = num[row : row + 1], cat[row : row + 1]
        start = time.perf_counter()
        scorer.score(one_num, one_cat)
        seconds.append(time.perf_counter() - start)
    measured = np.array(seconds[_WARM_UP:]) * 1000
    return Latency(p50=float(np.percentile(measured, 50)), p99=float(np.percentile(measured, 99)))
