from __future__ import annotations

import pytest

from everloop.emf import MetricValue
from everloop.server.metrics import ServerMetrics
from everloop.serving.answer import Answer
from everloop.serving.exchange import Reply


def test_the_page_has_each_count_in_prometheus_form() -> None:
    metrics = ServerMetrics("m", 7, "c0ffee", "5160")
    metrics.waiting = lambda: 3
    answered = Answer(200, Reply(b""), [MetricValue("Predictions", 2), MetricValue("PredictionLatency", 1.5)])
    refused = Answer(400, Reply(b""), [MetricValue("UnusableScores", 1)], cause="too_long")
    for answer, seconds in ((answered, 0.0001), (answered, 0.0002), (refused, 7.0)):
        metrics.count("v2", answer, seconds)
    lines = metrics.page().body.decode().splitlines()
    # A limit is inside its bucket, and each bucket has all that are smaller.
    buckets = [float(line.rpartition(" ")[2]) for line in lines if line.startswith("everloop_request_seconds_bucket")]
    assert buckets == [1.0, *[2.0] * 14, 3.0]
    assert {
        'everloop_served_info{calibration="c0ffee",model="m",signer="5160",version="7"} 1.0',
        'everloop_requests_total{protocol="v2",status="200"} 2.0',
        'everloop_requests_total{protocol="v2",status="400"} 1.0',
        'everloop_refused_total{code="too_long"} 1.0',
        "# TYPE everloop_request_seconds histogram",
        'everloop_request_seconds_bucket{le="+Inf"} 3.0',
        "everloop_request_seconds_count 3.0",
        "everloop_request_seconds_sum 7.0003",
        "everloop_predictions_total 4.0",
        "everloop_unusable_scores_total 1.0",
        "everloop_capture_lost_total 0.0",
        "everloop_requests_waiting 3.0",
    } <= set(lines)


def test_many_usual_answers_are_counted_as_each_would_be() -> None:
    one, other = ServerMetrics("m", 7, ""), ServerMetrics("m", 7, "")
    for number in range(3000):  # more than are added up at once
        rows, latency_ms = 1 + number % 3, (number % 70) ** 2 / 1.0
        one.count_rows(rows, latency_ms)
        metrics = [MetricValue("Predictions", rows), MetricValue("PredictionLatency", latency_ms)]
        other.count("predictions", Answer(200, Reply(b""), metrics), latency_ms / 1000)
    found, wanted = (
        dict(line.rsplit(" ", 1) for line in by.page().body.decode().splitlines() if not line.startswith("#"))
        for by in (one, other)
    )
    total = "everloop_request_seconds_sum"
    assert float(found.pop(total)) == pytest.approx(float(wanted.pop(total)))
    assert found == wanted
    assert found["everloop_predictions_total"] == "6000.0"
