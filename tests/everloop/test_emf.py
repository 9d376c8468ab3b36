from __future__ import annotations

import json
import math

import pytest

from everloop.emf import EmfLines, MetricValue, emf_line


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
    lines = EmfLines(
        {"model": "m", "cause": "c"},
        ["request_id"],
        dimension_sets=[["model"]],
        apart=[([MetricValue("ClientErrors", 1)], [["model", "cause"]])],
    )
    line = lines.line([MetricValue("Predictions", 3)], ["r"], 1)
    document = json.loads(line)
    first, second = document["_aws"]["CloudWatchMetrics"]
    assert (first["Dimensions"], second["Dimensions"]) == ([["model"]], [["model", "cause"]])
    assert [m["Name"] for m in second["Metrics"]] == ["ClientErrors"]
    assert (document["Predictions"], document["ClientErrors"], document["cause"]) == (3, 1, "c")
    assert document["request_id"] == "r"


def test_lines_of_one_kind_have_their_own_values() -> None:
    lines = EmfLines({"100%": "50%"}, ["id"], dimension_sets=[["100%"]])
    latency = MetricValue("Latency", 0.25, "Milliseconds")
    for metrics, values in (([latency], ["r1"]), ([latency._replace(value=2)], ['"%s"']), ([latency, latency], ["r3"])):
        written = lines.line([metric._replace(name=f"m{i}%") for i, metric in enumerate(metrics)], values, 7)
        document = json.loads(written)
        assert document["id"] == values[0]
        assert [document[f"m{i}%"] for i in range(len(metrics))] == [metric.value for metric in metrics]
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert (directive["Dimensions"], len(directive["Metrics"])) == ([["100%"]], len(metrics))
        assert document["100%"] == "50%"


def test_names_and_values_may_hold_whatever_text_has() -> None:
    line = emf_line(
        [MetricValue("100%", 3, "Percent"), MetricValue("%s", True)],
        dimensions={"%d": '50% "off" é\n%s'},
        dimension_sets=[["%d"]],
        epoch_ms=1,
    )
    document = json.loads(line)
    assert (document["100%"], document["%s"], document["%d"]) == (3, 1, '50% "off" é\n%s')
    assert document["_aws"]["CloudWatchMetrics"][0]["Metrics"][0] == {"Name": "100%", "Unit": "Percent"}
    assert document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["%d"]]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_in_json_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="the metric Predictions is"):
        emf_line([MetricValue("Predictions", value)], dimensions={}, dimension_sets=[[]], epoch_ms=1)
