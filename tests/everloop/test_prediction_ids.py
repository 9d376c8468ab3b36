"""Names of predictions say whose rows are captured, alike at every retry and evenly."""

from __future__ import annotations

import pytest

from everloop.prediction_ids import is_captured, prediction_id


def test_where_all_rows_are_captured_a_name_is_the_requests_and_the_place() -> None:
    assert prediction_id("r", 3) == prediction_id("r", 3, 1.0) == "r-3"
    assert is_captured("r-3")


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_the_declared_share_is_captured_of_names_that_are_alike(share: float) -> None:
    kept = sum(is_captured(prediction_id("JKJaXmPLvHcESHA=", index, share)) for index in range(5000))
    # Five standard deviations of a fair draw.
    assert abs(kept - 5000 * share) < 5 * (5000 * share * (1 - share)) ** 0.5


def test_a_name_is_the_same_each_time_and_what_a_smaller_share_takes_a_larger_one_has() -> None:
    for index in range(500):
        few, many = (prediction_id("réq", index, share) for share in (0.2, 0.6))
        assert few == prediction_id("réq", index, 0.2)
        assert not is_captured(few) or is_captured(many)
        assert few.removesuffix("-unsampled") == f"réq-{index}"
