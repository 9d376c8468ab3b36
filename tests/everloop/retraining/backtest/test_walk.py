"""Policies walk through a history without seeing ahead, and nothing is cheaper than hindsight."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.retraining.backtest.adaptive_window import change_found
from everloop.retraining.backtest.history import History, View
from everloop.retraining.backtest.losses import LossTable
from everloop.retraining.backtest.policies import (
    AdaptiveWindow,
    Every,
    Invest,
    KolmogorovSmirnov,
    LossRise,
    Never,
    RegretReachesCost,
    Stability,
    usual_policies,
)
from everloop.retraining.backtest.walk import Action, Policy, optimum, walk
from everloop.retraining.exceptions import BacktestError
from tests.everloop.retraining.backtest.scenes import ageing_losses, history, table

ALL: list[Policy] = [*usual_policies(), Invest(), Invest(restores=False)]


def with_drift(found: History, shift: np.ndarray) -> History:
    return replace(found, shift_stability=shift, shift_distance=np.where(shift > 0.25, 0.001, 0.5))


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 9), st.floats(0.01, 3))
def test_no_policy_that_retrains_is_cheaper_than_hindsight(seed: int, windows: int, cost: float) -> None:
    rng = np.random.default_rng(seed)
    found = with_drift(history(rng.uniform(0, 2, (windows, windows))), rng.uniform(0, 0.5, (windows, windows)))
    best = optimum(found, cost)
    for policy in [*usual_policies(), Invest(restores=False)]:
        assert walk(found, policy, cost).cost >= best.cost - 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 2))
def test_hindsight_is_the_best_of_all_that_could_have_been(seed: int, cost: float) -> None:
    found = history(np.random.default_rng(seed).uniform(0, 2, (6, 6)))
    table, every = found.served.by_window, []
    for choice in itertools.product([False, True], repeat=5):
        model, total = 0, table[0, 0]
        for window, retrain in enumerate(choice, start=1):
            model = window if retrain else model
            total += table[model, window] + cost * retrain
        every.append(total - found.fresh.sum())
    assert optimum(found, cost).cost == pytest.approx(min(every))


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3), st.integers(1, 7))
def test_no_decision_rests_on_what_lies_ahead(seed: int, lag_days: int, from_window: int) -> None:
    # GIVEN two worlds that are the same until the labels that are known at the start of a window
    rng = np.random.default_rng(seed)
    windows = 8
    one = with_drift(history(ageing_losses(windows, 0.1), lag_days=lag_days, noise=rng.normal(0, 0.02, (8, 40))),
                     rng.uniform(0, 0.4, (windows, windows)))  # fmt: skip
    line = one.served.timeline
    known = line.first_day(from_window) - lag_days

    def changed(table: LossTable) -> LossTable:
        daily = table.daily.copy()
        daily[:, known:] *= rng.uniform(0, 2, daily[:, known:].shape)
        return LossTable(line, daily)

    probe = changed(one.probe)
    other = replace(one, served=probe, probe=probe, raw=changed(one.raw), errors=changed(one.errors))
    # THEN every policy has done the same up to then, this window's decision included
    for policy in ALL:
        before, after = walk(one, policy, 0.3), walk(other, policy, 0.3)
        assert before.serving[: from_window + 1] == after.serving[: from_window + 1], policy.name


def test_a_window_that_is_not_labelled_yet_is_refused() -> None:
    view = View(history(ageing_losses(6, 0.1)), 3, 0, 0, (0,), 1.0)
    assert len(view.day_losses(view.history.served, 0, 2)) == 5
    with pytest.raises(BacktestError, match="window 3 is not known at the start of window 3"):
        view.day_losses(view.history.served, 0, 3)


def test_late_labels_make_the_newest_window_partly_known() -> None:
    # GIVEN labels that come two days late, and 1 + .1 a window and age
    view = View(history(ageing_losses(6, 0.1), lag_days=2), 3, 0, 0, (0,), 1.0)
    # THEN three of five days of the newest window count for all
    assert view.seen == 3
    assert len(view.day_losses(view.history.served, 0, 2)) == 3
    np.testing.assert_allclose(view.losses(view.history.served, 0), [1.0, 1.1, 1.2])
    np.testing.assert_allclose(view.newest_less_probe(), [0.0, 0.1, 0.2])
    np.testing.assert_allclose(view.staleness()[2, :3], [0.0, 0.1, 0.2])
    # AND with three days late it has too few
    assert View(history(ageing_losses(6, 0.1), lag_days=3), 3, 0, 0, (0,), 1.0).seen == 2


def test_a_steady_world_is_left_alone_and_a_moving_one_is_followed() -> None:
    steady, moving = history(ageing_losses(30, 0.0)), history(ageing_losses(30, 0.1))
    assert walk(steady, Invest(), 0.5).retrainings == 0
    # the best interval is sqrt(2 * .5 / .1), about 3
    assert 8 <= walk(moving, Invest(), 0.5).retrainings <= 11
    assert walk(moving, Invest(), 0.5).cost <= 1.25 * optimum(moving, 0.5).cost


def test_ours_is_near_hindsight_where_schedules_fit_one_stretch_only() -> None:
    # GIVEN a world that stands still, then moves fast, then stands still
    windows = 45
    speed = np.where((np.arange(windows) >= 15) & (np.arange(windows) < 30), 0.3, 0.0)
    place = np.cumsum(speed)
    losses = 1 + np.maximum(place[None, :] - place[:, None], 0)
    found = history(losses)
    best = optimum(found, 0.5).cost
    assert walk(found, Invest(), 0.5).cost <= 1.35 * best
    schedules = [walk(found, Every(k), 0.5).cost for k in range(1, 13)]
    assert walk(found, Invest(), 0.5).cost < min(schedules)


def test_an_old_model_serves_again_when_its_world_comes_back() -> None:
    # GIVEN two worlds that take turns; a model fits the one it was trained in last
    windows = 24
    world = np.arange(windows) // 6 % 2
    losses = np.where(world[:, None] == np.roll(world, 1)[None, :], 1.0, 3.0)
    noise = np.random.default_rng(7).normal(0, 0.01, (windows, windows * 5))
    found = history(losses, noise=noise)
    walked = walk(found, Invest(), 5.0)
    restored = [action for _, action in walked.actions if action.kind == "restore"]
    assert restored
    assert walked.cost < walk(found, Invest(restores=False), 5.0).cost


def test_a_training_is_judged_by_the_newest_model_whichever_serves() -> None:
    # GIVEN a world that ages every model by .1 a window, and a price for which every third window is best
    found = history(ageing_losses(20, 0.1))
    # WHEN the first model serves again although there is one of two windows ago
    again = View(found, 10, 0, 9, (0, 8), 0.5)
    # THEN its own age asks for no training, as the newer one can serve
    asked = Invest().decide(again)
    assert (asked.kind, asked.model) == ("restore", 8)
    assert Invest(restores=False).decide(again).kind == "keep"
    # AND once the newest has grown old, there is nothing to wait for
    assert Invest().decide(View(found, 12, 0, 9, (0, 8), 0.5)).kind == "retrain"


def test_each_usual_trigger_fires_at_what_it_watches() -> None:
    # GIVEN losses and errors that jump in window 4, and features that move in window 2
    losses = ageing_losses(8, 0.0)
    losses[:4, 4:] = 1.5
    shift = np.zeros((8, 8))
    shift[:2, 2:] = 0.4
    found = with_drift(history(losses), shift)
    assert walk(found, LossRise(), 0.1).serving == (0, 0, 0, 0, 0, 5, 5, 5)
    for policy in (Stability(), KolmogorovSmirnov()):
        assert walk(found, policy, 0.1).serving[:4] == (0, 0, 0, 3)
    assert walk(found, Never(), 0.1).serving == (0,) * 8
    assert walk(found, Every(3), 0.1).serving == (0, 0, 0, 3, 3, 3, 6, 6)
    assert walk(found, RegretReachesCost(), 0.4).serving == (0, 0, 0, 0, 0, 5, 5, 5)


def test_drift_without_features_is_refused() -> None:
    with pytest.raises(BacktestError, match="no features"):
        walk(history(ageing_losses(5, 0.1)), Stability(), 0.1)


def test_the_cooldown_holds_trainings_apart_whatever_the_policy() -> None:
    walked = walk(history(ageing_losses(9, 0.5)), Every(1), 0.1, cooldown=3)
    assert walked.serving == (0, 0, 0, 3, 3, 3, 6, 6, 6)
    assert [window for window, _ in walked.actions] == [3, 6]


def test_what_was_never_trained_is_not_restored() -> None:
    class Wishful:
        name = "wishful"

        def decide(self, view: View) -> Action:
            return Action("restore", view.now + 1)

    assert walk(history(ageing_losses(5, 0.5)), Wishful(), 0.1).serving == (0,) * 5


def test_adwin_sees_a_change_of_rate_and_nothing_in_steady_errors() -> None:
    rng = np.random.default_rng(7)
    rows = np.full(60, 50.0)
    alarms = 0
    for _ in range(200):
        steady = rng.binomial(50, 0.3, 60).astype(float)
        alarms += change_found(steady, rows, 0.002)
        moved = np.concatenate([rng.binomial(50, 0.2, 30), rng.binomial(50, 0.4, 30)]).astype(float)
        assert change_found(moved, rows, 0.002)
    assert alarms <= 4


def test_adwin_as_a_policy_trains_again_after_the_change() -> None:
    # GIVEN four rows a day, of which a model that is older than window 6 gets half wrong instead of none
    wrong = np.zeros((14, 14))
    wrong[:6, 6:] = 20.0
    found = history(ageing_losses(14, 0.0))
    found = replace(found, errors=table(found.served.timeline, wrong))
    walked = walk(found, AdaptiveWindow(), 0.1)
    assert walked.retrainings == 1
    assert set(walked.serving[:7]) == {0}
