"""SageMaker: training and processing jobs that run.

What the local cloud can not run is refused when the job is created: images other than the scikit-learn framework's,
more than one instance, pipe mode, manifests. Environments are this interpreter's, which stands for the image; jobs are
not isolated from the network. Transform, tuning and AutoML jobs are refused.

Replaces: records that say Completed.
Why: a job is there for what it writes.
Obsolete: once moto runs jobs, which it has no reason to.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.events.models import events_backends
from moto.sagemaker.models import SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse

from localcloud.core.account import instances_quota
from localcloud.core.botocore_values import as_json, epoch_milliseconds
from localcloud.core.context import CloudContext
from localcloud.core.patching import add, replace, wrap
from localcloud.core.preloaded.kept_bytecode import bytecode_folder
from localcloud.core.preloaded.preloading import Preloading
from localcloud.iam.identities import UnknownRoleError
from localcloud.iam.roles import RoleNotAssumableError, check_trust
from localcloud.services.sagemaker.jobs.describe import describe_processing_job, describe_training_job
from localcloud.services.sagemaker.jobs.exceptions import RequestRefusedError
from localcloud.services.sagemaker.jobs.job import Job
from localcloud.services.sagemaker.jobs.preload import preloading
from localcloud.services.sagemaker.jobs.process import resident_megabytes
from localcloud.services.sagemaker.jobs.processing import ProcessingJob
from localcloud.services.sagemaker.jobs.requests import check_processing_request, check_training_request
from localcloud.services.sagemaker.jobs.spot import is_spot, spot_interruptions
from localcloud.services.sagemaker.jobs.training import TrainingJob

MEMORY_SOURCES = {"jobs": lambda: resident_megabytes(_preloading[-1].session() if _preloading else None)}
"""Resident memory of the running jobs, and of what they start from, for the memory report."""

_REFUSED = (
    "create_auto_ml_job_v2",
    "create_cluster",
    "create_compilation_job",
    "create_data_quality_job_definition",
    "create_hyper_parameter_tuning_job",
    "create_model_bias_job_definition",
    "create_model_explainability_job_definition",
    "create_model_quality_job_definition",
    "create_notebook_instance",
    "create_transform_job",
    "start_pipeline_execution",
)
"""What moto would record, and nothing would run."""

_preloading: list[Preloading] = []
"""What the jobs of the installed cloud start from."""

_jobs: dict[int, Job] = {}
"""Jobs by the identity of moto's record of them, so that a reset forgets both."""


class SageMakerError(ServiceException):
    """An error answer of SageMaker."""


def close() -> None:
    """Stop the jobs that run, and what they were started from."""
    for job in list(_jobs.values()):
        job.stop()
    while _preloading:
        _preloading.pop().close()


def install(context: CloudContext) -> None:
    """Run jobs."""
    creating = threading.Lock()
    _jobs.clear()
    kept = bytecode_folder(context.cache_directory)
    _preloading.append(preload := preloading(context.settings, compiled=kept, standing=context.standing))
    spot_interruptions(context.settings)  # refused here, where it stands, and not when a job meets it

    def end_training(record: Any, job: TrainingJob) -> None:
        _follow(record, job, "training")
        _announce(context, job, describe_training_job(job))

    def end_processing(record: Any, job: ProcessingJob) -> None:
        _follow(record, job, "processing")
        _announce(context, job, describe_processing_job(job))

    def create_training(original: Any) -> Any:
        def create_training_job(self: SageMakerResponse) -> ActionResult:
            request = _request(self)
            _check(context, request, check_training_request, f"training-job/{request.get('TrainingJobName')}")
            with creating:
                _refuse_used_name(self.sagemaker_backend.training_jobs, "training", request["TrainingJobName"])
                named = "spot training" if is_spot(request) else "training"
                _refuse_beyond_quota(context, TrainingJob, named, request)
                answer: ActionResult = original(self)
                record = self.sagemaker_backend.training_jobs[request["TrainingJobName"]]
                job = TrainingJob(context, request, record.arn, preload)
                _follow(record, job, "training")
            _announce(context, job, describe_training_job(job))
            job.start(lambda ended: end_training(record, job))
            return answer

        return create_training_job

    def create_processing(original: Any) -> Any:
        def create_processing_job(self: SageMakerResponse) -> ActionResult:
            request = _request(self)
            _check(context, request, check_processing_request, f"processing-job/{request.get('ProcessingJobName')}")
            with creating:
                _refuse_used_name(self.sagemaker_backend.processing_jobs, "processing", request["ProcessingJobName"])
                _refuse_beyond_quota(context, ProcessingJob, "processing", request)
                answer: ActionResult = original(self)
                record = self.sagemaker_backend.processing_jobs[request["ProcessingJobName"]]
                job = ProcessingJob(context, request, record.arn, preload)
                _follow(record, job, "processing")
            _announce(context, job, describe_processing_job(job))
            job.start(lambda ended: end_processing(record, job))
            return answer

        return create_processing_job

    wrap(SageMakerResponse, "create_training_job", create_training)
    wrap(SageMakerResponse, "create_processing_job", create_processing)
    replace(SageMakerResponse, "describe_training_job", _describe_training)
    replace(SageMakerResponse, "describe_processing_job", _describe_processing)
    replace(SageMakerResponse, "stop_processing_job", _stop_processing)
    # moto has no StopTrainingJob.
    add(SageMakerResponse, "stop_training_job", _stop_training)
    for name in _REFUSED:
        if hasattr(SageMakerResponse, name):
            replace(SageMakerResponse, name, _refuse)


def _request(response: SageMakerResponse) -> dict[str, Any]:
    params = response.params
    return params.original_dict() if hasattr(params, "original_dict") else dict(params)


def _check(context: CloudContext, request: dict[str, Any], check: Any, job: str) -> None:
    try:
        check(request)
        source = f"arn:aws:sagemaker:{context.region}:{context.account_id}:{job}"
        check_trust(context, request["RoleArn"], "sagemaker.amazonaws.com", source)
    except RequestRefusedError as refused:
        raise SageMakerError("ValidationException", str(refused)) from refused
    except (UnknownRoleError, RoleNotAssumableError) as error:
        raise SageMakerError(
            "ValidationException",
            f"Could not assume role {request['RoleArn']}. Please ensure that the role exists and allows principal "
            f"'sagemaker.amazonaws.com' to assume the role. ({error})",
        ) from error


def _refuse_used_name(jobs: dict[str, Any], kind: str, name: str) -> None:
    if name in jobs:
        raise SageMakerError(
            "ResourceInUse",
            f"{kind.capitalize()} job names must be unique within an AWS account and region, and a {kind} job with "
            f"this name already exists ({jobs[name].arn})",
        )


def _refuse_beyond_quota(context: CloudContext, kind: type[Job], named: str, request: dict[str, Any]) -> None:
    """As SageMaker refuses an instance that the account has not, or has in use."""
    instance = _instance_type(request)
    name = instances_quota(instance, named)
    of_account = context.account.sagemaker_instances
    quota = int(context.increases.value("sagemaker", name, of_account, context.clock.now()))
    running = sum(
        type(job) is kind
        and job.ended_at is None
        and _instance_type(job.request) == instance
        and is_spot(job.request) == is_spot(request)
        for job in _jobs.values()
    )
    if running >= quota:
        raise SageMakerError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{name}' is {quota} Instances, with current "
            f"utilization of {running} Instances and a request delta of 1 Instances. Please use AWS Service Quotas to "
            "request an increase for this quota.",
        )


def _instance_type(request: dict[str, Any]) -> str:
    cluster = request.get("ResourceConfig") or request["ProcessingResources"]["ClusterConfig"]
    return str(cluster["InstanceType"])


def _follow(record: Any, job: Job, prefix: str) -> None:
    """Keep moto's record, which the list operations show, in step with the job."""
    _jobs[id(record)] = job
    setattr(record, f"{prefix}_job_status", job.status)
    setattr(record, f"{prefix}_end_time", job.ended_at)
    record.last_modified_time = job.changed_at
    record.job = job


def _announce(context: CloudContext, job: Job, description: dict[str, Any]) -> None:
    """Put the job's state change on the default bus, as the service itself."""
    kind = {"TrainingJob": "Training Job", "ProcessingJob": "Processing Job"}[job.kind]
    event = {
        "Source": "aws.sagemaker",
        "DetailType": f"SageMaker {kind} State Change",
        "Detail": json.dumps(as_json(description, epoch_milliseconds)),
        "Resources": [job.arn],
    }
    events_backends[context.account_id][context.region].put_events([event])


def _refuse(self: SageMakerResponse) -> ActionResult:
    raise SageMakerError(
        "ValidationException",
        f"{self._get_action()}: the local cloud runs training jobs, processing jobs and endpoints only",
    )


def _training_job(self: SageMakerResponse) -> TrainingJob:
    backend: SageMakerModelBackend = self.sagemaker_backend
    name = self._get_param("TrainingJobName")
    if name not in backend.training_jobs:
        raise SageMakerError("ValidationException", "Requested resource not found.")
    job: TrainingJob = vars(backend.training_jobs[name])["job"]
    return job


def _processing_job(self: SageMakerResponse) -> ProcessingJob:
    backend: SageMakerModelBackend = self.sagemaker_backend
    name = self._get_param("ProcessingJobName")
    if name not in backend.processing_jobs:
        raise SageMakerError("ValidationException", f"Could not find processing job {name!r}")
    job: ProcessingJob = vars(backend.processing_jobs[name])["job"]
    return job


def _describe_training(self: SageMakerResponse) -> ActionResult:
    return ActionResult(describe_training_job(_training_job(self)))


def _describe_processing(self: SageMakerResponse) -> ActionResult:
    return ActionResult(describe_processing_job(_processing_job(self)))


def _stop_training(self: SageMakerResponse) -> EmptyResult:
    _stop(_training_job(self))
    return EmptyResult()


def _stop_processing(self: SageMakerResponse) -> EmptyResult:
    _stop(_processing_job(self))
    return EmptyResult()


def _stop(job: Job) -> None:
    if job.ended_at is not None:
        raise SageMakerError(
            "ValidationException",
            f"The request was rejected because the job {job.name} is in status {job.status}.",
        )
    job.stop()
