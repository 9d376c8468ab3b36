"""What a server counts, in Prometheus's text format."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from everloop.serving.answer import Answer
from everloop.serving.exchange import Reply
from everloop.serving.protocols import NATIVE

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_COUNTED = {
    "Predictions": ("everloop_predictions", "Predicted rows"),
    "UnseenCategories": ("everloop_unseen_categories", "Values training never saw"),
    "FallbackAnswers": ("everloop_fallback_answers", "Rows that the fallback answered"),
    "CaptureFallback": ("everloop_capture_lost", "Captured rows that were not taken"),
    "RowsRefused": ("everloop_rows_refused", "Rows that were answered with an error, among others that were right"),
    "UnusableScores": ("everloop_unusable_scores", "Rows the model had no score for"),
}

_MOST_KEPT = 1024
"""Answers that wait to be added up."""


class ServerMetrics(Collector):
    """The counts of one process. Labels are few and known: protocols, statuses and codes, nothing that callers choose.

    They are plain numbers, which one thread counts: a counter of the package takes a lock for each.

    Parameters
    ----------
    model, version, calibration, signer
        What is served, for ``everloop_served_info``.

    Attributes
    ----------
    waiting : callable
        How many requests wait or are being answered.
    """

    def __init__(self, model: str, version: int, calibration: str, signer: str = "") -> None:
        self._served = model, str(version), calibration, signer
        self._requests: Counter[tuple[str, int]] = Counter()
        self._refused: Counter[str] = Counter()
        self._counts = dict.fromkeys(_COUNTED, 0.0)
        self._within, self._seconds = [0] * (len(_SECONDS) + 1), 0.0
        self._usual: list[tuple[int, float]] = []
        self.waiting: Callable[[], int] = lambda: 0
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count(self, protocol: str, answer: Answer, seconds: float) -> None:
        """Count an answer."""
        self._requests[protocol, answer.status] += 1
        self._within[bisect_left(_SECONDS, seconds)] += 1
        self._seconds += seconds
        if answer.cause is not None:
            self._refused[answer.cause] += 1
        for name, value, _ in answer.metrics:
            if name in self._counts:
                self._counts[name] += value

    def count_rows(self, rows: int, latency_ms: float) -> None:
        """Count an answer of the native protocol, to these rows and with nothing unusual.

        The counts are added up when somebody asks for them, or there are many: nobody's answer waits for it.
        """
        kept = self._usual
        kept.append((rows, latency_ms))
        if len(kept) >= _MOST_KEPT:
            self._add_up()

    def _add_up(self) -> None:
        kept, self._usual = self._usual, []
        self._requests[NATIVE, 200] += len(kept)
        self._counts["Predictions"] += sum(rows for rows, _ in kept)
        seconds = sorted(latency_ms / 1000 for _, latency_ms in kept)
        self._seconds += sum(seconds)
        before = 0
        for place, limit in enumerate((*_SECONDS, math.inf)):
            within = bisect_right(seconds, limit)
            self._within[place] += within - before
            before = within

    def page(self) -> Reply:
        """The text that a scrape gets."""
        return Reply(generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4)

    def collect(self) -> Iterator[Metric]:
        """The counts, as the package writes them."""
        if self._usual:
            self._add_up()
        what = ["model", "version", "calibration", "signer"]
        served = GaugeMetricFamily("everloop_served_info", "What is served", labels=what)
        served.add_metric(self._served, 1.0)
        yield served
        requests = CounterMetricFamily("everloop_requests", "Answered requests", labels=["protocol", "status"])
        for (protocol, status), count in self._requests.items():
            requests.add_metric([protocol, str(status)], count)
        yield requests
        refused = CounterMetricFamily("everloop_refused", "Refused requests by the code of the error", labels=["code"])
        for code, count in self._refused.items():
            refused.add_metric([code], count)
        yield refused
        limits = [*map(str, _SECONDS), "+Inf"]
        within = list(zip(limits, map(float, accumulate(self._within)), strict=True))
        yield HistogramMetricFamily(
            "everloop_request_seconds", "From the whole request to its answer", buckets=within, sum_value=self._seconds
        )
        for name, (called, about) in _COUNTED.items():
            yield CounterMetricFamily(called, about, value=self._counts[name])
        waits = "Requests that wait or are being answered"
        yield GaugeMetricFamily("everloop_requests_waiting", waits, value=self.waiting())
