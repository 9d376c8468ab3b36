"""Runs a training job in script mode, as the SageMaker training toolkit in a framework container does."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
import shutil
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from localcloud.core.containment import EscapingPathError, inside
from localcloud.services.sagemaker.jobs.exceptions import AlgorithmFailureError, ClientFailureError
from localcloud.services.sagemaker.jobs.job import DEFAULT_VOLUME_GB, Job, JobContext
from localcloud.services.sagemaker.jobs.root import JobRoot
from localcloud.services.sagemaker.jobs.script_mode import Script, resource_config
from localcloud.services.sagemaker.jobs.spot import BILLED_SHARE, TakenBack, is_spot, spot_interruptions

_MAX_FAILURE_CHARACTERS = 1024


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
        left, interruptions = self.limit_seconds, spot_interruptions(self._context.settings)
        while True:
            began = time.monotonic()
            if self._run(context, script, left, interruptible=interruptions > 0):
                break
            left, interruptions = max(1.0, left - (time.monotonic() - began)), interruptions - 1
            self._begin_again(context, script)
        self.enter_phase("Uploading", "Uploading generated training model")
        self._upload(context, root)

    @property
    def billable_seconds(self) -> int:
        """What is billed of ``real_seconds``."""
        return int(self.real_seconds * BILLED_SHARE) if is_spot(self.request) else self.real_seconds

    def _begin_again(self, context: JobContext, script: Script) -> None:
        """Bring the job to another instance: of the one that was taken back only the checkpoints are left."""
        self.enter_phase("Interrupted", "The spot instance was taken back.")
        self._keep_checkpoints(context)
        lost = [context.root.local(f"/opt/ml/{path}") for path in ("model", "output", "input", "code")]
        for folder in (*lost, self._checkpoint_folder(context.root)):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
        self.enter_phase("Starting", "Preparing the instances for training")
        self.enter_phase("Downloading", "Downloading input data")
        self._prepare(context, script)
        self.enter_phase("Training", "Training image download completed. Training in progress.")

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
        for name, document in self.config_files().items():
            (root.local("/opt/ml/input/config") / name).write_text(json.dumps(document))

    def _sync_checkpoints(self, context: JobContext) -> None:
        checkpoints = self.request.get("CheckpointConfig")
        if not checkpoints:
            return
        directory = context.root.directory(checkpoints.get("LocalPath", "/opt/ml/checkpoints"))
        if context.s3.has_objects(checkpoints["S3Uri"]):
            context.s3.download_prefix(checkpoints["S3Uri"], directory)

    def config_files(self) -> dict[str, Any]:
        """The documents of ``/opt/ml/input/config``, by name."""
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
            "resourceconfig.json": resource_config(
                (self.request.get("ResourceConfig") or {}).get("InstanceType", "local")
            ),
        }

    def environment(self, root: JobRoot, script: Script) -> dict[str, str]:
        """The ``SM_*`` variables of the training toolkit, and those of the job itself."""
        files = self.config_files()
        variables = script.variables(root, self.name, files["resourceconfig.json"], files["inputdataconfig.json"])
        return {
            **variables,
            "TRAINING_JOB_NAME": self.name,
            "TRAINING_JOB_ARN": self.arn,
            "PYTHONPATH": str(root.local("/opt/ml/code")),
        }

    def _run(self, context: JobContext, script: Script, limit_seconds: float, *, interruptible: bool) -> bool:
        """Run the program; whether it came to its end, and was not interrupted."""
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
        checkpoints = self._checkpoint_folder(root)
        watched = checkpoints if interruptible and is_spot(self.request) else None
        with nullcontext() if watched is None else TakenBack(context.process, watched):
            code_of_exit = context.run(
                [*command, script.program, *arguments],
                self.environment(root, script),
                code,
                limit_seconds=limit_seconds,
            )
        if code_of_exit != 0 and context.process.interrupted:
            return False
        if code_of_exit != 0:
            shown = shlex.join(["python3", script.program, *arguments])
            raise AlgorithmFailureError(_failure_text(context, root, code_of_exit, shown), code_of_exit)
        return True

    def _upload(self, context: JobContext, root: JobRoot) -> None:
        scratch = root.local("/opt/ml/tmp")
        context.s3.upload_archive(root.local("/opt/ml/model"), self.artifact_uri, scratch)
        data = root.local("/opt/ml/output/data")
        if any(data.iterdir()):
            context.s3.upload_archive(data, self.artifact_uri.replace("model.tar.gz", "output.tar.gz"), scratch)
        self._keep_checkpoints(context)

    def _checkpoint_folder(self, root: JobRoot) -> Path | None:
        checkpoints = self.request.get("CheckpointConfig")
        return root.local(checkpoints.get("LocalPath", "/opt/ml/checkpoints")) if checkpoints else None

    def _keep_checkpoints(self, context: JobContext) -> None:
        folder = self._checkpoint_folder(context.root)
        if folder is not None:
            context.s3.upload_directory(folder, self.request["CheckpointConfig"]["S3Uri"])


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
