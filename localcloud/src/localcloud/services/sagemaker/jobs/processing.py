"""Runs a processing job: inputs from S3, one command, outputs to S3."""

from __future__ import annotations

import json
import shutil
from typing import Any

from localcloud.services.sagemaker.jobs.exceptions import AlgorithmFailureError, ClientFailureError
from localcloud.services.sagemaker.jobs.job import DEFAULT_VOLUME_GB, Job, JobContext

_MESSAGE = "/opt/ml/output/message"
_MAX_EXIT_MESSAGE_BYTES = 1024


class ProcessingJob(Job):
    """One processing job; ``request`` is CreateProcessingJob's."""

    kind = "ProcessingJob"
    log_group = "/aws/sagemaker/ProcessingJobs"

    @property
    def limit_seconds(self) -> float:
        """MaxRuntimeInSeconds, in real seconds."""
        return float((self.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86400))

    @property
    def volume_gb(self) -> int:
        """VolumeSizeInGB."""
        cluster = (self.request.get("ProcessingResources") or {}).get("ClusterConfig") or {}
        return int(cluster.get("VolumeSizeInGB") or DEFAULT_VOLUME_GB)

    def work(self, context: JobContext) -> None:
        """Fetch, run, and put what came out.

        Raises
        ------
        JobFailedError, JobStoppedError
            When the job does not end well.
        """
        self._fetch(context)
        self.enter_phase("InProgress", "")
        try:
            self._run(context)
        finally:
            self.exit_message = _exit_message(context)
        self._put(context)

    def _fetch(self, context: JobContext) -> None:
        for item in self.request.get("ProcessingInputs") or []:
            source = item["S3Input"]
            context.s3.download_prefix(source["S3Uri"], context.root.directory(source["LocalPath"]))
        for output in self._outputs():
            context.root.directory(output["S3Output"]["LocalPath"])
        config = context.root.directory("/opt/ml/config")
        (config / "processingjobconfig.json").write_text(json.dumps(self.request, default=str))
        (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))

    def _outputs(self) -> list[dict[str, Any]]:
        return (self.request.get("ProcessingOutputConfig") or {}).get("Outputs") or []

    def _run(self, context: JobContext) -> None:
        root, specification = context.root, self.request["AppSpecification"]
        words = [*specification["ContainerEntrypoint"], *(specification.get("ContainerArguments") or [])]
        command = [root.rewrite(word) for word in words]
        found = shutil.which(command[0], path=root.base_environment()["PATH"])
        if found is None:
            raise ClientFailureError(f"AppSpecification.ContainerEntrypoint: there is no program {words[0]!r}")
        environment = {"PROCESSING_JOB_ARN": self.arn, "PROCESSING_JOB_NAME": self.name}
        exit_code = context.run([found, *command[1:]], environment, root.path)
        if exit_code != 0:
            # The service says no more than this: it does not read the container's output.
            raise AlgorithmFailureError("", exit_code)

    def _put(self, context: JobContext) -> None:
        for output in self._outputs():
            target = output["S3Output"]
            context.s3.upload_directory(context.root.local(target["LocalPath"]), target["S3Uri"])


def _exit_message(context: JobContext) -> str | None:
    """The beginning of what the program wrote for whoever asks how it ended; None when it wrote nothing.

    Raises
    ------
    ClientFailureError
        When it is not UTF-8.
    """
    file = context.root.local(_MESSAGE)
    if not file.is_file():
        return None
    content = file.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise ClientFailureError(f"{_MESSAGE} is not UTF-8: {error}") from error
    return content[:_MAX_EXIT_MESSAGE_BYTES].decode(errors="ignore")
