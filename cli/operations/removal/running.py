"""What of a model runs, and how it is stopped: executions, and the jobs that they started."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.names import ModelNames

DELIVERY = timedelta(minutes=20)
"""How long captured rows may take to the lake: the streams keep them for 15 minutes, then deliver them."""

ERROR = "EverloopRemove"
"""The error with which a removal stops executions."""

_STOPS_WITHIN_SECONDS = 60
_GONE = ("StateMachineDoesNotExist", "ExecutionDoesNotExist")


@dataclass(frozen=True)
class Job:
    """A SageMaker job that is in progress: ``training`` or ``processing``."""

    kind: str
    name: str


def running_executions(account: Account, machines: Sequence[str]) -> list[str]:
    """The ARNs of the executions of these state machines that run."""
    client, found = account.client("stepfunctions"), []
    for machine in machines:
        pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
        try:
            found += [execution["executionArn"] for page in pages for execution in page["executions"]]
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
    return found


def stop_executions(account: Account, executions: Sequence[str], *, cause: str) -> None:
    """Stop executions, and wait until they have ended.

    Raises
    ------
    CommandError
        One has not.
    """
    client = account.client("stepfunctions")
    for arn in executions:
        _unless_gone(partial(client.stop_execution, executionArn=arn, error=ERROR, cause=cause[:32768]))
    deadline = time.monotonic() + _STOPS_WITHIN_SECONDS
    for arn in executions:
        look = partial(client.describe_execution, executionArn=arn)
        while (_unless_gone(look) or {}).get("status") == "RUNNING":
            if time.monotonic() > deadline:
                raise CommandError(f"the execution {arn} was stopped and runs still", "type this again in a minute")
            time.sleep(0.2)


def jobs_in_progress(account: Account, model: str, runs: Collection[str]) -> list[Job]:
    """The jobs of these runs of a model that are in progress.

    A job is named after its execution. What names begin with does not tell models apart: hyphens stand for underscores.
    """
    client, names, found = account.client("sagemaker"), ModelNames(model), []
    wanted = {f"{prefix}{run}" for prefix in (names.job_prefix, names.refit_prefix) for run in runs}
    for kind, list_, summaries in (
        ("training", "list_training_jobs", "TrainingJobSummaries"),
        ("processing", "list_processing_jobs", "ProcessingJobSummaries"),
    ):
        pages = client.get_paginator(list_).paginate(StatusEquals="InProgress", NameContains=f"-{names.dashed}-")
        for page in pages:
            told = [summary[f"{kind.title()}JobName"] for summary in page[summaries]]
            found += [Job(kind, name) for name in told if name in wanted]
    return found


def stop_jobs(account: Account, jobs: Sequence[Job]) -> None:
    """Stop jobs; those that have ended, or were stopped with their execution, are passed over."""
    client = account.client("sagemaker")
    for job in jobs:
        stop = client.stop_training_job if job.kind == "training" else client.stop_processing_job
        try:
            stop(**{f"{job.kind.title()}JobName": job.name})
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
                raise


def recent_requests(account: Account, model: str) -> int:
    """How many requests for predictions, and with labels, were answered within :data:`DELIVERY`."""
    now, names = account.now(), ModelNames(model)
    queries = [
        {
            "Id": function,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": "Invocations",
                    "Dimensions": [{"Name": "FunctionName", "Value": names.function(function)}],
                },
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for function in ("predict", "labels")
    ]
    pages = (
        account.client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(MetricDataQueries=queries, StartTime=now - DELIVERY, EndTime=now + timedelta(minutes=1))
    )
    return int(sum(sum(result["Values"]) for page in pages for result in page["MetricDataResults"]))


def dead_letters(account: Account, queues: Sequence[str]) -> int:
    """How many events wait in these queues."""
    client, name = account.client("sqs"), "ApproximateNumberOfMessages"
    answers = [client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"] for url in queues]
    return sum(int(answer[name]) for answer in answers)


def _unless_gone(call: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return None
        raise
