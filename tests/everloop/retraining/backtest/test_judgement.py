"""A policy is chosen without the part of the history that is held back."""

from __future__ import annotations

import numpy as np
import pytest

from everloop.retraining.backtest.judgement import judge
from everloop.retraining.backtest.walk import Walk


def walked(name: str, loss: list[float], retrained: tuple[int, ...] = ()) -> Walk:
    return Walk(name, tuple(range(len(loss))), retrained, np.array(loss), 0.0, 0.0)


def test_the_choice_rests_on_the_first_part_alone() -> None:
    # GIVEN one that is better at first, and worse by far later
    early = walked("early", [1.0] * 6 + [9.0] * 3)
    late = walked("late", [2.0] * 6 + [1.0, 1.2, 0.8])
    found = judge([early, late], 1.0)
    assert (found.chosen, found.first_held_back) == ("early", 6)
    # THEN the report says so
    assert found.against["late"].mean == pytest.approx(-8)
    assert found.against["late"].high is not None
    assert found.against["late"].high < 0


def test_retrainings_are_paid_for_in_the_part_they_fall_in() -> None:
    often, never = walked("often", [1.0] * 9, (2, 4, 7)), walked("never", [1.2] * 9)
    found = judge([often, never], 0.5)
    assert (found.before["often"].retrainings, found.after["often"].retrainings) == (2, 1)
    assert found.before["often"].cost == pytest.approx(6 + 1.0)
    assert found.chosen == "often"
    assert found.against["never"].mean == pytest.approx((3 * 1.2 - 3 * 1.0 - 0.5) / 3)


def test_only_what_may_be_chosen_is() -> None:
    cheap, other = walked("hindsight", [0.0] * 6), walked("never", [1.0] * 6)
    found = judge([cheap, other], 1.0, ["never"])
    assert found.chosen == "never"
    # AND two windows are too few for an interval
    assert found.against["hindsight"].low is None
