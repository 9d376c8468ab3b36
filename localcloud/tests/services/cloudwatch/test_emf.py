"""Metrics embedded in log lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.services.cloudwatch.emf import embedded_metrics
from localcloud.services.cloudwatch.metrics import MetricName


def line(**more: Any) -> str:
    document = {
        "_aws": {
            "Timestamp": 1,
            "CloudWatchMetrics": [
                {
                    "Namespace": "N",
                    "Dimensions": [["model"], ["model", "stage"], ["absent"]],
                    "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}, {"Name": "Count"}, {"Name": "Gone"}],
                }
            ],
        },
        "model": "m",
        "stage": "s",
        "Latency": [1, 2.5],
        "Count": 3,
        **more,
    }
    return json.dumps(document)


def test_each_metric_counts_under_each_dimension_set() -> None:
    found = {(metric.name, metric.values, metric.unit) for metric in embedded_metrics(line())}

    one, two = {"model": "m"}, {"model": "m", "stage": "s"}
    assert found == {
        (MetricName.of("N", "Latency", one), (1.0, 2.5), "Milliseconds"),
        (MetricName.of("N", "Latency", two), (1.0, 2.5), "Milliseconds"),
        (MetricName.of("N", "Count", one), (3.0,), None),
        (MetricName.of("N", "Count", two), (3.0,), None),
    }


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "{}",
        '{"_aws": 1}',
        '{"_aws": {"CloudWatchMetrics": 3}}',
        'says "_aws" {',
        line(Count="3", Latency=True),
        line(Count=10**400, Latency=[1, 10**400]),
        line(Count=float("inf"), Latency=[float("nan")]),
        line(Count=[1] * 101, Latency=[[1]]),
        '{"_aws": ' + "[" * 100_000,
        '{"_aws": {"CloudWatchMetrics": ["x", 1, null, [[]]]}}',
        *(
            json.dumps({"_aws": {"CloudWatchMetrics": [{"Namespace": "N", "Metrics": [{"Name": "m"}], **odd}]}, "m": 1})
            for odd in (
                {"Dimensions": 7},
                {"Dimensions": [7]},
                {"Dimensions": [[["m"]]]},
                {"Dimensions": [["m"] * 31]},
                {"Metrics": 7},
                {"Metrics": [7, {}, {"Name": ["m"]}, {"Name": "m", "Unit": {}}]},
                {"Metrics": [{"Name": "m"}] * 101},
                {"Namespace": ["N"]},
            )
        ),
    ],
)
def test_what_is_not_in_the_format_is_a_log_line_and_no_metric(text: str) -> None:
    assert list(embedded_metrics(text)) == []
