"""The two SageMaker jobs of a run, as states of the pipeline."""

from __future__ import annotations

from typing import Any

from everloop.model_file import ModelDeclaration
from everloop.model_file.worst_case import job_seconds

VOLUME_GB = 30

SAGEMAKER_RETRY = {
    "ErrorEquals": ["SageMaker.AmazonSageMakerException", "SageMaker.ResourceLimitExceededException"],
    "IntervalSeconds": 30,
    "MaxAttempts": 4,
    "BackoffRate": 2,
    "MaxDelaySeconds": 300,
    "JitterStrategy": "FULL",
}
"""Throttling and a momentary lack of instances. A job that failed is not run again: it would fail again."""

INPUT = "/opt/ml/processing/input"
OUTPUT = "/opt/ml/processing/output"
CODE = "/opt/ml/processing/code"
MESSAGE = "/opt/ml/output/message"
"""What a processing job writes here is its ``ExitMessage``; nothing else tells why its program failed."""

UNPACK_AND_EVALUATE = (
    'set -e; archives=$1 code=$2; shift 2; mkdir -p "$code"; '
    'tar -xzf "$archives"/*.gz -C "$code"; exec /bin/sh "$code/evaluate.sh" "$@"'
)
"""SageMaker puts the archive into the container as it is; only training jobs unpack it by themselves. The CDK names it
by its hash and ``.gz``."""

_JOB_NAME = "States.Format('${JobPrefix}{}', $$.Execution.Name)"


def training_job(declaration: ModelDeclaration, *, next_state: str, catch: str) -> dict[str, Any]:
    """Trains a candidate on the snapshot's train split."""
    parameters = {
        "TrainingJobName.$": _JOB_NAME,
        "RoleArn": "${TrainRole}",
        "AlgorithmSpecification": {"TrainingImage": "${Image}", "TrainingInputMode": "File"},
        "HyperParameters": {
            "sagemaker_program": "train_entry.py",
            "sagemaker_submit_directory": "${SourceUri}",
            "sagemaker_region": "${Region}",
            "sagemaker_container_log_level": "20",
        },
        "InputDataConfig": [
            _channel("train", "$.snapshot.result.train_uri"),
            _channel("test_features", "$.snapshot.result.test_features_uri"),
        ],
        "OutputDataConfig": {"S3OutputPath.$": "$.places.training"},
        "ResourceConfig": {
            "InstanceType": declaration.training.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": VOLUME_GB,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": declaration.training.max_minutes * 60},
        "Tags": _tags(declaration),
    }
    selector = {"model_data.$": "$.ModelArtifacts.S3ModelArtifacts", "job_arn.$": "$.TrainingJobArn"}
    state = _job("createTrainingJob", declaration, parameters, next_state, catch)
    return {**state, "ResultSelector": selector, "ResultPath": "$.training"}


def evaluation_job(declaration: ModelDeclaration, *, next_state: str, catch: str) -> dict[str, Any]:
    """Scores the candidate, the baseline and the champion on the locked test split."""
    arguments = [
        *("'--model-data'", f"'{INPUT}/model'"),
        *("'--test'", f"'{INPUT}/test'"),
        *("'--champion'", "$.run.result.champion_uri"),
        *("'--run-id'", "$.run.result.run_id"),
        *("'--snapshot-hash'", "$.snapshot.result.snapshot_hash"),
        *("'--output'", f"'{OUTPUT}'"),
        *("'--message'", f"'{MESSAGE}'"),
    ]
    parameters = {
        "ProcessingJobName.$": _JOB_NAME,
        "RoleArn": "${EvaluateRole}",
        "AppSpecification": {
            "ImageUri": "${Image}",
            "ContainerEntrypoint": ["/bin/sh", "-c", UNPACK_AND_EVALUATE, "evaluate", f"{INPUT}/code", CODE],
            "ContainerArguments.$": f"States.Array({', '.join(arguments)})",
        },
        "ProcessingInputs": [
            _input("model", {"S3Uri.$": "$.training.model_data"}),
            _input("test", {"S3Uri.$": "$.snapshot.result.test_uri"}),
            _input("code", {"S3Uri": "${SourceUri}"}),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "evaluation",
                    "S3Output": {
                        "S3Uri.$": "$.places.evaluation",
                        "LocalPath": OUTPUT,
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": declaration.training.instance_type,
                "InstanceCount": 1,
                "VolumeSizeInGB": VOLUME_GB,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": declaration.training.max_minutes * 60},
        "Tags": _tags(declaration),
    }
    state = _job("createProcessingJob", declaration, parameters, next_state, catch)
    return {**state, "ResultSelector": {"job_arn.$": "$.ProcessingJobArn"}, "ResultPath": "$.evaluation"}


def _job(
    action: str, declaration: ModelDeclaration, parameters: dict[str, Any], next_state: str, catch: str
) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:${{Partition}}:states:::sagemaker:{action}.sync",
        "Parameters": parameters,
        "TimeoutSeconds": job_seconds(declaration),
        "Retry": [SAGEMAKER_RETRY],
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": catch}],
        "Next": next_state,
    }


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri.$": uri, "S3DataDistributionType": "FullyReplicated"}
    return {
        "ChannelName": name,
        "ContentType": "application/x-parquet",
        "DataSource": {"S3DataSource": source},
    }


def _input(name: str, source: dict[str, str]) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            **source,
            "LocalPath": f"{INPUT}/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
            "S3CompressionType": "None",
        },
    }


def _tags(declaration: ModelDeclaration) -> list[dict[str, str]]:
    return [{"Key": "everloop:model", "Value": declaration.model}]
