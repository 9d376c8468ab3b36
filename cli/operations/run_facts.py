"""What a run was made of, and what it took: gathered from the registry, its version's files, and its jobs.

The registry and the version's files are the record. What SageMaker and Step Functions know of a run (its jobs, their
cost, the pipeline's definition) is asked of them, so it is there of a run that failed as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.job_logs import RunJob, jobs_of
from everloop.cli.operations.training import execution_arn
from everloop.json_text import read_json
from everloop.limits import LARGEST_DOCUMENT_BYTES
from everloop.manifest import SIBLING, TRAINING
from everloop.names import TRAINING_JOB_LOGS
from everloop.objects import read_object
from everloop.registry.records import Run, Version
from everloop.typed_json import JsonObject

_NOT_THERE = ("ValidationException", "ResourceNotFound", "ResourceNotFoundException", "ExecutionDoesNotExist")


@dataclass(frozen=True)
class JobFacts:
    """A SageMaker job of a run, as SageMaker describes it.

    Attributes
    ----------
    seconds : float or None
        That SageMaker bills; of a processing job from its start to its end. None while it runs.
    usd : float or None
        At the list price of us-east-1; None where that of the instance is not known here.
    spot_saved_usd : float or None
        What spare capacity saved: the price of the seconds that a training took and SageMaker does not bill. None of a
        job that asked for none.
    """

    purpose: str
    name: str
    status: str
    image: str
    instance_type: str
    seconds: float | None
    usd: float | None
    spot_saved_usd: float | None
    failure: str | None


@dataclass(frozen=True)
class RunFacts:
    """All that is known of a run.

    Attributes
    ----------
    started_by : str or None
        The ARN of whoever started it, as STS knew them; None where the loop did by itself, and of earlier releases.
    definition_sha256 : str or None
        Of the state machine's definition that it was executed by; None where Step Functions has forgotten it.
    training : dict or None
        ``training.json`` of the evaluated model; None where no version came of the run.
    """

    run: Run
    started_by: str | None
    definition_sha256: str | None
    version: Version | None
    training: JsonObject | None
    jobs: tuple[JobFacts, ...]

    @property
    def seconds(self) -> float | None:
        """From its opening to its end."""
        ended = self.run.ended_at
        return None if ended is None else (ended - self.run.started_at).total_seconds()

    @property
    def usd(self) -> float | None:
        """What its jobs cost; None where the cost of one is not known."""
        costs = [job.usd for job in self.jobs]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if costs and len(known) == len(costs) else None

    def to_json(self) -> JsonObject:
        """As JSON values."""
        return {
            "run": self.run.to_json(),
            "started_by": self.started_by,
            "definition_sha256": self.definition_sha256,
            "seconds": self.seconds,
            "usd": self.usd,
            "metrics": {} if self.version is None else dict(self.version.metrics),
            "code_sha256": None if self.version is None else self.version.code_sha256,
            "training": self.training,
            "jobs": [vars(job) for job in self.jobs],
        }


def facts_of(account: Account, model: str, run_id: str) -> RunFacts:
    """What is known of a run.

    Raises
    ------
    UnknownRunError
        When the registry has no such run.
    CommandError
        When a file of its version is gone, or is not what was registered.
    """
    store = account.registry(model)
    run = store.runs.get(run_id)
    version = None if run.version is None or run.kind == "rollout" else store.versions.get(run.version)
    if version is not None and version.run_id != run_id:  # it brought an older version back, and made none
        version = None
    return RunFacts(
        run=run,
        started_by=run.trigger.get("started_by"),
        definition_sha256=_definition_sha256(account, model, run_id),
        version=version,
        training=None if version is None else training_of(account, version),
        jobs=tuple(_jobs(account, model, run_id)),
    )


def training_of(account: Account, version: Version) -> JsonObject:
    """``training.json`` of a version's evaluated model.

    Raises
    ------
    CommandError
        When it is gone, or is not what was registered.
    """
    name = f"{SIBLING}{TRAINING}" if version.serves_refit else TRAINING
    content = registered_file(account, version, name)
    document = read_json(content)
    if not isinstance(document, dict):
        raise CommandError(f"{version.artifact_prefix}{name} is no JSON object", "restore its registered version")
    return document


def registered_file(account: Account, version: Version, name: str) -> bytes:
    """A file of a version, held against the registry.

    Raises
    ------
    CommandError
        When it is gone, or is not what was registered.
    """
    key, bucket = f"{version.artifact_prefix}{name}", account.platform.artifact_bucket
    remedy = f"restore the object's registered version; `everloop audit verify {version.model}` names all that differs"
    try:
        content = read_object(account.client("s3"), bucket, key, LARGEST_DOCUMENT_BYTES)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            raise CommandError(f"s3://{bucket}/{key} is missing", remedy) from error
        raise
    registered, found = version.files.get(name), hashlib.sha256(content).hexdigest()
    if registered is None or found != registered["sha256"]:
        raise CommandError(f"s3://{bucket}/{key} has sha256 {found}, which is not what was registered", remedy)
    return content


def describe(account: Account, job: RunJob) -> dict[str, Any] | None:
    """What SageMaker says of a job; None where it never began."""
    client = account.client("sagemaker")
    try:
        if job.group == TRAINING_JOB_LOGS:
            described: dict[str, Any] = client.describe_training_job(TrainingJobName=job.name)
        else:
            described = client.describe_processing_job(ProcessingJobName=job.name)
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_THERE:
            return None
        raise
    return described


def _jobs(account: Account, model: str, run_id: str) -> Iterator[JobFacts]:
    for job in jobs_of(model, run_id):
        described = describe(account, job)
        if described is not None:
            yield job_facts(job, described)


def job_facts(job: RunJob, described: Mapping[str, Any]) -> JobFacts:
    """The facts in SageMaker's description of a job."""
    from everloop.model_file.prices import USD_PER_HOUR

    if job.group == TRAINING_JOB_LOGS:
        cluster, seconds = described["ResourceConfig"], described.get("BillableTimeInSeconds")
        image, status = described["AlgorithmSpecification"]["TrainingImage"], described["TrainingJobStatus"]
    else:
        cluster, image = described["ProcessingResources"]["ClusterConfig"], described["AppSpecification"]["ImageUri"]
        status, seconds = described["ProcessingJobStatus"], _between(described)
    price, usd = USD_PER_HOUR.get(cluster["InstanceType"]), None
    if price is not None and seconds is not None:
        usd = float(seconds) * price * cluster["InstanceCount"] / 3600
    return JobFacts(
        purpose=job.purpose,
        name=job.name,
        status=status,
        image=image,
        instance_type=cluster["InstanceType"],
        seconds=None if seconds is None else float(seconds),
        usd=usd,
        spot_saved_usd=_saved(described, price),
        failure=described.get("FailureReason"),
    )


def _saved(described: Mapping[str, Any], price: float | None) -> float | None:
    took, billed = described.get("TrainingTimeInSeconds"), described.get("BillableTimeInSeconds")
    if not described.get("EnableManagedSpotTraining") or price is None or took is None or billed is None:
        return None
    return float(took - billed) * price * int(described["ResourceConfig"]["InstanceCount"]) / 3600


def _between(described: Mapping[str, Any]) -> float | None:
    began, ended = described.get("ProcessingStartTime"), described.get("ProcessingEndTime")
    if not isinstance(began, datetime) or not isinstance(ended, datetime):
        return None
    return (ended - began).total_seconds()


def _definition_sha256(account: Account, model: str, run_id: str) -> str | None:
    client = account.client("stepfunctions")
    try:
        told = client.describe_state_machine_for_execution(executionArn=execution_arn(account, model, run_id))
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_THERE:
            return None
        raise
    return hashlib.sha256(told["definition"].encode()).hexdigest()
