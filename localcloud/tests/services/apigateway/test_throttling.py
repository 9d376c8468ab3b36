"""How many requests a stage lets through."""

from __future__ import annotations

from localcloud.services.apigateway.throttling import Buckets, Limit, Limits


class Timer:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_stage_answers_429_beyond_its_limit() -> None:
    timer = Timer()
    buckets, limits = Buckets(timer), Limits(Limit(rate=2, burst=3))
    # GIVEN as many at once as may be, THEN the next one may not, whichever route it asks
    assert [buckets.take("$default", limits, f"GET /{i}") for i in range(4)] == [True, True, True, False]
    # AND after half a second one more may, after an hour no more than the burst
    timer.now = 0.5
    assert [buckets.take("$default", limits, "GET /a") for _ in range(2)] == [True, False]
    timer.now = 3600.0
    assert sum(buckets.take("$default", limits, "GET /a") for _ in range(10)) == 3


def test_a_route_with_a_limit_of_its_own_takes_nothing_from_the_others() -> None:
    buckets = Buckets(Timer())
    limits = Limits(Limit(1, 1), {"GET /own": Limit(1, 2)})
    assert [buckets.take("s", limits, "GET /own") for _ in range(3)] == [True, True, False]
    assert [buckets.take("s", limits, "GET /a") for _ in range(2)] == [True, False]
    assert buckets.take("another", limits, "GET /a")


def test_no_limit_is_none() -> None:
    assert all(Buckets(Timer()).take("s", Limits(), "GET /a") for _ in range(100))
