"""``everloop cost``: a table for people, a document for machines, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from moto import mock_aws

from everloop.cli.account import Account
from everloop.cli.commands import cost as command
from everloop.cli.operations import costs
from everloop.cli.operations.costs import measured_of
from everloop.cost.prices import PRICES
from tests.fakes.aws import REGION
from tests.helpers.declarations import binary_document, with_endpoint
from tests.helpers.synthesis import write_model

COLUMNS = [{"Name": "prediction_id", "Type": "string"}]
TEMPLATES: dict[str, dict[str, Any]] = {
    "EverloopModel-late-train": {
        "Schedule": ("AWS::Scheduler::Schedule", {"Name": "m", "ScheduleExpression": "cron(0 6 * * ? *)"}),
        "Alarm": ("AWS::CloudWatch::Alarm", {"AlarmName": "a", "Period": 300}),
        "Odd": ("AWS::New::Thing", {}),
        "Predict": ("AWS::Lambda::Function", {"FunctionName": "everloop-late_train-predict", "MemorySize": 1024}),
        **{
            kind: (
                "AWS::Glue::Table",
                {"TableInput": {"Name": f"late_train_{kind}", "StorageDescriptor": {"Columns": COLUMNS}}},
            )
            for kind in ("predictions", "labels")
        },
    },
    "EverloopPlatform": {"Key": ("AWS::KMS::Key", {})},
}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a declared model, whose templates are small."""
    for stack, resources in TEMPLATES.items():
        template = {name: {"Type": kind, "Properties": properties} for name, (kind, properties) in resources.items()}
        (tmp_path / f"{stack}.template.json").write_text(json.dumps({"Resources": template}), encoding="utf-8")
    monkeypatch.setattr(command, "synthesize_project", lambda say, models: tmp_path)
    write_model(tmp_path / "models", binary_document())
    return tmp_path / "models"


def costed(models: Path, *arguments: str) -> Any:
    return CliRunner().invoke(command.cost, ["late_train", *arguments, "--models-directory", str(models)])


def test_people_see_what_is_used_and_what_is_not_in_the_sum(models: Path) -> None:
    found = costed(models, "--predictions", "0")
    assert found.exit_code == 0
    assert "late_train: at least $0." in found.output
    assert "Shared by all models: $1.00 a month" in found.output
    assert "not in the sum: AWS::New::Thing (1): this type is not known here" in found.output
    assert "lambda requests" not in found.output, "nothing was asked"


def test_prices_that_are_old_are_named_with_their_date(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = PRICES["us-east-1"]
    old = {**here, "dynamodb storage": replace(here["dynamodb storage"], read="2024-11")}
    monkeypatch.setattr(costs, "PRICES", {"us-east-1": old})
    found = costed(models, "--predictions", "0")
    (said,) = (line for line in found.output.splitlines() if line.startswith("prices that are old"))
    assert "dynamodb storage (2024-11)" in said
    assert "alarm metrics" not in said, "its price was read in 2026"
    document = json.loads(costed(models, "--predictions", "0", "--json").stdout)
    found_on = {line["counted"]: (line["read"], line["old"]) for line in document["own"]["lines"]}
    assert found_on["dynamodb storage"] == ("2024-11", True)
    assert found_on["alarm metrics"] == ("2026-08", False)


def test_an_endpoints_instances_are_a_part_of_their_own(models: Path) -> None:
    write_model(models.parent / "on_endpoint", with_endpoint(binary_document()))
    found = costed(models.parent / "on_endpoint", "--predictions", "0", "--json")
    (line,) = (line for line in json.loads(found.stdout)["own"]["lines"] if line["part"] == "SageMaker endpoint")
    assert (line["counted"], line["unit"]) == ("ml.m5.large", "hour")
    assert line["source"] == "serving.endpoint.usd_per_hour of the declaration"
    assert line["usd"] == pytest.approx(0.115 * line["quantity"])
    assert 730 <= line["quantity"] < 760


def test_machines_get_every_line_with_its_source(models: Path) -> None:
    found = costed(models, "--predictions", "1000000", "--json")
    document = json.loads(found.stdout)
    lines = {(line["part"], line["counted"]): line for line in document["own"]["lines"]}
    requests = lines["Lambda", "lambda requests"]
    assert (requests["quantity"], requests["usd"]) == (1.0, 0.2)
    assert requests["source"].startswith("https://")
    assert document["usd_per_month"] == pytest.approx(
        document["own"]["usd_per_month"] + document["platform"]["usd_per_month"]
    )
    assert sum(document["usd_by_part"].values()) == pytest.approx(document["own"]["usd_per_month"])
    assert document["own"]["resources"]["AWS::Glue::Table"] == 2
    assert document["platform"]["resources"] == {"AWS::KMS::Key": 1}
    assert document["assumed"]["predict"]["value"] == 0.03


def test_a_thousand_models_cost_a_thousand_times_as_much_and_one_platform(models: Path) -> None:
    one, many = (
        json.loads(costed(models, "--predictions", "0", "--json", "--models", n).stdout) for n in ("1", "1000")
    )
    assert many["own"]["usd_per_month"] == pytest.approx(1000 * one["own"]["usd_per_month"])
    assert many["platform"]["usd_per_month"] == one["platform"]["usd_per_month"]


def test_a_region_without_prices_is_refused_with_those_that_have_some(models: Path) -> None:
    found = costed(models, "--predictions", "0", "--region", "eu-north-1")
    assert "no prices of region eu-north-1" in str(found.exception)
    assert "us-east-1" in str(found.exception)


@pytest.mark.parametrize("arguments", [["--predictions", "-1"], ["--predictions", "1", "--labelled", "2"], []])
def test_what_can_not_be_is_a_wrong_command_line(models: Path, arguments: list[str]) -> None:
    assert costed(models, *arguments).exit_code == 2


def test_durations_are_the_means_that_the_account_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", REGION)
    now = datetime(2026, 11, 27, tzinfo=UTC)
    with mock_aws():
        account = Account()
        for milliseconds in (20.0, 40.0):
            account.client("cloudwatch").put_metric_data(
                Namespace="AWS/Lambda",
                MetricData=[
                    {
                        "MetricName": "Duration",
                        "Dimensions": [{"Name": "FunctionName", "Value": "everloop-late_train-predict"}],
                        "Timestamp": now - timedelta(days=1),
                        "Value": milliseconds,
                    }
                ],
            )
        measured = measured_of(account, "late_train", now)
    assert measured.seconds == {"predict": pytest.approx(0.03)}
    assert measured.job_seconds is None
