from __future__ import annotations

import numpy as np
import pytest

from everloop.evaluation.bounds import rows_needed, upper_bound
from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.metrics import Estimate, estimate
from everloop.evaluation.significance import metric_value, paired_difference, standard_error
from everloop.statistics.student_t import t_quantile
from tests.helpers.present import present


def test_rows_that_are_each_a_day_give_the_ordinary_standard_error() -> None:
    values = np.random.default_rng(1).normal(size=500)
    error, freedom = standard_error(values - values.mean(), np.arange(500))
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(500))
    assert freedom == 499


def test_copies_of_a_row_within_its_day_add_no_certainty() -> None:
    values = np.random.default_rng(2).normal(size=50)
    once, _ = standard_error(values - values.mean(), np.arange(50))
    often, freedom = standard_error(np.repeat(values - values.mean(), 30), np.repeat(np.arange(50), 30))
    assert often == pytest.approx(once)
    assert freedom == 49


@pytest.mark.slow
def test_the_interval_covers_under_day_effects() -> None:
    """GIVEN days that are good or bad as a whole, 95% intervals hold the truth about 95 times in 100.

    Rows taken as independent would hold it in fewer than half.
    """
    rng = np.random.default_rng(3)
    days = np.repeat(np.arange(20), 60)
    covered = naive = 0
    for _ in range(1000):
        values = rng.normal(size=20).repeat(60) + rng.normal(size=1200)
        found = metric_value(Estimate("mae", values.mean(), values - values.mean()), days)
        covered += present(found.low) <= 0 <= present(found.high)
        naive += abs(values.mean()) <= 1.96 * values.std() / np.sqrt(1200)
    assert 930 <= covered <= 970
    assert naive < 500


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    rng = np.random.default_rng(4)
    truth = rng.beta(2, 3, 3000)
    labels = (rng.random(3000) < truth).astype(int)
    days = np.arange(3000) // 100
    ours, theirs = (estimate("log_loss", labels, p) for p in (truth, 0.9 * truth + 0.04))
    paired = paired_difference(ours, theirs, days)
    apart = metric_value(ours, days)
    assert paired.difference < 0
    assert present(paired.high) - present(paired.low) < (present(apart.high) - present(apart.low)) / 3
    assert paired.degrees_of_freedom == 29
    half = t_quantile(0.975, 29) * present(paired.standard_error)
    # Without differences between days, what chance alone makes uncertain is about as wide, and half as wide again where
    # a single row costs sixteen standard deviations more.
    assert half <= present(paired.high) - present(paired.difference) < 1.5 * half


@pytest.mark.slow
def test_the_p_value_and_the_interval_agree() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 400)
    days = np.arange(400) // 20
    for _ in range(50):
        ours, theirs = (estimate("brier", labels, rng.random(400)) for _ in range(2))
        paired = paired_difference(ours, theirs, days)
        assert (present(paired.p_value) < 0.05) == (not present(paired.low) <= 0 <= present(paired.high))


def test_a_model_and_itself_do_not_differ() -> None:
    labels, scores = np.tile([0, 1, 1, 0], 6), np.tile([0.1, 0.7, 0.6, 0.4], 6)
    found = estimate("roc_auc", labels, scores)
    paired = paired_difference(found, found, np.arange(24) // 6)
    assert (paired.difference, paired.low, paired.high, paired.p_value) == (0, 0, 0, 1)


def test_a_single_day_says_nothing_about_others() -> None:
    found = estimate("mae", np.arange(10.0), np.zeros(10))
    assert metric_value(found, np.zeros(10)).low is None
    paired = paired_difference(found, found, np.zeros(10))
    assert paired.standard_error is None
    assert paired.degrees_of_freedom == 0


def test_different_rows_or_metrics_are_not_compared() -> None:
    one, two = estimate("mae", np.zeros(3), np.ones(3)), estimate("mae", np.zeros(4), np.ones(4))
    with pytest.raises(EvaluationError, match="be compared"):
        paired_difference(one, two, np.arange(3))
    with pytest.raises(EvaluationError, match="be compared"):
        paired_difference(one, estimate("rmse", np.zeros(3), np.ones(3)), np.arange(3))


@pytest.mark.parametrize("rare", [0, 1])
@pytest.mark.parametrize("metric", ["log_loss", "brier", "roc_auc"])
def test_too_few_of_a_class_give_no_interval_and_say_so(rare: int, metric: str) -> None:
    labels = np.full(2000, 1 - rare)
    labels[::250] = rare
    scores = np.random.default_rng(6).random(2000)
    found = metric_value(estimate(metric, labels, scores), np.arange(2000) // 100)
    assert found.value is not None
    assert (found.low, found.high) == (None, None)
    assert f"8 rows of class {rare} are too few" in found.reason
    paired = paired_difference(estimate(metric, labels, scores), estimate(metric, labels, scores / 2), np.arange(2000))
    assert (paired.low, paired.high, paired.p_value) == (None, None, None)
    assert paired.reason == found.reason


@pytest.mark.slow
@pytest.mark.parametrize("rare", [0, 1])
def test_the_interval_of_a_loss_with_few_of_a_class_covers(rare: int) -> None:
    """GIVEN some fifteen positives in a week, 95% intervals hold the truth; those over days alone held it in 86%."""
    rng = np.random.default_rng(7)
    days = np.arange(3000) % 7
    z = rng.normal(-5.8, 1, 300_000)
    p = 1 / (1 + np.exp(-z))
    truth = np.mean(-p * np.log(p) - (1 - p) * np.log(1 - p))
    covered = given = 0
    for _ in range(400):
        rows = p[rng.integers(0, len(p), 3000)]
        labels = (rng.random(3000) < rows).astype(int)
        scores, labels = (rows, labels) if rare else (1 - rows, 1 - labels)
        found = metric_value(estimate("log_loss", labels, scores), days)
        if found.low is not None:
            given += 1
            covered += bool(present(found.low) <= truth <= present(found.high))
    assert given > 300
    assert covered / given >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / given)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.02, 0.05])
def test_rare_large_errors_of_a_regression_pass_no_oftener_than_declared(share: float) -> None:
    """GIVEN as few rows as are judged, a candidate that is a little better but for its misses is no better."""
    rng = np.random.default_rng(8)
    rows = rows_needed(0.95, 0.02)
    days, passed, draws = np.arange(rows) % 7, 0, 600
    for _ in range(draws):
        misses = rng.random(rows) < share
        candidate = np.where(misses, 12.0, 2 - 10 * share / (1 - share) + rng.normal(0, 0.2 * share, rows))
        ours, theirs = (estimate("mae", np.zeros(rows), scores) for scores in (candidate, np.full(rows, 2.0)))
        found = paired_difference(ours, theirs, days)
        bound = upper_bound(
            found.difference, present(found.standard_error), found.degrees_of_freedom, present(found.parts), 0.95
        )
        passed += bound < 0
    # Of as many rows as a third, 30% and more passed.
    assert passed / draws <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("rows", [183, 600, 2100])
@pytest.mark.parametrize("spread", [1.5, 2.0])
def test_a_heavy_tail_of_a_regression_passes_no_oftener_than_declared(spread: float, rows: int) -> None:
    """With one more row as large as the largest up to 15% passed."""
    rng = np.random.default_rng(9)
    passed, draws, days = 0, 600, np.arange(rows) % 7
    for _ in range(draws):
        losses = np.exp(spread * rng.normal(0, 1, rows))
        other = estimate("mae", np.zeros(rows), np.full(rows, np.exp(spread**2 / 2)))
        found = paired_difference(estimate("mae", np.zeros(rows), losses), other, days)
        bound = upper_bound(
            found.difference, present(found.standard_error), found.degrees_of_freedom, present(found.parts), 0.95
        )
        passed += bound < 0
    assert passed / draws <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "share"), [(600, 0.01), (2100, 0.002)])
def test_a_binary_model_that_is_surely_wrong_on_few_rows_passes_no_oftener_than_declared(
    rows: int, share: float
) -> None:
    """GIVEN a candidate that has the truth but on rare rows, 8% and 10% passed when its scores said what rows weigh."""
    rng = np.random.default_rng(10)
    z = rng.normal(-1, 1, 200_000)
    truth = 1 / (1 + np.exp(-z))
    costs = share * (np.log1p(np.exp(3.0)) + np.log(0.999))

    def excess(off: float) -> float:
        return (1 - share) * float(np.mean(np.log1p(np.exp(z + off)) - np.log1p(np.exp(z)) - truth * off))

    low, high = 0.0, 10.0
    for _ in range(50):
        off = (low + high) / 2
        low, high = (low, off) if excess(off) > costs else (off, high)
    passed, draws, days = 0, 600, np.arange(rows) % 30
    for _ in range(draws):
        some, rare = z[rng.integers(0, len(z), rows)], rng.random(rows) < share
        chance = 1 / (1 + np.exp(-some))
        labels = (rng.random(rows) < np.where(rare, 1, chance)).astype(int)
        ours = np.where(rare, 1 / (1 + np.exp(3)), chance)
        theirs = np.where(rare, 0.999, 1 / (1 + np.exp(-some - off)))
        found = paired_difference(estimate("log_loss", labels, ours), estimate("log_loss", labels, theirs), days)
        bound = upper_bound(
            found.difference, present(found.standard_error), found.degrees_of_freedom, present(found.parts), 0.95
        )
        passed += bound < 0
    assert 0 < passed / draws <= 0.05


def test_rows_of_a_group_may_depend_on_each_other_as_those_of_a_day() -> None:
    rng = np.random.default_rng(2)
    days, groups = np.repeat(np.arange(20), 30), np.tile(np.arange(30), 20)
    influence = rng.normal(0, 1, 30)[groups] + 0.1 * rng.normal(0, 1, 600)
    influence -= influence.mean()
    by_day, by_group = standard_error(influence, days), standard_error(influence, groups)
    both = standard_error(influence, days, groups)
    # One row of each group a day: rows are their own intersections.
    alone = standard_error(influence, np.arange(600))[0]
    combined = np.sqrt(by_day[0] ** 2 + by_group[0] ** 2 - alone**2)
    assert both[0] == pytest.approx(max(combined, by_group[0]))
    assert both[0] > 5 * by_day[0]
    assert both[1] == min(by_day[1], by_group[1])
    # GIVEN groups that are days, or rows of their own, THEN nothing changes, whatever their names
    assert standard_error(influence, days, days.astype(str))[0] == pytest.approx(by_day[0])
    assert standard_error(influence, days, np.arange(600))[0] == pytest.approx(max(by_day[0], alone))
    assert standard_error(influence, days, np.zeros(600))[1] == 0


def test_all_rows_of_one_group_say_nothing_of_others() -> None:
    scores, labels, days = np.full(60, 0.4), np.arange(60) % 2, np.arange(60) // 6
    found = metric_value(estimate("brier", labels, scores), days, np.full(60, "a"))
    assert (found.low, found.reason) == (None, "all rows are of one group, which says nothing about other groups")


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "of_days"), [(20, 1.0), (6, 0.2)])
def test_the_interval_covers_under_effects_of_days_and_groups(groups: int, of_days: float) -> None:
    rng, days, rows, covered, draws = np.random.default_rng(0), 14, 500, 0, 200
    for _ in range(draws):
        day, group = rng.integers(0, days, rows), rng.choice(groups, rows, p=rng.dirichlet(np.full(groups, 3.0)))
        values = of_days * rng.normal(0, 1, days)[day] + rng.normal(0, 1, groups)[group] + rng.normal(0, 1, rows)
        error, freedom = standard_error(values - values.mean(), day, group)
        covered += abs(values.mean()) <= t_quantile(0.975, freedom) * error
    assert covered >= 180  # 95% are declared: three standard errors below are 181
