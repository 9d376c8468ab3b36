"""How many instances a policy wants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from localcloud.services.applicationautoscaling.tracking import IN_MINUTES, Standing, Tracking, wanted

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
TRACKING = Tracking(target=100)


def minutes(*last: float | None, before: float | None = None) -> list[float | None]:
    return [before] * (IN_MINUTES - len(last)) + list(last)


def standing(count: int, out: int | None = None, in_: int | None = None) -> Standing:
    ago = [None if seconds is None else NOW - timedelta(seconds=seconds) for seconds in (out, in_)]
    return Standing(count, least=1, most=5, out_at=ago[0], in_at=ago[1])


@pytest.mark.parametrize(
    ("seen", "stands", "count"),
    [
        (minutes(101, 101, 150), standing(2), 3),
        (minutes(101, 101, 1000), standing(2), 5),  # at most what is registered
        (minutes(101, 100, 150), standing(2), 2),  # one of three minutes is not above
        (minutes(101, None, 150), standing(2), 2),
        (minutes(101, 101, 150), standing(2, out=299), 2),
        (minutes(101, 101, 150), standing(2, out=300), 3),
        (minutes(101, 101, 150), standing(2, in_=1), 3),  # a scale-in does not hold a scale-out up
        (minutes(before=30), standing(4), 2),
        (minutes(10, before=30), standing(4), 2),  # as the busiest of the minutes needs
        (minutes(before=1), standing(4), 1),  # at least what is registered
        (minutes(90, before=30), standing(4), 4),
        (minutes(None, before=30), standing(4), 4),  # a minute without data is none below
        (minutes(before=30), standing(4, in_=299), 4),
        (minutes(before=30), standing(4, out=1), 2),
        (minutes(), standing(4), 4),
        (minutes(150, 150, 150), standing(7), 7),  # above the limits by hand: nothing is added, nothing taken away
    ],
)
def test_instances_follow_the_last_minutes(seen: list[float | None], stands: Standing, count: int) -> None:
    assert wanted(TRACKING, seen, stands, NOW) == count


def test_a_policy_may_never_scale_in() -> None:
    assert wanted(Tracking(100, may_scale_in=False), minutes(before=1), standing(4), NOW) == 4
