"""Metrics as log lines, in CloudWatch's embedded metric format.

The instant comes from the caller, so that a replayed event counts where it happened, whatever a clock says.

References
----------
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from everloop.names import METRIC_NAMESPACE


@dataclass(frozen=True)
class MetricValue:
    """One value of one metric; ``unit`` is CloudWatch's name of it, e.g. ``Count`` or ``Milliseconds``."""

    name: str
    value: float
    unit: str = "Count"


def emf_line(
    metrics: Sequence[MetricValue],
    *,
    dimensions: Mapping[str, str],
    dimension_sets: Sequence[Sequence[str]],
    epoch_ms: int,
    namespace: str = METRIC_NAMESPACE,
    apart: Sequence[tuple[Sequence[MetricValue], Sequence[Sequence[str]]]] = (),
) -> str:
    """The log line that CloudWatch turns into metrics.

    Parameters
    ----------
    metrics : sequence of MetricValue
        At most 100, each name once.
    dimensions : mapping
        Value of each dimension.
    dimension_sets : sequence of sequence of str
        The combinations of dimensions under which each metric is counted.
    epoch_ms : int
        When it was measured, in milliseconds since 1970.
    apart : sequence of pairs
        Further metrics, each group with dimension sets of its own.
    """
    groups = [(metrics, dimension_sets), *apart]
    document: dict[str, object] = {
        "_aws": {
            "Timestamp": epoch_ms,
            "CloudWatchMetrics": [
                {
                    "Namespace": namespace,
                    "Dimensions": [list(names) for names in sets],
                    "Metrics": [{"Name": m.name, "Unit": m.unit} for m in group],
                }
                for group, sets in groups
            ],
        },
        **dimensions,
        **{m.name: m.value for group, _ in groups for m in group},
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False)
