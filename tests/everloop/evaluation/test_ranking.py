"""Ranking metrics are scikit-learn's where it has them, equal scores have no order, and intervals cover."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from everloop.evaluation.ranking import FEWEST_GROUPS, difference_over, lists_of, mean_over, ranked
from everloop.evaluation.ranking_gate import on_ranking
from everloop.evaluation.ranking_report import Ranking
from everloop.model_file.sections.gate import GateRanking
from tests.everloop.evaluation.builders import labels_and_truth, policy, report_of

LABELS, TRUTH = labels_and_truth(1)
REPORT = report_of(LABELS, TRUTH, TRUTH)
ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0]), st.sampled_from([0.1, 0.3, 0.3, 0.5, 0.9])),
    min_size=1,
    max_size=40,
)


def columns(rows: list[tuple[int, float, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    groups, labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    return groups, labels, scores


@pytest.mark.slow
@settings(max_examples=30)
@given(ROWS, st.integers(1, 12))
def test_each_list_has_scikit_learns_value(rows: list[tuple[int, float, float]], at: int) -> None:
    groups, labels, scores = columns(rows)
    lists = lists_of(labels, groups, groups)
    kept = lists.rows
    found = ranked(labels[kept], labels[kept] == 1, scores[kept], lists, at)
    names = [g for g in np.unique(groups) if 0 < labels[groups == g].sum() < (groups == g).sum()]
    assert lists.count == len(names)
    for place, name in enumerate(names):
        y, s = labels[groups == name], scores[groups == name]
        assert found["ndcg"][place] == pytest.approx(ndcg_score([y], [s], k=at))
        assert found["map"][place] == pytest.approx(average_precision_score(y, s))


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.2, 0.7])), min_size=2, max_size=6))
def test_equal_scores_count_as_their_orders_do_on_average(rows: list[tuple[float, float]]) -> None:
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    lists = lists_of(labels, np.zeros(len(labels)), np.zeros(len(labels)))
    if not lists.count:
        return
    found = ranked(labels, labels == 1, scores, lists, 3)
    first, share = [], []
    for order in itertools.permutations(range(len(labels))):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            hits = labels[list(order)]
            first.append(1 / (np.argmax(hits) + 1))
            share.append(hits[:3].sum() / min(3, len(hits)))
    assert found["mrr"][0] == pytest.approx(np.mean(first))
    assert found["precision"][0] == pytest.approx(np.mean(share))


def test_gains_of_a_regression_are_its_labels() -> None:
    gains, scores = np.array([3.0, 0.5, 0.0, 2.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.4, 0.8, 5.0, 5.0])
    lists = lists_of(gains, np.array(["a"] * 4 + ["b"] * 2, dtype=object), np.arange(6))
    found = ranked(gains[lists.rows], None, scores[lists.rows], lists, 2)
    assert set(found) == {"ndcg"}
    assert found["ndcg"].tolist() == [pytest.approx(ndcg_score([gains[:4]], [scores[:4]], k=2))]
    assert (lists.one_label, lists.by_day) == (1, False)


def test_lists_that_any_order_puts_right_are_counted_and_left_out() -> None:
    groups = np.array(["a", "a", "b", "c", "c", "", "d", "d", "d"], dtype=object)
    labels = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    lists = lists_of(labels, groups, np.array([1, 1, 1, 2, 2, 2, 3, 3, 3]))
    assert (lists.count, lists.one_row, lists.one_label, lists.without) == (2, 1, 1, 1)
    assert lists.rows.tolist() == [True, True, False, False, False, False, True, True, True]
    assert lists.by_day
    # AND nothing is known without a list, of few lists, or of lists of one day
    none = lists_of(np.ones(3), groups[:3], np.arange(3))
    assert mean_over(np.zeros(0), none).value is None
    assert math.isnan(difference_over("ndcg", np.zeros(0), np.zeros(0), none).difference)
    assert f"{FEWEST_GROUPS} are needed" in mean_over(np.array([0.5, 1.0]), lists).reason
    many = np.repeat(np.arange(40), 2)
    one_day = lists_of(np.tile([0.0, 1.0], 40), many, np.zeros(80))
    assert "one day" in mean_over(np.linspace(0, 1, 40), one_day).reason


def drawn(rng: np.random.Generator, days: int, each: int) -> tuple[np.ndarray, Any]:
    """Values of lists whose days differ, with mean 0.6."""
    day = np.repeat(np.arange(days), each)
    centre = np.clip(0.6 + rng.normal(0, 0.08, days), 0, 1)[day]
    lists = lists_of(np.tile([0.0, 1.0], days * each), np.repeat(np.arange(days * each), 2), np.repeat(day, 2))
    return np.clip(centre + rng.normal(0, 0.1, days * each), 0, 1), lists


@pytest.mark.slow
def test_intervals_cover_where_days_differ() -> None:
    rng, inside, apart = np.random.default_rng(4), 0, 0
    for _ in range(300):
        values, lists = drawn(rng, 14, 10)
        others, _ = drawn(rng, 14, 10)
        found, paired = mean_over(values, lists), difference_over("ndcg", values, others, lists)
        assert lists.by_day
        assert None not in (found.low, found.high, paired.low, paired.high)
        inside += found.low <= 0.6 <= found.high  # type: ignore[operator]  # said above
        apart += paired.low <= 0 <= paired.high  # type: ignore[operator]  # said above
    # 95% are declared: with 300 draws 276 is three standard errors below
    assert inside >= 276
    assert apart >= 276


def test_lists_that_are_all_alike_are_no_certainty() -> None:
    values, lists = drawn(np.random.default_rng(1), 14, 10)
    found = mean_over(np.ones_like(values), lists)
    assert found.value == 1
    assert found.low is not None
    assert 0.9 < found.low < 1
    same = difference_over("ndcg", values, values, lists)
    assert same.low is not None
    assert same.low < 0 < same.high  # type: ignore[operator]  # both or none
    assert same.p_value == pytest.approx(1)


def ranking(low: float, high: float, seed: int = 1) -> Ranking:
    rng = np.random.default_rng(seed)
    _, lists = drawn(rng, 14, 40)
    ours, theirs, rule = (np.clip(rng.normal(mean, 0.05, lists.count), 0, 1) for mean in (high, low, 0.4))
    paired = {"ndcg": difference_over("ndcg", ours, rule, lists)}
    beside = {"ndcg": difference_over("ndcg", ours, theirs, lists)}
    values = [{"ndcg": mean_over(one, lists)} for one in (ours, rule, theirs)]
    return Ranking(
        "query", 10, lists.count, 0, 0, 0, True, values[0], values[1], paired, values[2], beside, lists.count
    )


def judged(found: Ranking | None, champion: int | None = 3, **asked: Any) -> dict[str, bool | None]:
    gate = policy().model_copy(update={"ranking": GateRanking(**asked)})
    return {r.code: r.passed for r in on_ranking(replace(REPORT, ranking=found), gate, champion)}


def test_the_gate_wants_what_is_declared() -> None:
    better, same, worse = ranking(0.6, 0.7), ranking(0.6, 0.6), ranking(0.7, 0.6)
    assert judged(better, policy="better", margin=0.05) == {
        "ranking": True,
        "ranking_better_than_baseline": True,
        "ranking_better_than_champion": True,
    }
    assert judged(better, policy="better", margin=0.12)["ranking_better_than_champion"] is False
    assert judged(same, margin=0.03)["ranking_not_worse_than_champion"] is True
    assert judged(worse, margin=0.03)["ranking_not_worse_than_champion"] is False
    assert judged(better, baseline_margin=0.5)["ranking_better_than_baseline"] is False
    assert judged(better, champion=None) == {"ranking": True, "ranking_better_than_baseline": True}
    # AND what is not known refuses
    assert judged(None) == {"ranking": False}
    assert judged(better, metric="mrr") == {"ranking": False}
    assert judged(replace(better, paired_champion=None))["ranking_not_worse_than_champion"] is False
