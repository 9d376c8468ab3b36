"""What a server counts, in Prometheus's text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from everloop.serving.exchange import Reply
from everloop.serving.service import Answer

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class ServerMetrics:
    """The counts of one process. Labels are few and known: protocols, statuses and codes, nothing that callers choose.

    Parameters
    ----------
    model, version, calibration
        What is served, for ``everloop_served_info``.
    """

    def __init__(self, model: str, version: int, calibration: str) -> None:
        # One more line for every count, which says when it began: no dashboard reads it.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the package has no types for it
        self._registry = CollectorRegistry()
        served = Gauge(
            "everloop_served_info", "What is served", ["model", "version", "calibration"], registry=self._registry
        )
        served.labels(model, str(version), calibration).set(1)
        self._requests = Counter(
            "everloop_requests", "Answered requests", ["protocol", "status"], registry=self._registry
        )
        self._refused = Counter(
            "everloop_refused", "Refused requests by the code of the error", ["code"], registry=self._registry
        )
        self._seconds = Histogram(
            "everloop_request_seconds",
            "From the whole request to its answer",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._counts = {
            "Predictions": Counter("everloop_predictions", "Predicted rows", registry=self._registry),
            "UnseenCategories": Counter(
                "everloop_unseen_categories", "Values training never saw", registry=self._registry
            ),
            "FallbackAnswers": Counter(
                "everloop_fallback_answers", "Rows that the fallback answered", registry=self._registry
            ),
            "CaptureFallback": Counter(
                "everloop_capture_lost", "Captured rows that were not taken", registry=self._registry
            ),
            "UnusableScores": Counter(
                "everloop_unusable_scores", "Rows the model had no score for", registry=self._registry
            ),
        }
        self.waiting = Gauge(
            "everloop_requests_waiting", "Requests that wait or are being answered", registry=self._registry
        )
        self._by_label: dict[tuple[str, int], Counter] = {}

    def count(self, protocol: str, answer: Answer, seconds: float) -> None:
        """Count an answer."""
        label = protocol, answer.status
        if label not in self._by_label:
            self._by_label[label] = self._requests.labels(protocol, str(answer.status))
        self._by_label[label].inc()
        self._seconds.observe(seconds)
        if answer.cause is not None:
            self._refused.labels(answer.cause).inc()
        for metric in answer.metrics:
            counter = self._counts.get(metric.name)
            if counter is not None:
                counter.inc(metric.value)

    def page(self) -> Reply:
        """The text that a scrape gets."""
        return Reply(generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4)
