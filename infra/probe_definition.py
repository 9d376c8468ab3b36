"""The state machine of fresh probes: a plain dictionary, written as the pipeline's (:mod:`infra.pipeline_definition`).

Three steps, and no way back: the function prepares the rows, a job measures, the function records. What fails ends the
execution; the monitor asks again at its next runs, and an alarm says so. Nothing here decides: the monitor reads what
was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from everloop.infra.function_catalogue import PROBE_FACTS
from everloop.infra.pipeline_definition import CRASH_RETRY, LAMBDA_RETRY, MARGIN_SECONDS, TRANSIENT_RETRY
from everloop.infra.pipeline_jobs import (
    CODE,
    INPUT,
    MESSAGE,
    OUTPUT,
    SAGEMAKER_RETRY,
    VOLUME_GB,
    job_input,
    job_tags,
)
from everloop.model_file.schema import Investment, ModelDeclaration
from everloop.model_file.worst_case import probe_seconds

UNPACK_AND_PROBE = (
    'set -e; archives=$1 code=$2; shift 2; mkdir -p "$code"; '
    'tar -xzf "$archives"/*.gz -C "$code"; exec /bin/sh "$code/probe.sh" "$@"'
)
"""As of an evaluation: SageMaker puts the archive into the container as it is."""

_PLACES = "$.prepared.result.places."


def probe_definition(declaration: ModelDeclaration, investment: Investment) -> dict[str, Any]:
    """The definition of ``declaration``'s probes."""
    called = 2 * (PROBE_FACTS.timeout_seconds + MARGIN_SECONDS)
    return {
        "Comment": f"Measures the cost of waiting to retrain {declaration.model}",
        "StartAt": "Prepare",
        # With each step tried again as often as it may be; a day is more than that.
        "TimeoutSeconds": probe_seconds(investment) + called + 24 * 3600,
        "States": {
            "Prepare": _invoke("prepare", "$.prepared", "WhetherToMeasure"),
            "WhetherToMeasure": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.prepared.result.go_on", "BooleanEquals": True, "Next": "Measure"},
                    {"Variable": "$.prepared.result.go_on", "BooleanEquals": False, "Next": "Done"},
                ],
                "Default": "UnknownAnswer",
            },
            "Measure": probe_job(declaration, investment, next_state="Record", catch="Failed"),
            "Record": _invoke("record", "$.recorded", "Done"),
            "UnknownAnswer": {
                "Type": "Pass",
                "Comment": "The function returned an answer that the state machine does not know",
                "Parameters": {
                    "Error": "UnknownAnswer",
                    "Cause.$": "States.Format('no choice matches: {}', States.JsonToString($))",
                },
                "ResultPath": "$.failure",
                "Next": "Failed",
            },
            # A state machine may not itself raise an error whose name begins with "States.", as a failed job's does.
            "Failed": {"Type": "Fail", "Error": "ProbeFailed", "CausePath": "$.failure.Cause"},
            "Done": {"Type": "Succeed"},
        },
    }


def probe_job(declaration: ModelDeclaration, investment: Investment, *, next_state: str, catch: str) -> dict[str, Any]:
    """The job: on the image and the instance that training has, within the probe's own budget."""
    arguments = [
        *(word for name in ("train", "window", "plan") for word in (f"'--{name}'", f"'{INPUT}/{name}'")),
        *("'--output'", f"'{OUTPUT}'"),
        *("'--message'", f"'{MESSAGE}'"),
    ]
    parameters = {
        "ProcessingJobName.$": "States.Format('${JobPrefix}{}', $$.Execution.Name)",
        "RoleArn": "${ProbeRole}",
        "AppSpecification": {
            "ImageUri": "${Image}",
            "ContainerEntrypoint": ["/bin/sh", "-c", UNPACK_AND_PROBE, "probe", f"{INPUT}/code", CODE],
            "ContainerArguments.$": f"States.Array({', '.join(arguments)})",
        },
        "ProcessingInputs": [
            *(job_input(name, {"S3Uri.$": f"{_PLACES}{name}_uri"}) for name in ("train", "window", "plan")),
            job_input("code", {"S3Uri": "${SourceUri}"}),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "probe",
                    "S3Output": {
                        "S3Uri.$": f"{_PLACES}result_uri",
                        "LocalPath": OUTPUT,
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": investment.instance_type or declaration.training.instance_type,
                "InstanceCount": 1,
                "VolumeSizeInGB": VOLUME_GB,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": investment.probe_minutes * 60},
        "Tags": job_tags(declaration),
    }
    return {
        "Type": "Task",
        "Resource": "arn:${Partition}:states:::sagemaker:createProcessingJob.sync",
        "Parameters": parameters,
        "ResultSelector": {"job_arn.$": "$.ProcessingJobArn"},
        "ResultPath": "$.measured",
        "TimeoutSeconds": probe_seconds(investment),
        "Retry": [SAGEMAKER_RETRY],
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": catch}],
        "Next": next_state,
    }


def _invoke(action: str, result: str, next_state: str) -> dict[str, Any]:
    payload: Mapping[str, Any] = {
        "action": action,
        "asked.$": "$$.Execution.Input",
        "at.$": "$$.State.EnteredTime",
        "execution.$": "$$.Execution.Name",
    }
    return {
        "Type": "Task",
        "Resource": "arn:${Partition}:states:::lambda:invoke",
        "Parameters": {"FunctionName": "${ProbeFunction}", "Payload": payload},
        "ResultSelector": {"result.$": "$.Payload"},
        "ResultPath": result,
        "TimeoutSeconds": PROBE_FACTS.timeout_seconds + MARGIN_SECONDS,
        "Retry": [LAMBDA_RETRY, TRANSIENT_RETRY, CRASH_RETRY],
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Failed"}],
        "Next": next_state,
    }
