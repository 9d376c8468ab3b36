"""A schedule is recommended where it pays as deployed, and not where it pays among the policies alone."""

from __future__ import annotations

import numpy as np
import pytest

from everloop.cli.operations.backtest_advice import Recommendation
from everloop.cli.operations.backtest_loop_told import THIS_ONE
from everloop.cli.operations.backtest_loops import weighed
from everloop.cli.operations.backtest_variants import AS_INVESTMENT, AS_SCHEDULED, Variant
from everloop.retraining.backtest.walk import Walk
from tests.helpers.declarations import binary_document, declare

LINES = ("data:", "  training_window_days: 56", "retraining:", "  schedule_days: 28", "  cooldown_days: 28")
ADVICE = Recommendation(LINES, ("of all schedules, this one",), {"schedule_days": 28, "cooldown_days": 28})
INVESTED = ("data:", "  training_window_days: 56", "retraining:", "  investment: {every_days: 14, cost: 500}")
DECLARATION = declare(binary_document())
OTHERS = [
    Variant(AS_SCHEDULED, DECLARATION, LINES, "the best schedule among the policies"),
    Variant(AS_INVESTMENT, DECLARATION, INVESTED, "retraining as an investment"),
]
NOISE = np.array([0.1, -0.1, 0.2, -0.2, 0.1, 0.0, -0.1, 0.1, -0.1, 0.1, 0.0, -0.1])


def walk(policy: str, older: float, newest: float) -> Walk:
    """Twelve windows, of which the newest four are held back."""
    loss = np.array([older] * 8 + [newest] * 4) + NOISE * len(policy) / 10
    return Walk(policy, (0,) * 12, (), loss, float(loss.sum()), float(loss.sum()))


def told(
    as_it_stands: tuple[float, float],
    as_recommended: tuple[float, float],
    as_investment: tuple[float, float] | None = None,
) -> Recommendation:
    walks = [walk(THIS_ONE, *as_it_stands), walk(AS_SCHEDULED, *as_recommended)]
    if as_investment is not None:
        walks.append(walk(AS_INVESTMENT, *as_investment))
    return weighed(
        ADVICE, walks, OTHERS[: len(walks) - 1], cost=1.0, unit="USD", date=lambda window: f"window {window}"
    )


def test_what_pays_in_both_parts_is_recommended() -> None:
    found = told((2.0, 2.0), (1.0, 1.0))
    assert (found.lines, found.kept) == (LINES, False)
    assert found.reasons[0].startswith("Simulated as deployed")
    assert "USD a window less than model.yaml as it stands, from window 8 on" in found.reasons[0]


def test_what_pays_by_chance_in_the_newest_part_is_recommended_with_its_interval() -> None:
    found = told((2.0, 2.0), (1.0, 2.0))
    assert not found.kept
    assert "this may be chance" in found.reasons[0]


@pytest.mark.parametrize(
    ("as_it_stands", "as_recommended", "why"),
    [
        ((1.0, 2.0), (2.0, 1.0), "Simulated as deployed, model.yaml as it stands costs less until window 8: keep it."),
        ((2.0, 1.0), (1.0, 2.0), "costs less than model.yaml until window 8, and more after that: keep model.yaml."),
    ],
)
def test_what_does_not_pay_as_deployed_is_not_recommended(
    as_it_stands: tuple[float, float], as_recommended: tuple[float, float], why: str
) -> None:
    found = told(as_it_stands, as_recommended)
    assert found.kept
    assert found.lines == (*LINES[:2], "# retraining: keep it as it is")
    assert found.reasons[0].endswith(why)
    sign = "less" if as_recommended[1] < as_it_stands[1] else "more"
    assert f"USD a window {sign} than model.yaml" in found.reasons[1]


def test_the_interval_is_that_of_what_the_schedule_saves_whichever_was_chosen() -> None:
    found = told((1.0, 2.0), (2.0, 1.0))
    low, high = found.reasons[1].split("saves: ")[1].split(")")[0].split(" to ")
    assert 0 < float(low) < 1 < float(high)


def test_what_is_declared_already_is_said() -> None:
    found = weighed(ADVICE, [walk(THIS_ONE, 1, 1)], [], cost=1.0, unit="USD", date=str)
    assert (found.lines, found.kept, found.reasons[0]) == (LINES, False, "model.yaml says so already.")


def test_an_investment_is_recommended_where_it_cost_least_until_the_part_that_is_held_back() -> None:
    found = told((2.0, 2.0), (1.5, 1.0), (1.0, 1.5))
    assert (found.lines, found.chosen, found.kept) == (INVESTED, AS_INVESTMENT, False)
    assert "retraining as an investment costs" in found.reasons[0]
    # AND the other way is told after it
    assert "the best schedule among the policies costs" in found.reasons[1]


def test_an_investment_that_costs_more_in_the_newest_part_is_not_recommended() -> None:
    found = told((2.0, 1.0), (2.5, 2.5), (1.0, 2.0))
    assert (found.kept, found.chosen) == (True, THIS_ONE)
    assert found.reasons[0].startswith("Simulated as deployed, retraining as an investment costs less than model.yaml")
