"""Metrics keep what arrived, per period, in bounded memory."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.services.cloudwatch.metrics import EXACT_VALUES, Bucket, MetricError, MetricName, MetricStore

START = datetime(2026, 1, 5, tzinfo=UTC)
NAME = MetricName.of("N", "m", {"a": "1"})


class Time:
    now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store(time: Time) -> MetricStore:
    return MetricStore(time)


def test_periods_are_aligned_and_hold_what_arrived_in_them(store: MetricStore) -> None:
    for minute, value in ((0, 1.0), (1, 2.0), (4, 3.0), (5, 10.0)):
        store.put(NAME, value, at=START + timedelta(minutes=minute))

    found = store.periods(NAME, START, START + timedelta(minutes=10), 300)

    assert {at: (bucket.count, bucket.total, bucket.low, bucket.high) for at, bucket in found.items()} == {
        START: (3, 6.0, 1.0, 3.0),
        START + timedelta(minutes=5): (1, 10.0, 10.0, 10.0),
    }


def test_series_are_apart_by_namespace_and_dimensions(store: MetricStore) -> None:
    store.put(NAME, 1.0)
    store.put(MetricName.of("N", "m", {"a": "2"}), 10.0)
    store.put(MetricName.of("Other", "m", {"a": "1"}), 100.0)

    found = store.periods(NAME, START, START + timedelta(minutes=1), 60)

    assert [bucket.total for bucket in found.values()] == [1.0]
    assert MetricName.of("N", "m", {"b": "2", "a": "1"}) == MetricName.of("N", "m", {"a": "1", "b": "2"})


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300))
def test_statistics_are_those_of_the_values(values: list[float]) -> None:
    bucket = Bucket()
    for value in values:
        bucket.add(value)

    assert bucket.statistic("SampleCount") == len(values)
    assert bucket.statistic("Sum") == pytest.approx(sum(values), abs=1e-3)
    assert bucket.statistic("Minimum") == min(values)
    assert bucket.statistic("Maximum") == max(values)
    assert len(bucket.values) <= max(EXACT_VALUES, len(values))


@given(st.lists(st.floats(0.1, 1e4), min_size=EXACT_VALUES + 1, max_size=1000))
def test_percentiles_are_within_a_percent(values: list[float]) -> None:
    bucket = Bucket()
    for value in values:
        bucket.add(value)

    exact = statistics.quantiles(values, n=2, method="inclusive")[0]
    low, high = sorted(values)[(len(values) - 1) // 2], sorted(values)[len(values) // 2]
    assert low <= exact <= high
    assert low * 0.99 <= bucket.statistic("p50") <= high * 1.01


@given(st.lists(st.floats(-100, 100), max_size=100), st.lists(st.floats(-100, 100), min_size=1, max_size=100))
def test_merging_is_counting_together(left: list[float], right: list[float]) -> None:
    one, other, both = Bucket(), Bucket(), Bucket()
    for value in left:
        one.add(value)
        both.add(value)
    for value in right:
        other.add(value)
        both.add(value)

    one.merge(other)

    assert (one.count, one.low, one.high) == (both.count, both.low, both.high)
    assert one.total == pytest.approx(both.total)


def test_a_percentile_rank_is_the_share_above_the_one_and_up_to_the_other() -> None:
    bucket = Bucket()
    for value in (100, 200, 300, 300, 400):
        bucket.add(value)
    found = {name: bucket.statistic(name) for name in ("PR(:300)", "PR(300:)", "PR(100:300)", "PR(99.5:100)")}
    assert found == {"PR(:300)": 80.0, "PR(300:)": 20.0, "PR(100:300)": 60.0, "PR(99.5:100)": 20.0}


@pytest.mark.parametrize("name", ["PR(:)", "PR(300)", "PR(1%:2%)", "pr(:300)", "TC(1:2)", "TM(2%:98%)", "IQM"])
def test_a_statistic_that_is_not_executed_is_refused(name: str) -> None:
    with pytest.raises(MetricError, match="not executed by the local cloud"):
        Bucket().statistic(name)


def test_a_busy_minute_takes_little_memory() -> None:
    bucket = Bucket()
    for index in range(100_000):
        bucket.add(1 + index / 10)

    assert len(bucket.values) < 1000
    assert bucket.statistic("p99") == pytest.approx(9901, rel=0.02)
    assert bucket.statistic("PR(:9000)") == pytest.approx(90, abs=1)
    assert bucket.statistic("PR(:10001)") == 100


@pytest.mark.parametrize("file", [None, "metrics.sqlite"])
def test_a_long_series_keeps_its_sums_in_hours(time: Time, tmp_path: Path, file: str | None) -> None:
    # GIVEN values of 100 days, most minutes without one
    store = MetricStore(time, tmp_path / file if file else None)
    for minute in range(0, 100 * 1440, 7):
        time.now = START + timedelta(minutes=minute)
        store.put(NAME, 1.0 + minute % 3)

    days = store.periods(NAME, START, time.now + timedelta(minutes=1), 86400)

    # THEN none is lost, minutes are those of a week and the day on which they are looked at
    assert sum(bucket.count for bucket in days.values()) == len(range(0, 100 * 1440, 7))
    assert len(days) == 100
    assert len(store._series[NAME].minutes) <= 8 * 1440 / 7 + 1
    first = days[START]
    assert (first.low, first.high) == (1.0, 3.0)
    assert first.statistic("p50") == 2.0
    hours = store.periods(NAME, START + timedelta(hours=5), START + timedelta(hours=7), 3600)
    assert [bucket.count for bucket in hours.values()] == [9, 8]


def test_what_comes_late_joins_its_hour(store: MetricStore, time: Time) -> None:
    for day in range(13):
        time.now = START + timedelta(days=day)
        store.put(NAME, 1.0)
    store.put(NAME, 5.0, at=START + timedelta(minutes=3))
    for day in range(13, 30):
        time.now = START + timedelta(days=day)
        store.put(NAME, 1.0)

    found = store.periods(NAME, START, START + timedelta(hours=1), 3600)

    assert [(bucket.count, bucket.high) for bucket in found.values()] == [(2, 5.0)]


def test_a_series_that_ended_holds_no_minutes_once_a_week_is_over(store: MetricStore, time: Time) -> None:
    """GIVEN versions that are replaced, THEN memory has the minutes of those of the last week, not of all."""
    versions = [MetricName.of("N", "m", {"version": str(number)}) for number in range(40)]
    for day, name in enumerate(versions):
        for minute in range(0, 1440, 60):
            time.now = START + timedelta(days=day, minutes=minute)
            store.put(name, 1.0)

    held = [name for name in versions if store._series[name].minutes]

    assert held == versions[-8:]
    found = store.periods(versions[0], START, time.now, 3600)
    assert [bucket.count for bucket in found.values()] == [1.0] * 24


def test_hours_of_a_series_that_ended_are_dropped_after_455_days(store: MetricStore, time: Time) -> None:
    store.put(NAME, 1.0)
    for day in range(0, 480, 5):
        time.now = START + timedelta(days=day)
        store.put(MetricName.of("N", "other", {}), 1.0)

    assert store.periods(NAME, START, time.now, 3600) == {}
    assert store._archive._database.execute("SELECT min(at) FROM hours").fetchone()[0] >= (
        int(time.now.timestamp()) - 455 * 86_400
    )


def test_hours_are_dropped_after_455_days(store: MetricStore, time: Time) -> None:
    for day in range(480):
        time.now = START + timedelta(days=day)
        store.put(NAME, 1.0)

    found = store.periods(NAME, START, time.now + timedelta(minutes=1), 86400)

    assert 455 <= len(found) <= 455 + 10
    assert max(found) == time.now


@pytest.mark.parametrize("offset", [timedelta(days=-15), timedelta(hours=3)])
def test_times_far_from_the_local_clock_are_refused(store: MetricStore, offset: timedelta) -> None:
    with pytest.raises(MetricError, match="Timestamp"):
        store.put(NAME, 1.0, at=START + offset)


@pytest.mark.parametrize("period", [0, 30, 61])
def test_periods_are_whole_minutes(store: MetricStore, period: int) -> None:
    with pytest.raises(MetricError, match="multiple of 60"):
        store.periods(NAME, START, START + timedelta(hours=1), period)


@pytest.mark.parametrize("name", ["tm90", "IQM", "p101", "Median"])
def test_statistics_that_are_not_executed_are_refused(name: str) -> None:
    with pytest.raises(MetricError, match=name):
        Bucket().statistic(name)
