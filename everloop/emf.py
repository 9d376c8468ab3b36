"""Metrics as log lines, in CloudWatch's embedded metric format.

The instant comes from the caller, so that a replayed event counts where it happened, whatever a clock says.

References
----------
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import NamedTuple

from everloop.names import METRIC_NAMESPACE


class MetricValue(NamedTuple):
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
    described = tuple([(tuple([(m.name, m.unit) for m in group]), tuple(map(tuple, sets))) for group, sets in groups])
    said = [f"{quoted(name)}:{quoted(value)}" for name, value in dimensions.items()]
    said += [f"{quoted(m.name)}:{_number(m)}" for group, _ in groups for m in group]
    directives = _directives(namespace, described)
    return f'{{"_aws":{{"Timestamp":{epoch_ms},"CloudWatchMetrics":{directives}}},{",".join(said)}}}'


def _number(metric: MetricValue) -> str:
    value = metric.value
    if not math.isfinite(value):
        raise ValueError(f"the metric {metric.name} is {value}, which is no number in JSON")
    return float.__repr__(value) if isinstance(value, float) else int.__repr__(int(value))


_Described = tuple[tuple[tuple[tuple[str, str], ...], tuple[tuple[str, ...], ...]], ...]
"""Groups of metrics, each with its sets of dimensions; a metric is a name and a unit."""


@lru_cache(maxsize=64)
def _directives(namespace: str, groups: _Described) -> str:
    """What a line says of its metrics: the same for every request of a kind."""
    directives = [
        {
            "Namespace": namespace,
            "Dimensions": sets,
            "Metrics": [{"Name": name, "Unit": unit} for name, unit in metrics],
        }
        for metrics, sets in groups
    ]
    return json.dumps(directives, separators=(",", ":"))
