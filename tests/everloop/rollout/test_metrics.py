from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from everloop.rollout.exceptions import MetricsIncompleteError
from everloop.rollout.metrics import CloudWatchMetrics
from everloop.rollout.version_metrics import Minute, VersionMetrics
from tests.fakes.cloudwatch_metrics import FakeCloudWatch

BEGIN = datetime(2013, 3, 1, 10, 0, 30, tzinfo=UTC)
END = BEGIN + timedelta(minutes=5)


@pytest.fixture
def cloudwatch() -> FakeCloudWatch:
    return FakeCloudWatch()


@pytest.fixture
def metrics(cloudwatch: FakeCloudWatch) -> CloudWatchMetrics:
    return CloudWatchMetrics(cloudwatch, function="predict", alias="live", model="flights", slow_ms=50)


def test_counts_one_version_between_two_instants(metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch) -> None:
    cloudwatch.requests(40, at=BEGIN + timedelta(minutes=1), version="3", errors=2, answered_5xx=3, ms=30)
    cloudwatch.requests(60, at=BEGIN + timedelta(minutes=4), version="3", ms=90)
    cloudwatch.requests(500, at=BEGIN + timedelta(minutes=1), version="2", errors=500, answered_5xx=9, ms=999)
    cloudwatch.requests(70, at=BEGIN - timedelta(minutes=2), version="3", errors=70)
    cloudwatch.requests(70, at=END + timedelta(minutes=2), version="3", errors=70)
    assert metrics.read("3", BEGIN, END) == VersionMetrics(requests=100, errors=3, p99_ms=90, timed=100, slow=60)


@pytest.mark.parametrize("stretch", [timedelta(hours=2), timedelta(days=1), timedelta(days=14)])
def test_what_came_before_the_stretch_is_not_counted(
    metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch, stretch: timedelta
) -> None:
    """Also where a period as long as the stretch would begin before it."""
    begin = datetime(2013, 3, 9, 15, tzinfo=UTC)
    cloudwatch.requests(2, at=begin - timedelta(minutes=1), version="3", errors=1, answered_5xx=1, ms=90)
    cloudwatch.requests(3, at=begin, version="3", ms=20)
    cloudwatch.requests(5, at=begin + stretch, version="3", errors=5, ms=90)
    found = metrics.read("3", begin, begin + stretch)
    assert (found.requests, found.errors, found.timed, found.slow) == (3, 0, 3, 0)


def test_a_crash_that_both_count_is_one_failure(metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch) -> None:
    cloudwatch.requests(40, at=BEGIN, version="3", errors=4, answered_5xx=4)
    assert metrics.read("3", BEGIN, END).errors == 4


def test_the_same_counts_come_by_the_minute(metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch) -> None:
    cloudwatch.requests(3, at=BEGIN, version="3", refused=1)
    cloudwatch.requests(7, at=BEGIN + timedelta(minutes=3), version="3", errors=2, ms=90)
    first, second = metrics.read("3", BEGIN, END).minutes
    begin = BEGIN.replace(second=0)
    assert first == Minute(begin, requests=3, refused=1, timed=3)
    assert second == Minute(begin + timedelta(minutes=3), requests=7, errors=2, timed=7, slow=7)


def test_a_source_that_is_late_does_not_make_failures_a_larger_share(
    metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch
) -> None:
    """GIVEN that Lambda's own metrics have not come yet, THEN the function's failures come with its answers."""
    own = {"model": "flights", "lambda_version": "3"}
    for index in range(100):
        cloudwatch.add("Everloop", "ServerErrors", own, BEGIN, int(index < 4))
    found = metrics.read("3", BEGIN, END)
    assert (found.requests, found.errors) == (100, 4)


def test_nothing_happened(metrics: CloudWatchMetrics) -> None:
    assert metrics.read("3", BEGIN, END) == VersionMetrics(0, 0, None)


def test_a_failure_counted_before_its_request(metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch) -> None:
    cloudwatch.requests(0, at=BEGIN, version="3", answered_5xx=4)
    assert metrics.read("3", BEGIN, END) == VersionMetrics(4, 4, None)


def test_alone_behind_the_alias_there_is_no_executed_version(
    metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch
) -> None:
    cloudwatch.requests(40, at=BEGIN + timedelta(minutes=1), version="3", errors=2, weighted=False)
    # The function counts its own answers by version all the same, though not how long they took, nor crashes.
    assert metrics.read("3", BEGIN, END) == VersionMetrics(38, 0, None)
    assert metrics.read("3", BEGIN, END, alone=True) == VersionMetrics(40, 2, 20, timed=40)


def test_a_long_stretch_comes_in_several_values(metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch) -> None:
    for day in range(3):
        cloudwatch.requests(10, at=BEGIN + timedelta(days=day, hours=1), version="3", ms=20 + day)
    assert metrics.read("3", BEGIN, BEGIN + timedelta(days=3)) == VersionMetrics(30, 0, 22, timed=30)


def test_slow_requests_of_several_periods_add_up(metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch) -> None:
    """Percentiles do not; counts do. What takes exactly as long as allowed is not slow."""
    for day, (fast, slow) in enumerate([(10, 1), (200, 0), (7, 3)]):
        at = BEGIN + timedelta(days=day, hours=1)
        cloudwatch.requests(fast, at=at, version="3", ms=50)
        cloudwatch.requests(slow, at=at, version="3", ms=50.5)
    found = metrics.read("3", BEGIN, BEGIN + timedelta(days=3))
    assert (found.timed, found.slow) == (221, 4)


def test_cold_starts_are_counted_by_version_where_they_have_a_limit(
    metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch
) -> None:
    cloudwatch.requests(40, at=BEGIN, version="3")
    for version, milliseconds in [("3", 900.0), ("3", 1000.0), ("3", 1000.5), ("2", 5000.0)]:
        for own in ({"model": "flights", "lambda_version": version}, {"model": "flights"}):
            cloudwatch.add("Everloop", "ColdStart", own, BEGIN, milliseconds)
    found = metrics.read("3", BEGIN, END)
    assert (found.cold, found.slow_cold) == (0, 0), "what has no limit is not asked for"
    metrics.slow_cold_ms = 1000
    found = metrics.read("3", BEGIN, END)
    assert (found.cold, found.slow_cold) == (3, 1)
    assert [(minute.cold, minute.slow_cold) for minute in found.minutes] == [(3, 1)]
    # Alone behind the alias the model's own count is the version's, whatever its number was.
    alone = metrics.read("3", BEGIN, END, alone=True)
    assert (alone.cold, alone.slow_cold) == (4, 2)


def test_metrics_that_could_not_be_read_are_an_error(metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch) -> None:
    cloudwatch.status = "InternalError"
    with pytest.raises(MetricsIncompleteError, match="InternalError"):
        metrics.read("3", BEGIN, END)


def test_no_time_at_all(metrics: CloudWatchMetrics) -> None:
    whole = BEGIN.replace(second=0)
    assert metrics.read("3", whole, whole).requests == 0


def test_counts_what_a_version_refused(metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch) -> None:
    cloudwatch.requests(40, at=BEGIN, version="3", refused=7)
    cloudwatch.requests(40, at=BEGIN, version="2", refused=9)
    assert metrics.read("3", BEGIN, END) == VersionMetrics(40, 0, 20, refused=7, timed=40)


class TestOfAnEndpoint:
    @pytest.fixture
    def metrics(self, cloudwatch: FakeCloudWatch) -> CloudWatchMetrics:
        return CloudWatchMetrics(
            cloudwatch, function="predict", alias="live", model="flights", slow_ms=50, endpoint="everloop-flights"
        )

    def test_counts_a_variant_however_it_was_asked(
        self, metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch
    ) -> None:
        dimensions = {"EndpointName": "everloop-flights", "VariantName": "v8"}
        for index in range(10):
            cloudwatch.add("AWS/SageMaker", "Invocations", dimensions, BEGIN, 1)
            cloudwatch.add("AWS/SageMaker", "Invocation5XXErrors", dimensions, BEGIN, int(index < 2))
            cloudwatch.add("AWS/SageMaker", "ModelLatency", dimensions, BEGIN, 90_000 if index < 3 else 20_000)
        own = {"model": "flights", "lambda_version": "v8"}
        # Of those the function passed on, which are successes for SageMaker, it knows what became of them.
        for index in range(6):
            cloudwatch.add("Everloop", "ServerErrors", own, BEGIN, int(index < 3))
        cloudwatch.add("Everloop", "RequestsRefused", own, BEGIN, 1)
        found = metrics.read("v8", BEGIN, END)
        assert found == VersionMetrics(requests=10, errors=3, p99_ms=90, refused=1, timed=10, slow=3)
        assert metrics.read("v7", BEGIN, END).requests == 0

    def test_counts_a_function_version_before_it_moved(
        self, metrics: CloudWatchMetrics, cloudwatch: FakeCloudWatch
    ) -> None:
        cloudwatch.requests(40, at=BEGIN, version="3", errors=2)
        assert metrics.read("3", BEGIN, END).errors == 2
