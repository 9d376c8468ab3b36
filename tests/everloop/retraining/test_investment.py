"""A retraining is asked for where what it saves exceeds what it costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.retraining.exceptions import InvestmentError
from everloop.retraining.investment import FUTURE_AGES, Ageing, Facts, Regret, invest, leads, never_falling

amounts = st.floats(-5, 5, allow_nan=False)
weights = st.floats(0.01, 10)


def triangle(by_age: list[float], windows: int) -> np.ndarray:
    """What probes of all ages lost more in each of some windows, when only the age counts."""
    staleness = np.full((windows, windows), np.nan)
    for window in range(windows):
        staleness[window, : window + 1] = by_age[: window + 1]
    return staleness


def facts(ageing: Ageing, age: int, cost: float, regret: Regret | None = None) -> Facts:
    return Facts(age, ageing, regret or Regret(0.0, 0.0, 0), cost, "log loss")


@settings(deadline=None)
@given(st.lists(st.tuples(amounts, weights), min_size=1, max_size=30))
def test_the_ageing_starts_at_nothing_and_never_falls(pairs: list[tuple[float, float]]) -> None:
    values, mass = np.array([v for v, _ in pairs]), np.array([w for _, w in pairs])
    found = never_falling(values, mass)
    assert found.shape == values.shape
    assert found[0] == 0
    assert (np.diff(found) >= -1e-12).all()


def test_what_rises_already_is_kept() -> None:
    np.testing.assert_allclose(never_falling(np.array([0.0, 0.1, 0.1, 0.4]), np.ones(4)), [0, 0.1, 0.1, 0.4])


def test_neighbours_that_fall_are_averaged_by_their_weight() -> None:
    found = never_falling(np.array([0.0, 0.4, 0.1, 0.5]), np.array([1.0, 1.0, 2.0, 1.0]))
    np.testing.assert_allclose(found, [0, 0.2, 0.2, 0.5])


def test_new_windows_count_most() -> None:
    # GIVEN a year without ageing and then two windows in which older models lose
    calm, changed = triangle([0.0] * 10, 10), triangle([0.0] * 10, 10)
    changed[-2:, 1:] = np.where(np.isnan(calm[-2:, 1:]), np.nan, 0.3)
    # THEN the ageing is mostly that of the two, and with a long memory it is mostly that of the year
    assert Ageing.seen(changed, half_life=1).at(np.array([2]))[0] > 0.15
    assert Ageing.seen(changed, half_life=100).at(np.array([2]))[0] < 0.1


def test_for_regret_that_grows_in_a_line_the_best_interval_is_the_square_root() -> None:
    # T * (T - 1) / 2 * slope + cost over T windows: least near sqrt(2 * cost / slope)
    ageing = Ageing(0.01 * np.arange(50), 50)
    rate, best = ageing.rate(2.0)
    assert best == 20
    assert rate == pytest.approx((0.01 * 20 * 19 / 2 + 2.0) / 20)


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.01, 5), st.floats(1, 3))
def test_a_dearer_retraining_is_never_wanted_sooner(steps: list[float], cost: float, times: float) -> None:
    ageing = Ageing(np.concatenate([[0.0], np.cumsum(steps)]), 10)
    cheap, dear = ageing.rate(cost), ageing.rate(cost * times)
    assert dear[0] >= cheap[0] - 1e-12
    assert dear[1] >= cheap[1]
    for age in range(1, 30):
        assert invest(facts(ageing, age, cost)).retrain or not invest(facts(ageing, age, cost * times)).retrain


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.01, 5))
def test_keeping_to_the_marginal_rule_costs_no_more_than_any_schedule(steps: list[float], cost: float) -> None:
    # GIVEN an ageing that is known and never falls
    regret = np.concatenate([[0.0], np.cumsum(steps)])
    ageing = Ageing(regret, 10)
    # WHEN a champion is kept until the rule asks for a retraining
    age = next((a for a in range(1, 200) if invest(facts(ageing, a, cost)).retrain), None)
    # THEN the cycle has the least cost a window of all that are looked at, and a longer one costs no more than these
    if age is not None:
        cycle, rate = (ageing.at(np.arange(age)).sum() + cost) / age, ageing.rate(cost)[0]
        if age < len(regret) + FUTURE_AGES:
            assert cycle == pytest.approx(rate)
        else:
            assert cycle <= rate * (1 + 1e-9)


def test_a_model_that_does_not_age_is_kept() -> None:
    found = invest(facts(Ageing(np.zeros(30), 30), 30, 0.1))
    assert (found.retrain, found.rule) == (False, "none")
    assert found.reasons[0].code == "investment_waits"


def test_a_jump_is_answered_at_once_when_the_champion_is_old() -> None:
    # GIVEN a world that changed three windows ago: models from before lose, later ones do not
    ageing = Ageing(np.array([0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5]), 7)
    # THEN the old champion goes, and one that has learned of it stays
    assert invest(facts(ageing, 6, 1.0)).rule == "pays_from_now_on"
    assert not invest(facts(ageing, 1, 1.0)).retrain


def test_too_few_windows_say_nothing_of_ageing() -> None:
    found = invest(facts(Ageing(np.array([0.0, 9.0]), 2), 1, 0.1))
    assert not found.retrain
    assert found.reasons[0].code == "investment_unknown"


def test_regret_that_has_reached_the_cost_is_enough_by_itself() -> None:
    calm = Ageing(np.zeros(5), 5)
    paid = invest(facts(calm, 4, 1.0, Regret(1.3, 0.2, 4)))
    assert paid.rule == "paid_for"
    assert "1.3 (standard error 0.2)" in paid.reasons[0].sentence
    # AND what chance may have done is not
    assert not invest(facts(calm, 4, 1.0, Regret(1.3, 0.4, 4))).retrain


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.floats(0, 0.9), min_size=2, max_size=60))
def test_renting_pays_at_most_twice_the_price_before_it_buys(regrets: list[float]) -> None:
    calm, rent = Ageing(np.zeros(1), 0), 0.0
    for window, regret in enumerate(regrets):
        rent += regret
        if invest(facts(calm, window + 1, 1.0, Regret(rent, 0.0, window + 2))).retrain:
            break
    assert rent < 2.0


def test_the_probe_is_put_level_with_the_champion_in_its_first_window() -> None:
    # GIVEN a probe that loses .2 more than any model trained on the same rows, and a champion that ages by .1
    regret = Regret.of([-0.2, -0.1, 0.0, 0.1])
    assert regret.total == pytest.approx(0.1 + 0.2 + 0.3)
    assert regret.error == pytest.approx(0.0, abs=1e-7)


def test_noise_shows_in_the_error() -> None:
    rng = np.random.default_rng(7)
    totals = [Regret.of(rng.normal(0, 0.1, 9)) for _ in range(2000)]
    spread = float(np.std([t.total for t in totals]))
    assert math.sqrt(np.mean([t.error**2 for t in totals])) == pytest.approx(spread, rel=0.1)


def test_one_window_is_no_regret() -> None:
    assert Regret.of([0.4]) == Regret(0.0, 0.0, 1)


@pytest.mark.parametrize("cost", [0.0, -1.0, math.nan, math.inf])
def test_a_retraining_has_to_cost_something(cost: float) -> None:
    with pytest.raises(InvestmentError, match="declare a cost above 0"):
        invest(facts(Ageing(np.zeros(1), 0), 1, cost))


def test_an_older_version_leads_when_the_days_agree() -> None:
    assert leads(np.array([0.3, 0.2, 0.4, 0.3])) == pytest.approx(1.2)
    assert leads(np.array([3.0, -2.0, 1.0, -0.5])) == 0
    assert leads(np.array([-0.3, -0.2, -0.4])) == 0
    assert leads(np.array([0.3, 0.3])) == 0


def test_of_versions_the_newest_days_say_most() -> None:
    # GIVEN an older version that lost a bit more for four days, and less for the last three: conditions come back
    days = np.array([-0.1, -0.1, -0.1, -0.1, 0.5, 0.5, 0.5])
    assert leads(days) == pytest.approx(1.1)
    # THEN the same days the other way round are no reason
    assert leads(days[::-1]) == 0
    # AND with a long memory neither way is
    assert leads(days, half_life=1000) == leads(days[::-1], half_life=1000) == 0


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=20), st.integers(-6, 6))
def test_a_lead_is_a_saving_in_any_unit_and_of_two_versions_one_leads(days: list[float], power: int) -> None:
    less = np.round(np.array(days), 3)
    found = leads(less)
    assert found in (0.0, pytest.approx(less.sum()))
    assert found >= 0
    assert not (found and leads(-less))
    assert leads(2.0**power * less) == 2.0**power * found
    # what every day agrees on by the same amount is no chance
    assert leads(np.abs(less).max() * np.ones(len(less))) == pytest.approx(np.abs(less).max() * len(less))


def test_an_older_version_that_is_no_better_is_rarely_tried() -> None:
    # two standard errors of seven days, of which the newest count most
    rng = np.random.default_rng(7)
    tried = np.mean([leads(rng.normal(size=7)) > 0 for _ in range(4000)])
    assert 0.02 < tried < 0.12
