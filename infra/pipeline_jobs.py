"""The SageMaker jobs of a run, as states of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from everloop.documents.snapshot import HELD_OUT, channel_variable
from everloop.documents.training import CHECKPOINTS, PARENT_CHANNEL, PARENT_SHA256, PARENT_VERSION, TUNED_CHANNEL
from everloop.model_file.schema import ModelDeclaration
from everloop.model_file.worst_case import job_seconds, spot_wait_seconds, training_job_seconds
from everloop.recalibration.declared import judged_scores

VOLUME_GB = 30

SAGEMAKER_RETRY: dict[str, Any] = {
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
CHECKPOINT_FOLDER = "/opt/ml/checkpoints"

MESSAGE = "/opt/ml/output/message"
"""What a processing job writes here is its ``ExitMessage``; nothing else tells why its program failed."""

UNPACK_AND_EVALUATE = (
    'set -e; archives=$1 code=$2; shift 2; mkdir -p "$code"; '
    'tar -xzf "$archives"/*.gz -C "$code"; exec /bin/sh "$code/evaluate.sh" "$@"'
)
"""SageMaker puts the archive into the container as it is; only training jobs unpack it by themselves. The CDK names it
by its hash and ``.gz``."""

_JOB_NAME = "States.Format('${JobPrefix}{}', $$.Execution.Name)"
_TRAINED = ("'--model-data'", f"'{INPUT}/model'")
"""The model that a training job of the run left."""

_REFIT_NAME = "States.Format('${RefitPrefix}{}', $$.Execution.Name)"


_PARENT = "$.run.result.parent"
_PARENT_IS = {
    f"{PARENT_VERSION}.$": f"States.Format('{{}}', {_PARENT}.version)",
    f"{PARENT_SHA256}.$": f"{_PARENT}.estimator_sha256",
}

_HELD_OUT_IS = {f"{HELD_OUT}.$": "$.snapshot.result.standing.held_out"}


def _parts_are(channels: Iterable[str]) -> dict[str, str]:
    """What the files in the channels that hold parts of the snapshot have to be."""
    return {f"{channel_variable(channel)}.$": f"$.snapshot.result.part_sha256.{channel}" for channel in channels}


def training_job(declaration: ModelDeclaration, *, next_state: str, catch: str, warm: bool = False) -> dict[str, Any]:
    """Trains a candidate on the snapshot's train split; ``warm`` continues the run's ``parent`` where it can."""
    channels = {"train": "$.snapshot.result.train_uri", "test_features": "$.snapshot.result.test_features_uri"}
    parameters = _training(declaration, _JOB_NAME, "${TrainRole}", channels, "training", warm=warm)
    return _training_state(declaration, parameters, next_state, catch) | _trained("$.training")


def refit_job(declaration: ModelDeclaration, *, next_state: str, catch: str, warm: bool = False) -> dict[str, Any]:
    """Trains once more, on the train and the test split: the same program, which finds the test rows' labels.

    Parameters that the training before it chose are handed on: labels of the test split choose none.
    """
    channels = {"train": "$.snapshot.result.train_uri", "test": "$.snapshot.result.test_uri"}
    if declaration.training.tuning is not None:
        channels[TUNED_CHANNEL] = "$.training.model_data"
    parameters = _training(declaration, _REFIT_NAME, "${RefitRole}", channels, "refit", warm=warm)
    return _training_state(declaration, parameters, next_state, catch) | _trained("$.refitting")


def evaluation_job(declaration: ModelDeclaration, *, next_state: str, catch: str) -> dict[str, Any]:
    """Scores the candidate, the baseline and the champion on the locked test split."""
    inputs = {"model": "$.training.model_data", "test": "$.snapshot.result.test_uri"}
    return _evaluation(declaration, _TRAINED, inputs, next_state, catch)


def older_evaluation_job(declaration: ModelDeclaration, *, next_state: str, catch: str) -> dict[str, Any]:
    """The same of a version that is registered already, which the job reads from the artefact bucket."""
    older = ("'--older'", "$.run.result.older.artifact_uri")
    return _evaluation(declaration, older, {"test": "$.snapshot.result.test_uri"}, next_state, catch)


def _evaluation(
    declaration: ModelDeclaration, judged: tuple[str, ...], inputs: Mapping[str, str], next_state: str, catch: str
) -> dict[str, Any]:
    beside: tuple[str, ...] = (*judged, "'--champion'", "$.run.result.champion_uri")
    if judged_scores(declaration) == "served":
        beside = (*beside, "'--registry'", "'${Table}'")
    if declaration.gate.standing is not None:
        kept = "$.snapshot.result.standing"
        beside = (*beside, "'--standing'", f"{kept}.uri", "'--standing-sha256'", f"{kept}.sha256")
    parameters = _processing(declaration, _JOB_NAME, "${EvaluateRole}", beside, inputs, "$.places.evaluation")
    state = _job("createProcessingJob", declaration, parameters, next_state, catch)
    return {**state, "ResultSelector": {"job_arn.$": "$.ProcessingJobArn"}, "ResultPath": "$.evaluation"}


def refit_check_job(declaration: ModelDeclaration, *, next_state: str, catch: str) -> dict[str, Any]:
    """Scores the refit and its evaluated model on the test split: the evaluation's program in its other mode."""
    beside = (*_TRAINED, "'--evaluated'", f"'{INPUT}/evaluated'")
    inputs = {
        "model": "$.refitting.model_data",
        "test": "$.snapshot.result.test_uri",
        "evaluated": "$.places.evaluation",
    }
    parameters = _processing(declaration, _REFIT_NAME, "${CheckRefitRole}", beside, inputs, "$.places.refit_check")
    state = _job("createProcessingJob", declaration, parameters, next_state, catch)
    return {**state, "ResultSelector": {"job_arn.$": "$.ProcessingJobArn"}, "ResultPath": "$.refit_check"}


def _training(
    declaration: ModelDeclaration, name: str, role: str, channels: Mapping[str, str], place: str, *, warm: bool
) -> dict[str, Any]:
    """``place`` is what the run calls where the results go."""
    spot, longest = declaration.training.spot is not None, declaration.training.max_minutes * 60
    return {
        "TrainingJobName.$": name,
        "RoleArn": role,
        "AlgorithmSpecification": {"TrainingImage": "${Image}", "TrainingInputMode": "File"},
        "HyperParameters": {
            "sagemaker_program": "train_entry.py",
            "sagemaker_submit_directory": "${SourceUri}",
            "sagemaker_region": "${Region}",
            "sagemaker_container_log_level": "20",
        },
        "InputDataConfig": [
            *(
                _channel(channel, uri, "application/gzip" if channel == TUNED_CHANNEL else "application/x-parquet")
                for channel, uri in channels.items()
            ),
            *([_channel(PARENT_CHANNEL, f"{_PARENT}.estimator_uri", "application/zip")] if warm else []),
        ],
        "Environment": {
            **_parts_are(channel for channel in channels if channel != TUNED_CHANNEL),
            **(_PARENT_IS if warm else {}),
            **(_HELD_OUT_IS if declaration.gate.standing is not None else {}),
            **({CHECKPOINTS: CHECKPOINT_FOLDER} if spot else {}),
        },
        "OutputDataConfig": {"S3OutputPath.$": f"$.places.{place}"},
        **(_interruptible(place) if spot else {}),
        "ResourceConfig": {
            "InstanceType": declaration.training.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": VOLUME_GB,
        },
        "StoppingCondition": {
            "MaxRuntimeInSeconds": longest,
            # Of waiting and running together.
            **({"MaxWaitTimeInSeconds": longest + spot_wait_seconds(declaration)} if spot else {}),
        },
        "Tags": job_tags(declaration),
    }


def _interruptible(place: str) -> dict[str, Any]:
    """On spare capacity, with a folder that outlives an interruption; a run's own, in which nothing lies at first."""
    where = {"S3Uri.$": f"$.places.checkpoints_{place}", "LocalPath": CHECKPOINT_FOLDER}
    return {"EnableManagedSpotTraining": True, "CheckpointConfig": where}


def _training_state(
    declaration: ModelDeclaration, parameters: dict[str, Any], next_state: str, catch: str
) -> dict[str, Any]:
    state = _job("createTrainingJob", declaration, parameters, next_state, catch)
    return {**state, "TimeoutSeconds": training_job_seconds(declaration)}


def _trained(result: str) -> dict[str, Any]:
    selector = {"model_data.$": "$.ModelArtifacts.S3ModelArtifacts", "job_arn.$": "$.TrainingJobArn"}
    return {"ResultSelector": selector, "ResultPath": result}


def _processing(
    declaration: ModelDeclaration,
    name: str,
    role: str,
    beside: tuple[str, ...],
    inputs: Mapping[str, str],
    output: str,
) -> dict[str, Any]:
    """``beside`` are the options that name the model, and what it is compared with."""
    arguments = [
        *beside,
        *("'--test'", f"'{INPUT}/test'"),
        *("'--run-id'", "$.run.result.run_id"),
        *("'--snapshot-hash'", "$.snapshot.result.snapshot_hash"),
        *("'--output'", f"'{OUTPUT}'"),
        *("'--message'", f"'{MESSAGE}'"),
    ]
    return {
        "ProcessingJobName.$": name,
        "RoleArn": role,
        "AppSpecification": {
            "ImageUri": "${Image}",
            "ContainerEntrypoint": ["/bin/sh", "-c", UNPACK_AND_EVALUATE, "evaluate", f"{INPUT}/code", CODE],
            "ContainerArguments.$": f"States.Array({', '.join(arguments)})",
        },
        "Environment": _parts_are(["test"]),
        "ProcessingInputs": [
            *(job_input(kind, {"S3Uri.$": uri}) for kind, uri in inputs.items()),
            job_input("code", {"S3Uri": "${SourceUri}"}),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "evaluation",
                    "S3Output": {"S3Uri.$": output, "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"},
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
        "Tags": job_tags(declaration),
    }


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


def _channel(name: str, uri: str, content_type: str = "application/x-parquet") -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri.$": uri, "S3DataDistributionType": "FullyReplicated"}
    return {
        "ChannelName": name,
        "ContentType": content_type,
        "DataSource": {"S3DataSource": source},
    }


def job_input(name: str, source: dict[str, str]) -> dict[str, Any]:
    """What a processing job finds at ``INPUT`` under this name."""
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


def job_tags(declaration: ModelDeclaration) -> list[dict[str, str]]:
    """By which the cost of a model's jobs is found."""
    return [{"Key": "everloop:model", "Value": declaration.model}]
