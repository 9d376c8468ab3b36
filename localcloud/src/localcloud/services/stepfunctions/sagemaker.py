"""The SageMaker integration of state machines: training and processing jobs, with ``.sync``.

As the service does, ``.sync`` describes the job with the machine's role, fails the task with ``States.TaskFailed`` and
the job's description as cause, and stops the job when the execution is stopped.

Replaces: the refusal of the integration.
Why: machines that train are what SageMaker jobs are mostly started by.
Obsolete: once moto's interpreter has the integration, with ``.sync``.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from localcloud.core.botocore_values import as_json, epoch_milliseconds
from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap_in_holders
from localcloud.services.sagemaker.seam import JOBS

_JOBS = {"create_training_job": "TrainingJob", "create_processing_job": "ProcessingJob"}
_LOOK_AGAIN_SECONDS = 0.5
"""How often a stopped execution is noticed while a job runs; the job's end wakes the task at once."""


def attach(_context: CloudContext) -> None:
    """Make the interpreter's factory know SageMaker."""

    def know_sagemaker(original: Any) -> Any:
        def state_task_service_for(service_name: str) -> Any:
            return SageMakerTask() if service_name == "sagemaker" else original(service_name)

        return state_task_service_for

    wrap_in_holders("moto.stepfunctions.parser", "state_task_service_for", know_sagemaker)


class SageMakerTask(StateTaskServiceCallback):
    """A task ``arn:aws:states:::sagemaker:create…Job``, with or without ``.sync``."""

    def __init__(self) -> None:
        super().__init__(supported_integration_patterns={ResourceCondition(ResourceCondition.Sync)})

    def _get_supported_parameters(self) -> set[str] | None:
        return None

    def _validate_service_integration_is_supported(self) -> None:
        if self._get_boto_service_action() not in _JOBS:
            raise ValueError(f"{self.resource.resource_arn}: the local cloud runs training and processing jobs only")

    def _client(self, region: str, state_credentials: Any) -> Any:
        from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for

        return boto_client_for(region=region, service="sagemaker", state_credentials=state_credentials)

    def _eval_service_task(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        client = self._client(resource_runtime_part.region, state_credentials)
        response = getattr(client, self._get_boto_service_action())(**normalised_parameters)
        response.pop("ResponseMetadata", None)
        env.stack.append(response)

    def _eval_integration_pattern(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        env.stack.pop()
        kind = _JOBS[self._get_boto_service_action()]
        name = normalised_parameters[f"{kind}Name"]
        client = self._client(resource_runtime_part.region, state_credentials)
        while not JOBS.wait(kind, name, _LOOK_AGAIN_SECONDS):
            if not env.is_running():
                getattr(client, f"stop_{kind[:-3].lower()}_job")(**{f"{kind}Name": name})
                return
        job = getattr(client, f"describe_{kind[:-3].lower()}_job")(**{f"{kind}Name": name})
        job.pop("ResponseMetadata", None)
        job = as_json(job, epoch_milliseconds)
        if job[f"{kind}Status"] != "Completed":
            name = StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed)
            raise FailureEventException(self._failure(env, name, json.dumps(job)))
        env.stack.append(job)

    def _from_error(self, env: Any, ex: Exception) -> FailureEvent:
        if not isinstance(ex, ClientError):
            return super()._from_error(env, ex)
        error, metadata = ex.response["Error"], ex.response["ResponseMetadata"]
        # Modelled exceptions keep their name, as in the SDK that Step Functions uses; the rest share one.
        modelled = type(ex).__name__ != "ClientError"
        name = f"SageMaker.{error['Code']}Exception" if modelled else "SageMaker.AmazonSageMakerException"
        cause = (
            f"{error['Message']} (Service: AmazonSageMaker; Status Code: {metadata['HTTPStatusCode']}; "
            f"Error Code: {error['Code']}; Request ID: {metadata.get('RequestId')}; Proxy: null)"
        )
        return self._failure(env, CustomErrorName(name), cause)

    def _failure(self, env: Any, error: ErrorName, cause: str) -> FailureEvent:
        return FailureEvent(
            env=env,
            error_name=error,
            event_type=HistoryEventType.TaskFailed,
            event_details=EventDetails(  # type: ignore[typeddict-item]  # an event has one of them
                taskFailedEventDetails=TaskFailedEventDetails(
                    error=error.error_name,
                    cause=cause,
                    resource=self._get_sfn_resource(),
                    resourceType=self._get_sfn_resource_type(),
                )
            ),
        )
