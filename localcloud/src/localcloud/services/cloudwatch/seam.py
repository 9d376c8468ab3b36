"""What other services may use: metrics that other services put, and those that are embedded in log lines."""

from __future__ import annotations

from localcloud.services.cloudwatch.emf import embedded_metrics
from localcloud.services.cloudwatch.hook import metric_store
from localcloud.services.cloudwatch.metrics import MetricName, MetricStore

__all__ = ["MetricName", "MetricStore", "embedded_metrics", "metric_store"]
