"""What a model costs: from the synthesized templates, and what the account has measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cost.parts import Model
from everloop.cost.prices import PRICES, Price
from everloop.cost.report import Cost, cost_of_model, cost_of_platform
from everloop.cost.templates import Resource, resources_of
from everloop.cost.work import SECONDS, Measured, Traffic, work_of
from everloop.model_file.prices import PRICES_REGION, USD_PER_HOUR
from everloop.model_file.schedule import ScheduleError
from everloop.model_file.schema import ModelDeclaration
from everloop.names import DRILL_SCHEDULE, PLATFORM_STACK, RECONCILE_SCHEDULE, ModelNames

MEASURED_DAYS = 30


@dataclass(frozen=True)
class Costs:
    """What a model costs, what all models share, and the resources of each."""

    model: Cost
    shared: Cost
    own: tuple[Resource, ...]
    platform: tuple[Resource, ...]


def prices_of(region: str) -> dict[str, Price]:
    """The prices in a region.

    Raises
    ------
    CommandError
        There are none here.
    """
    if region not in PRICES:
        raise CommandError(
            f"no prices of region {region} are known here (known: {', '.join(PRICES)})",
            f"leave --region out for those of {', '.join(PRICES)}; most regions are within a third of them",
        )
    return dict(PRICES[region])


def costs_of(
    declaration: ModelDeclaration,
    assembly: Path,
    traffic: Traffic,
    *,
    region: str,
    models: int = 1,
    measured: Measured | None = None,
) -> Costs:
    """What the stacks of an assembly cost a month.

    Raises
    ------
    CommandError
        There are no prices of the region, or the schedule has no fixed number of runs a month.
    """
    prices = prices_of(region)
    mine = _resources(assembly, ModelNames(declaration.model).stack)
    platform = _resources(assembly, PLATFORM_STACK)
    others = [ModelNames(declaration.model).function(name) for name in (RECONCILE_SCHEDULE, DRILL_SCHEDULE)]
    schedules = (one.properties for one in mine if one.type == "AWS::Scheduler::Schedule")
    (schedule,) = (one["ScheduleExpression"] for one in schedules if one["Name"] not in others)
    try:
        work = work_of(declaration, schedule, traffic)
    except ScheduleError as error:
        raise CommandError(
            f"monitoring.schedule {schedule}: its runs can't be counted; {error}",
            "declare days by number or name, or rate(…)",
        ) from error

    def instance_usd(instance_type: str) -> float | None:
        declared = declaration.cost.instance_usd_per_hour
        if declared is not None and instance_type == declaration.training.instance_type:
            return declared
        return USD_PER_HOUR.get(instance_type) if region == PRICES_REGION else None

    model = Model(declaration.model, mine, work, measured or Measured(), instance_usd)
    return Costs(cost_of_model(model, prices, models=models), cost_of_platform(platform, prices), mine, platform)


def _resources(assembly: Path, stack: str) -> tuple[Resource, ...]:
    template = json.loads((assembly / f"{stack}.template.json").read_text(encoding="utf-8"))
    return tuple(resources_of(stack, template))


def measured_of(account: Account, model: str, now: datetime) -> Measured:
    """What the deployed model's functions and jobs took in the last 30 days.

    A function that nobody invoked is not in it.
    """
    begin = now - timedelta(days=MEASURED_DAYS)
    names = ModelNames(model)
    seconds = {name: mean for name in SECONDS for mean in _mean_seconds(account, names.function(name), begin, now)}
    billed = [*_billed_training(account, names, begin), *_billed_processing(account, names, begin)]
    return Measured(seconds, sum(billed) / len(billed) if billed else None)


def _mean_seconds(account: Account, function: str, begin: datetime, end: datetime) -> Iterator[float]:
    points = account.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Duration",
        Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=begin,
        EndTime=end,
        Period=86_400,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    times = sum(point["SampleCount"] for point in points)
    if times:
        yield sum(point["Sum"] for point in points) / times / 1000


def _billed_training(account: Account, names: ModelNames, begin: datetime) -> Iterator[float]:
    client = account.client("sagemaker")
    for job in _jobs(client, "list_training_jobs", "TrainingJobSummaries", names, begin):
        described = client.describe_training_job(TrainingJobName=job["TrainingJobName"])
        if "BillableTimeInSeconds" in described:
            yield described["BillableTimeInSeconds"]


def _billed_processing(account: Account, names: ModelNames, begin: datetime) -> Iterator[float]:
    client = account.client("sagemaker")
    for job in _jobs(client, "list_processing_jobs", "ProcessingJobSummaries", names, begin):
        described = client.describe_processing_job(ProcessingJobName=job["ProcessingJobName"])
        if "ProcessingStartTime" in described and "ProcessingEndTime" in described:
            yield (described["ProcessingEndTime"] - described["ProcessingStartTime"]).total_seconds()


def _jobs(client: Any, action: str, key: str, names: ModelNames, begin: datetime) -> Iterator[dict[str, Any]]:
    """The jobs of a model's runs, of refits too."""
    for page in client.get_paginator(action).paginate(NameContains=names.dashed, CreationTimeAfter=begin):
        for job in page[key]:
            name = job.get("TrainingJobName") or job["ProcessingJobName"]
            if name.startswith((names.job_prefix, names.refit_prefix)):
                yield job
