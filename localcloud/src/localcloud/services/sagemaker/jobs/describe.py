"""What DescribeTrainingJob and DescribeProcessingJob show of a job."""

from __future__ import annotations

from typing import Any

from localcloud.services.sagemaker.jobs.processing import ProcessingJob
from localcloud.services.sagemaker.jobs.training import TrainingJob

_TRAINING_FIELDS = (
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "ExperimentConfig",
    "Environment",
    "RetryStrategy",
)
_PROCESSING_FIELDS = (
    "ProcessingInputs",
    "ProcessingOutputConfig",
    "ProcessingResources",
    "StoppingCondition",
    "AppSpecification",
    "Environment",
    "NetworkConfig",
    "RoleArn",
    "ExperimentConfig",
)


def describe_training_job(job: TrainingJob) -> dict[str, Any]:
    """The members of DescribeTrainingJob's answer that have a value."""
    shown = {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.phase,
        "FailureReason": job.failure_reason,
        "CreationTime": job.created_at,
        "TrainingStartTime": job.started_at,
        "TrainingEndTime": job.ended_at,
        "LastModifiedTime": job.changed_at,
        "SecondaryStatusTransitions": job.transitions,
        "ModelArtifacts": {"S3ModelArtifacts": job.artifact_uri},
        **{field: job.request.get(field) for field in _TRAINING_FIELDS},
    }
    if job.ended_at is not None:
        # Real seconds: a moved clock stands still while a job runs.
        shown["TrainingTimeInSeconds"], shown["BillableTimeInSeconds"] = job.real_seconds, job.billable_seconds
    return {name: value for name, value in shown.items() if value is not None}


def describe_processing_job(job: ProcessingJob) -> dict[str, Any]:
    """The members of DescribeProcessingJob's answer that have a value."""
    exceeded = job.phase == "MaxRuntimeExceeded"
    shown = {
        "ProcessingJobName": job.name,
        "ProcessingJobArn": job.arn,
        "ProcessingJobStatus": job.status,
        "FailureReason": job.failure_reason,
        "ExitMessage": "MaxRuntimeInSeconds exceeded" if exceeded else job.exit_message,
        "CreationTime": job.created_at,
        "ProcessingStartTime": job.started_at,
        "ProcessingEndTime": job.ended_at,
        "LastModifiedTime": job.changed_at,
        **{field: job.request.get(field) for field in _PROCESSING_FIELDS},
    }
    return {name: value for name, value in shown.items() if value is not None}
