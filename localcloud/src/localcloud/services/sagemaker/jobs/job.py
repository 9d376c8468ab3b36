"""The life of a job: a thread that brings it from InProgress to its final status, and what Describe shows."""

from __future__ import annotations

import logging
import shutil
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from localcloud.core.context import CloudContext
from localcloud.core.preloaded.preloading import Preloading
from localcloud.iam.roles import role_credentials
from localcloud.services.sagemaker.jobs.exceptions import AlgorithmFailureError, JobFailedError, JobStoppedError
from localcloud.services.sagemaker.jobs.logs import LogStream
from localcloud.services.sagemaker.jobs.process import JobProcess
from localcloud.services.sagemaker.jobs.registry import JOBS
from localcloud.services.sagemaker.jobs.root import JobRoot
from localcloud.services.sagemaker.jobs.transfer import S3Transfer

LOG = logging.getLogger(__name__)
_SERVICE_PRINCIPAL = "sagemaker.amazonaws.com"
_MAX_REASON = 1024
DEFAULT_VOLUME_GB = 30
"""Of a job whose request names no size."""


@dataclass(frozen=True)
class JobContext:
    """What a running job works with: its root, its role's S3, its log and its process."""

    root: JobRoot
    s3: S3Transfer
    log: LogStream
    environment: Mapping[str, str]
    process: JobProcess
    limit_seconds: float
    user_environment: Mapping[str, str]

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        *,
        limit_seconds: float | None = None,
    ) -> int:
        """Run the job's program; the exit code. The request's Environment wins over ``environment``.

        ``limit_seconds`` is what is left of the job's time, where it ran before.
        """
        users = {name: self.root.rewrite(value) for name, value in self.user_environment.items()}
        return self.process.run(
            command,
            {**self.root.base_environment(), **self.environment, **environment, **users},
            directory,
            self.limit_seconds if limit_seconds is None else limit_seconds,
        )

    def last_lines(self) -> deque[str]:
        """The end of the program's output."""
        return self.process.last_lines


class Job:
    """A job of any kind. Subclasses say what it does in :meth:`work`."""

    kind: str
    log_group: str

    def __init__(
        self, context: CloudContext, request: dict[str, Any], arn: str, preloading: Preloading | None = None
    ) -> None:
        self._context = context
        self._preloading = preloading or Preloading((), {})
        self._process: JobProcess | None = None
        self._stopping = threading.Event()
        self.request = request
        self.arn = arn
        self.name: str = request[f"{self.kind}Name"]
        self.status = "InProgress"
        self.phase = "Starting"
        self.failure_reason: str | None = None
        self.exit_message: str | None = None
        self.created_at = context.clock.now()
        self.started_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.changed_at = self.created_at
        self.real_seconds = 0
        self.transitions: list[dict[str, Any]] = []

    @property
    def limit_seconds(self) -> float:
        """For how many real seconds the program may run."""
        raise NotImplementedError

    @property
    def volume_gb(self) -> int:
        """The size of the job's storage volume, in GB."""
        raise NotImplementedError

    def work(self, context: JobContext) -> None:
        """Do the job."""
        raise NotImplementedError

    def start(self, on_end: Callable[[Job], None]) -> None:
        """Begin; the activity token is taken before this returns and given back after ``on_end``."""
        label = f"job {self.name}"
        self._context.activity.enter(label)
        JOBS.begin(self.kind, self.name)
        self.enter_phase("Starting", "Starting the job")
        threading.Thread(target=self._live, args=(label, on_end), name=label, daemon=True).start()

    def stop(self) -> None:
        """Ask the job to stop; it ends as Stopped."""
        if self.ended_at is None:
            self.status = "Stopping"
            self._stopping.set()
            if self._process is not None:
                self._process.stop()

    def enter_phase(self, phase: str, message: str) -> None:
        """Note a secondary status.

        Raises
        ------
        JobStoppedError
            When the job was asked to stop in between.
        """
        if self._stopping.is_set():
            raise JobStoppedError(timed_out=False)
        self._note(phase, message)

    def _note(self, phase: str, message: str) -> None:
        now = self._context.clock.now()
        if self.transitions:
            self.transitions[-1].setdefault("EndTime", now)
        self.transitions.append({"Status": phase, "StartTime": now, "StatusMessage": message})
        self.phase, self.changed_at = phase, now

    def _live(self, label: str, on_end: Callable[[Job], None]) -> None:
        began = time.monotonic()
        self.started_at = self._context.clock.now()
        status, phase = "Failed", "Failed"
        try:
            self._work_in_root()
            status = phase = "Completed"
        except JobStoppedError as stopped:
            status, phase = "Stopped", "MaxRuntimeExceeded" if stopped.timed_out else "Stopped"
        except JobFailedError as failed:
            self.failure_reason = str(failed)[:_MAX_REASON]
            if isinstance(failed, AlgorithmFailureError):
                # The exit code at the end is worth more than the middle of a long output.
                tail = f", exit code: {failed.exit_code}"
                self.failure_reason = str(failed).removesuffix(tail)[: _MAX_REASON - len(tail)] + tail
        except Exception as error:
            LOG.exception("job %s ended by an error of the local cloud", self.name)
            self.failure_reason = f"InternalServerError: {type(error).__name__}: {error}"[:_MAX_REASON]
        finally:
            self.real_seconds = round(time.monotonic() - began)
            self._note(phase, self.failure_reason or "")
            self.transitions[-1]["EndTime"] = self.ended_at = self._context.clock.now()
            self.status = status
            try:
                on_end(self)
            finally:
                JOBS.end(self.kind, self.name)
                self._context.activity.leave(label)

    def _work_in_root(self) -> None:
        credentials = role_credentials(
            self._context, self.request["RoleArn"], "SageMaker", _SERVICE_PRINCIPAL, self.arn
        )
        stream = f"{self.name}/algo-1-{int(self.created_at.timestamp())}"
        log = LogStream(self._context, self.log_group, stream)
        self._process = JobProcess(log)
        directory = self._context.state_directory / "jobs" / f"{self.name}-{uuid.uuid4().hex[:8]}"
        with self._preloading.interpreter() as interpreter:
            self._work_with(JobRoot.create(directory, interpreter), credentials, log, self._process)

    def _work_with(self, root: JobRoot, credentials: Mapping[str, str], log: LogStream, process: JobProcess) -> None:
        context = JobContext(
            root=root,
            s3=S3Transfer(self._context.client("s3", **credentials), self.volume_gb),
            log=log,
            environment={
                "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"],
                "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
                "AWS_SESSION_TOKEN": credentials["aws_session_token"],
                "AWS_ENDPOINT_URL": self._context.endpoint,
                "AWS_DEFAULT_REGION": self._context.region,
                "AWS_REGION": self._context.region,
                "AWS_EC2_METADATA_DISABLED": "true",
            },
            process=process,
            limit_seconds=self.limit_seconds,
            user_environment=self.request.get("Environment") or {},
        )
        try:
            self.work(context)
        except JobFailedError as failed:
            log.write(str(failed))
            raise
        finally:
            log.flush()
            shutil.rmtree(root.path, ignore_errors=True)
