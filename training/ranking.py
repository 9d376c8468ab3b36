"""How candidate, baseline and champion order the rows of each declared list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from everloop.evaluation.measured import MetricValue, PairedDifference
from everloop.evaluation.ranking import Values, difference_over, lists_of, mean_over, ranked
from everloop.evaluation.ranking_report import Ranking
from everloop.model_file.schema import ModelDeclaration
from everloop.problem_types import BINARY
from everloop.training.channels import Split


def ranking_of(
    declaration: ModelDeclaration, test: Split, candidate: np.ndarray, baseline: np.ndarray, beside: Ranking | None
) -> Ranking | None:
    """What ``problem.ranking`` asks for; None where it asks for nothing.

    Parameters
    ----------
    candidate, baseline : ndarray of float64, shape (rows,)
        Scores of the rows of ``test``.
    beside : Ranking or None
        Candidate and champion where the champion is compared, from this function: the champion as its baseline.
    """
    asked = declaration.problem.ranking
    if asked is None:
        return None
    gains = test.labels.astype(np.float64)
    lists = lists_of(gains, lists_in(declaration, test), test.days)
    gains = gains[lists.rows]
    relevant = None
    if declaration.problem.type == BINARY:
        relevant = gains == 1
    elif asked.relevant_from is not None:
        relevant = gains >= asked.relevant_from

    def by(scores: np.ndarray) -> Values:
        return ranked(gains, relevant, scores[lists.rows], lists, asked.at)

    ours, theirs = by(candidate), by(baseline)

    def values(found: Values) -> dict[str, MetricValue]:
        return {name: mean_over(one, lists) for name, one in found.items()}

    paired: dict[str, PairedDifference] = {n: difference_over(n, ours[n], theirs[n], lists) for n in ours}
    told = Ranking(
        group=asked.group,
        at=asked.at,
        lists=lists.count,
        one_row=lists.one_row,
        one_label=lists.one_label,
        without=lists.without,
        by_day=lists.by_day,
        candidate=values(ours),
        baseline=values(theirs),
        paired_baseline=paired,
    )
    if beside is None:
        return told
    return replace(told, champion=beside.baseline, paired_champion=beside.paired_baseline, champion_lists=beside.lists)


def lists_in(declaration: ModelDeclaration, rows: Split) -> np.ndarray:
    """The list of each row, [rows]: the value of the declared feature, or its day."""
    asked = declaration.problem.ranking
    if asked is None or asked.group not in rows.features:
        return rows.days
    return rows.features[asked.group].to_numpy()
