"""An evaluation tells how candidate, baseline and champion order the rows of each declared list."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from everloop.evaluation.report_page import About, page
from everloop.training.channels import Split, moment
from everloop.training.ranking import ranking_of
from tests.helpers.declarations import binary_document, declare, regression_document

ROWS = 600


def split(labels: np.ndarray, **features: Any) -> Split:
    times = np.datetime64("2013-01-01", "ms") + np.arange(ROWS) * np.timedelta64(1, "h")
    frame = pd.DataFrame({"line": [f"query {i % 60}" for i in range(ROWS)], **features})
    return Split(frame, labels, times, moment(times[0]), moment(times[-1]))


LABELS = (np.random.default_rng(3).random(ROWS) < 0.3).astype(np.int64)
GOOD = 0.5 * LABELS + 0.5 * np.random.default_rng(4).random(ROWS)


def test_each_is_measured_on_the_same_lists() -> None:
    declared = declare(binary_document(problem={"ranking": {"group": "line", "at": 3}}))
    rows, prior = split(LABELS), np.full(ROWS, 0.3)
    beside = ranking_of(declared, rows, GOOD, 1 - GOOD, None)
    found = ranking_of(declared, rows, GOOD, prior, beside)
    assert found is not None
    assert beside is not None
    assert set(found.candidate) == {"ndcg", "precision", "map", "mrr"}
    assert found.lists + found.one_label == 60
    assert not found.by_day
    # THEN a baseline that answers the same to all is as good as chance: the share of relevant rows
    assert found.baseline["precision"].value == pytest.approx(0.3, abs=0.05)
    assert found.paired_baseline["ndcg"].difference > 0.2
    assert found.champion == beside.baseline
    assert found.paired_champion == beside.paired_baseline
    assert found.champion_lists == found.lists
    assert ranking_of(declare(binary_document()), rows, GOOD, prior, None) is None


def test_days_are_lists_too_and_labels_of_a_regression_gains() -> None:
    declared = declare(regression_document(problem={"ranking": {"group": "day"}}, data={"target_min": 0.0}))
    gains = np.random.default_rng(5).gamma(2, 3, ROWS)
    found = ranking_of(declared, split(gains), gains, np.zeros(ROWS), None)
    assert found is not None
    assert (found.lists, found.by_day, set(found.candidate)) == (25, True, {"ndcg"})
    assert found.candidate["ndcg"].value == 1
    assert "30 are needed" in found.candidate["ndcg"].reason
    relevant = declare(
        regression_document(problem={"ranking": {"group": "day", "relevant_from": 9.0}}, data={"target_min": 0.0})
    )
    found = ranking_of(relevant, split(gains), gains, np.zeros(ROWS), None)
    assert found is not None
    assert found.candidate["mrr"].value == 1


def test_the_page_shows_them() -> None:
    from dataclasses import replace

    from tests.everloop.evaluation.test_ranking import REPORT

    declared = declare(binary_document(problem={"ranking": {"group": "line"}}))
    found = ranking_of(declared, split(LABELS), GOOD, np.full(ROWS, 0.3), None)
    html = page(replace(REPORT, ranking=found), About(8, "a" * 64, "pass", (), None))
    assert "Does it put the right rows first?" in html
    assert "ndcg" in html
