from __future__ import annotations

import json

from everloop.emf import MetricValue, emf_line


def test_a_line_declares_every_metric_and_carries_its_value_and_instant() -> None:
    line = emf_line(
        [MetricValue("Predictions", 3), MetricValue("PredictionLatency", 1.5, "Milliseconds")],
        dimensions={"model": "m", "lambda_version": "4"},
        dimension_sets=[["model"], ["model", "lambda_version"]],
        epoch_ms=1362114000000,
    )
    document = json.loads(line)
    (directive,) = document["_aws"]["CloudWatchMetrics"]
    assert "\n" not in line
    assert document["_aws"]["Timestamp"] == 1362114000000
    assert directive["Namespace"] == "Everloop"
    assert directive["Dimensions"] == [["model"], ["model", "lambda_version"]]
    for metric, unit in (("Predictions", "Count"), ("PredictionLatency", "Milliseconds")):
        assert {"Name": metric, "Unit": unit} in directive["Metrics"]
    assert (document["Predictions"], document["PredictionLatency"], document["lambda_version"]) == (3, 1.5, "4")


def test_metrics_apart_have_dimensions_of_their_own() -> None:
    line = emf_line(
        [MetricValue("Predictions", 3)],
        dimensions={"model": "m", "cause": "c"},
        dimension_sets=[["model"]],
        epoch_ms=1,
        apart=[([MetricValue("ClientErrors", 1)], [["model", "cause"]])],
    )
    document = json.loads(line)
    first, second = document["_aws"]["CloudWatchMetrics"]
    assert (first["Dimensions"], second["Dimensions"]) == ([["model"]], [["model", "cause"]])
    assert [m["Name"] for m in second["Metrics"]] == ["ClientErrors"]
    assert (document["Predictions"], document["ClientErrors"], document["cause"]) == (3, 1, "c")
