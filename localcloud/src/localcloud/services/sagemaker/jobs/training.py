"""Runs a training job in script mode, as the SageMaker training toolkit in a framework container does."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from localcloud.core.containment import EscapingPathError, inside
from localcloud.services.sagemaker.jobs.exceptions import AlgorithmFailureError, ClientFailureError
from localcloud.services.sagemaker.jobs.job import DEFAULT_VOLUME_GB, Job, JobContext
from localcloud.services.sagemaker.jobs.root import JobRoot

_HOST = "algo-1"
_ENTRY_PREFIX = "sagemaker_"
_MAX_FAILURE_CHARACTERS = 1024


@dataclass(frozen=True)
class Script:
    """What to run: the program, its user arguments, and the decoded user hyperparameters."""

    program: str
    submit_directory: str
    user_hyperparameters: Mapping[str, Any]
    framework_parameters: Mapping[str, Any]

    @classmethod
    def from_hyperparameters(cls, hyperparameters: Mapping[str, str]) -> Script:
        """Take a request's hyperparameters apart; values are JSON where they can be read as such.

        Raises
        ------
        ClientFailureError
            When the program or its directory is missing.
        """
        decoded = {name: _decode(value) for name, value in hyperparameters.items()}
        for name in ("sagemaker_program", "sagemaker_submit_directory"):
            if not decoded.get(name):
                raise ClientFailureError(
                    f"HyperParameters.{name} is missing: jobs run in script mode, with the program's name in "
                    "sagemaker_program and the s3:// URI of its tar.gz in sagemaker_submit_directory"
                )
        return cls(
            program=str(decoded["sagemaker_program"]),
            submit_directory=str(decoded["sagemaker_submit_directory"]),
            user_hyperparameters={k: v for k, v in decoded.items() if not k.startswith(_ENTRY_PREFIX)},
            framework_parameters={k: v for k, v in decoded.items() if k.startswith(_ENTRY_PREFIX)},
        )

    def arguments(self) -> list[str]:
        """User hyperparameters as ``--name value``, by name."""
        arguments: list[str] = []
        for name, value in sorted(self.user_hyperparameters.items()):
            text = ",".join(f"{k}={v}" for k, v in sorted(value.items())) if isinstance(value, dict) else str(value)
            arguments += [f"--{name}" if len(name) > 1 else f"-{name}", text]
        return arguments


def _decode(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


class TrainingJob(Job):
    """One training job; ``request`` is CreateTrainingJob's."""

    kind = "TrainingJob"
    log_group = "/aws/sagemaker/TrainingJobs"

    @property
    def limit_seconds(self) -> float:
        """MaxRuntimeInSeconds, in real seconds."""
        return float((self.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86400))

    @property
    def volume_gb(self) -> int:
        """VolumeSizeInGB."""
        return int((self.request.get("ResourceConfig") or {}).get("VolumeSizeInGB") or DEFAULT_VOLUME_GB)

    @property
    def artifact_uri(self) -> str:
        """Where the model archive goes."""
        base = self.request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        return f"{base}/{self.name}/output/model.tar.gz"

    def work(self, context: JobContext) -> None:
        """Fetch, run, and put what came out.

        Raises
        ------
        JobFailedError, JobStoppedError
            When the job does not end well.
        """
        root = context.root
        script = Script.from_hyperparameters(self.request.get("HyperParameters") or {})
        self.enter_phase("Downloading", "Downloading input data")
        self._prepare(context, script)
        self.enter_phase("Training", "Training image download completed. Training in progress.")
        self._run(context, script)
        self.enter_phase("Uploading", "Uploading generated training model")
        self._upload(context, root)

    def _prepare(self, context: JobContext, script: Script) -> None:
        root = context.root
        for path in ("model", "output", "output/data", "output/intermediate", "input/data", "input/config", "code"):
            root.directory(f"/opt/ml/{path}")
        for channel in self.request.get("InputDataConfig") or []:
            source = channel["DataSource"]["S3DataSource"]
            target = root.directory(f"/opt/ml/input/data/{channel['ChannelName']}")
            context.s3.download_prefix(source["S3Uri"], target)
        self._sync_checkpoints(context)
        archive = root.local("/opt/ml/tmp/sourcedir.tar.gz")
        context.s3.download_object(script.submit_directory, archive)
        context.s3.unpack(archive, root.local("/opt/ml/code"))
        archive.unlink()
        for name, document in self._config_files().items():
            (root.local("/opt/ml/input/config") / name).write_text(json.dumps(document))

    def _sync_checkpoints(self, context: JobContext) -> None:
        checkpoints = self.request.get("CheckpointConfig")
        if not checkpoints:
            return
        directory = context.root.directory(checkpoints.get("LocalPath", "/opt/ml/checkpoints"))
        if context.s3.has_objects(checkpoints["S3Uri"]):
            context.s3.download_prefix(checkpoints["S3Uri"], directory)

    def _config_files(self) -> dict[str, Any]:
        channels = {
            channel["ChannelName"]: {
                "TrainingInputMode": channel.get("InputMode", "File"),
                "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": channel.get("RecordWrapperType", "None"),
                **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
            }
            for channel in self.request.get("InputDataConfig") or []
        }
        return {
            "hyperparameters.json": self.request.get("HyperParameters") or {},
            "inputdataconfig.json": channels,
            "resourceconfig.json": self._resource_config(),
        }

    def _resource_config(self) -> dict[str, Any]:
        instance = (self.request.get("ResourceConfig") or {}).get("InstanceType", "local")
        return {
            "current_host": _HOST,
            "hosts": [_HOST],
            "network_interface_name": "lo",
            "current_instance_type": instance,
            "current_group_name": "homogeneousCluster",
            "instance_groups": [
                {"instance_group_name": "homogeneousCluster", "instance_type": instance, "hosts": [_HOST]}
            ],
        }

    def environment(self, root: JobRoot, script: Script) -> dict[str, str]:
        """The ``SM_*`` variables of the training toolkit, and those of the job itself."""
        channels = [channel["ChannelName"] for channel in self.request.get("InputDataConfig") or []]
        resource, files = self._resource_config(), self._config_files()
        arguments = [root.rewrite(argument) for argument in script.arguments()]
        module = script.program.removesuffix(".py").removesuffix(".sh")
        variables = {
            "SM_HOSTS": json.dumps([_HOST]),
            "SM_CURRENT_HOST": _HOST,
            "SM_NETWORK_INTERFACE_NAME": resource["network_interface_name"],
            "SM_CURRENT_INSTANCE_TYPE": resource["current_instance_type"],
            "SM_CURRENT_INSTANCE_GROUP": resource["current_group_name"],
            "SM_NUM_CPUS": str(os.cpu_count() or 1),
            "SM_NUM_GPUS": "0",
            "SM_NUM_NEURONS": "0",
            "SM_LOG_LEVEL": "20",
            "SM_USER_ARGS": json.dumps(arguments),
            "SM_USER_ENTRY_POINT": script.program,
            "SM_MODULE_NAME": module,
            "SM_MODULE_DIR": script.submit_directory,
            "SM_FRAMEWORK_MODULE": "sagemaker_sklearn_container.training:main",
            "SM_FRAMEWORK_PARAMS": json.dumps(dict(script.framework_parameters)),
            "SM_RESOURCE_CONFIG": json.dumps(resource),
            "SM_INPUT_DATA_CONFIG": json.dumps(files["inputdataconfig.json"]),
            "SM_INPUT_DIR": str(root.local("/opt/ml/input")),
            "SM_INPUT_CONFIG_DIR": str(root.local("/opt/ml/input/config")),
            "SM_OUTPUT_DIR": str(root.local("/opt/ml/output")),
            "SM_OUTPUT_DATA_DIR": str(root.local("/opt/ml/output/data")),
            "SM_OUTPUT_INTERMEDIATE_DIR": str(root.local("/opt/ml/output/intermediate")),
            "SM_MODEL_DIR": str(root.local("/opt/ml/model")),
            "SM_CHANNELS": json.dumps(sorted(channels)),
            "SM_HPS": json.dumps(dict(script.user_hyperparameters)),
        }
        for channel in channels:
            variables[f"SM_CHANNEL_{channel.upper()}"] = str(root.local(f"/opt/ml/input/data/{channel}"))
        for name, value in script.user_hyperparameters.items():
            text = value if isinstance(value, str) else json.dumps(value)
            variables[f"SM_HP_{name.upper().replace('-', '_')}"] = root.rewrite(text)
        variables["SM_TRAINING_ENV"] = json.dumps(
            {
                "channel_input_dirs": {c: variables[f"SM_CHANNEL_{c.upper()}"] for c in channels},
                "current_host": _HOST,
                "hosts": [_HOST],
                "hyperparameters": dict(script.user_hyperparameters),
                "input_config_dir": variables["SM_INPUT_CONFIG_DIR"],
                "input_data_config": files["inputdataconfig.json"],
                "input_dir": variables["SM_INPUT_DIR"],
                "is_master": True,
                "job_name": self.name,
                "model_dir": variables["SM_MODEL_DIR"],
                "module_dir": script.submit_directory,
                "module_name": module,
                "num_cpus": os.cpu_count() or 1,
                "num_gpus": 0,
                "output_data_dir": variables["SM_OUTPUT_DATA_DIR"],
                "output_dir": variables["SM_OUTPUT_DIR"],
                "resource_config": resource,
                "user_entry_point": script.program,
            }
        )
        variables["TRAINING_JOB_NAME"] = self.name
        variables["TRAINING_JOB_ARN"] = self.arn
        variables["PYTHONPATH"] = str(root.local("/opt/ml/code"))
        return variables

    def _run(self, context: JobContext, script: Script) -> None:
        root = context.root
        code = root.local("/opt/ml/code")
        if not _is_inside(code, script.program):
            raise ClientFailureError(
                f"HyperParameters.sagemaker_program: {script.program!r} is not in {script.submit_directory}"
            )
        for remark in unmet_requirements(code / "requirements.txt"):
            context.log.write(remark)
        command = ["/bin/sh"] if script.program.endswith(".sh") else [str(root.local("/opt/ml/bin/python"))]
        arguments = [root.rewrite(argument) for argument in script.arguments()]
        code_of_exit = context.run([*command, script.program, *arguments], self.environment(root, script), code)
        if code_of_exit != 0:
            shown = shlex.join(["python3", script.program, *arguments])
            raise AlgorithmFailureError(_failure_text(context, root, code_of_exit, shown), code_of_exit)

    def _upload(self, context: JobContext, root: JobRoot) -> None:
        scratch = root.local("/opt/ml/tmp")
        context.s3.upload_archive(root.local("/opt/ml/model"), self.artifact_uri, scratch)
        data = root.local("/opt/ml/output/data")
        if any(data.iterdir()):
            context.s3.upload_archive(data, self.artifact_uri.replace("model.tar.gz", "output.tar.gz"), scratch)
        checkpoints = self.request.get("CheckpointConfig")
        if checkpoints:
            directory = root.local(checkpoints.get("LocalPath", "/opt/ml/checkpoints"))
            context.s3.upload_directory(directory, checkpoints["S3Uri"])


def _is_inside(code: Path, program: str) -> bool:
    try:
        return inside(code, program).is_file()
    except EscapingPathError:
        return False


def _failure_text(context: JobContext, root: JobRoot, exit_code: int, command: str) -> str:
    """What the script wrote to /opt/ml/output/failure, or what the toolkit says of a crash."""
    file = root.local("/opt/ml/output/failure")
    if file.is_file():
        return file.read_text(errors="replace").strip()[:_MAX_FAILURE_CHARACTERS]
    tail = "\n".join(context.last_lines())
    frame = f'ExecuteUserScriptError:\nExitCode {exit_code}\nErrorMessage ""\nCommand "{command}"'
    room = max(0, _MAX_FAILURE_CHARACTERS - len(frame) - 64)
    return frame.replace('ErrorMessage ""', f'ErrorMessage "{tail[-room:]}"')


def unmet_requirements(file: Path) -> list[str]:
    """Remarks on a ``requirements.txt``, which the container would install and the local cloud does not."""
    if not file.is_file():
        return []
    remarks = []
    for line in file.read_text().splitlines():
        # Hashes stand on lines of their own, which the one before continues to.
        text = line.split("#")[0].strip().removesuffix("\\").strip()
        if not text or text.startswith("-"):
            continue
        try:
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate():
                continue
            found = importlib.metadata.version(requirement.name)
        except InvalidRequirement:
            continue
        except importlib.metadata.PackageNotFoundError:
            remarks.append(f"requirements.txt: {text} is not installed in this environment, which stands for the image")
            continue
        if requirement.specifier and not requirement.specifier.contains(found, prereleases=True):
            remarks.append(f"requirements.txt: {text} is wanted, {found} is installed in this environment")
    return remarks
