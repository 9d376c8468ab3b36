"""Latencies count from when a request was due, what was shed is told apart, and limits are held to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.serving.load_test import Asked, found_by, quantile, unmet


def test_a_stall_is_charged_to_all_who_came_meanwhile() -> None:
    # GIVEN ten requests a second, and a server that answers none for a second, then all at once
    asked = [Asked(n / 10, 1.0, 200) for n in range(10)]
    found = found_by(asked, 10)
    assert (found.requests, found.seconds, found.throughput) == (10, 1.0, 10.0)
    assert (found.p50_ms, found.p99_ms) == pytest.approx((500.0, 1000.0))


def test_what_was_shed_is_no_error_and_no_latency() -> None:
    asked = [Asked(0.0, 0.1, 200), Asked(0.1, 0.101, 429), Asked(0.2, 30.0, 0), Asked(0.3, 0.35, 503)]
    found = found_by(asked, 10, cold_starts=2)
    assert (found.shed, found.errors, found.cold_starts) == (1, 2, 2)
    assert found.by_status == {"0": 1, "200": 1, "429": 1, "503": 1}
    assert found.p99_ms == pytest.approx(100.0)


def test_of_nothing_nothing_is_told() -> None:
    found = found_by([], 10)
    assert (found.requests, found.throughput, found.p50_ms) == (0, 0.0, None)
    assert unmet(found, 100, 0.01) == ["no request was sent"]


def test_limits_are_said_where_they_are_not_kept() -> None:
    slow = found_by([Asked(0.0, 0.5, 200), Asked(0.0, 0.01, 429)], 2)
    assert unmet(slow, 100, 0.5) == ["the slowest 1% took longer than 500 ms; allowed are 100 ms"]
    assert unmet(slow, 600, 0.1) == ["1 of 2 requests were not answered (50.0%); allowed are 10.0%"]
    assert unmet(slow, 600, 0.5) == []


@pytest.mark.slow
@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_one_of_the_values_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    found = quantile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
