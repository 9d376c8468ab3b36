"""What the SageMaker jobs of a run wrote: their log streams in CloudWatch, read as the SageMaker SDK reads them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.operations.training import execution_arn, execution_status
from everloop.names import PROCESSING_JOB_LOGS, TRAINING_JOB_LOGS, ModelNames
from everloop.registry.exceptions import UnknownRunError
from everloop.registry.restorations import RESTORE

LOOK_SECONDS = 2.0
"""How often a log that is followed is asked for: CloudWatch answers 25 such requests a second for the whole account."""


@dataclass(frozen=True)
class RunJob:
    """A SageMaker job of a run, by what it is for."""

    purpose: str
    group: str
    name: str


@dataclass(frozen=True)
class LogLine:
    """A line that a job wrote."""

    at: datetime
    purpose: str
    text: str

    def shown(self) -> str:
        """The line as people read it."""
        return f"{self.at:%Y-%m-%d %H:%M:%S}  {self.purpose:<11} | {self.text}"


def jobs_of(model: str, run_id: str) -> list[RunJob]:
    """The jobs that a run may start, in the order in which it does: one that begins ends the one before it."""
    names = ModelNames(model)
    first, refit = f"{names.job_prefix}{run_id}", f"{names.refit_prefix}{run_id}"
    evaluation = RunJob("evaluation", PROCESSING_JOB_LOGS, first)
    if run_id.startswith(f"{RESTORE}-"):
        return [evaluation]
    return [
        RunJob("training", TRAINING_JOB_LOGS, first),
        evaluation,
        RunJob("refit", TRAINING_JOB_LOGS, refit),
        RunJob("refit check", PROCESSING_JOB_LOGS, refit),
    ]


@dataclass
class JobLogs:
    """The logs of one run's jobs, from their first line on; each line once.

    Parameters
    ----------
    client : botocore client
        Of CloudWatch Logs.
    jobs : list of RunJob
        In the order in which they run.
    """

    client: Any
    jobs: list[RunJob]
    _read: dict[str, dict[str, Any]] = field(default_factory=dict)
    _looked_at: float | None = None

    def new_lines(self, *, at_once: bool = False) -> Iterator[LogLine]:
        """The lines written since the last look. Looks no more often than ``LOOK_SECONDS``, unless ``at_once``."""
        now = time.monotonic()
        if not at_once and self._looked_at is not None and now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        begun = len(self._read)
        for job in self.jobs[max(begun - 1, 0) :]:
            streams = self._streams(job)
            if not streams:
                return
            yield from self._lines(job, streams)

    def _lines(self, job: RunJob, streams: list[str]) -> Iterator[LogLine]:
        # Now, not with the module: it takes a second, which only who reads logs shall wait.
        from sagemaker.core.logs import Position, multi_stream_iter

        read = self._read.setdefault(f"{job.group}/{job.name}", {})
        read.update({stream: Position(0, 0) for stream in streams if stream not in read})
        for index, event in multi_stream_iter(self.client, job.group, streams, dict(read)):
            before, at = read[streams[index]], event["timestamp"]
            read[streams[index]] = Position(at, before.skip + 1 if at == before.timestamp else 1)
            yield LogLine(datetime.fromtimestamp(at / 1000, UTC), job.purpose, event["message"])

    def _streams(self, job: RunJob) -> list[str]:
        """The streams of a job, one for each of its machines; none before its container has written."""
        pages = self.client.get_paginator("describe_log_streams").paginate(
            logGroupName=job.group, logStreamNamePrefix=f"{job.name}/"
        )
        try:
            return sorted(stream["logStreamName"] for page in pages for stream in page["logStreams"])
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":  # the account's first job makes it
                return []
            raise


def run_logs(account: Account, model: str, run_id: str, *, follow: bool) -> Iterator[LogLine]:
    """Yield what the jobs of a run have written; with ``follow`` go on until its last job has ended.

    That is when a version has come of the run: its rollout may go on for days, and no job writes in it.

    Raises
    ------
    CommandError
        With ``follow``: the model has no such execution.
    """
    client, arn = account.client("stepfunctions"), execution_arn(account, model, run_id)
    logs = JobLogs(account.client("logs"), jobs_of(model, run_id))
    # Asked before each look, so that what was written before the end is read.
    while follow and execution_status(client, arn) == "RUNNING" and not _is_judged(account, model, run_id):
        yield from logs.new_lines()
        time.sleep(LOOK_SECONDS)
    yield from logs.new_lines(at_once=True)


def _is_judged(account: Account, model: str, run_id: str) -> bool:
    try:
        return account.registry(model).runs.get(run_id).version is not None
    except UnknownRunError:  # its first step has not been taken yet
        return False


def require_run(account: Account, model: str, run_id: str) -> None:
    """Refuse a run that neither the registry nor Step Functions knows.

    Step Functions forgets an execution after 90 days, the registry has no run that failed before it was opened.

    Raises
    ------
    CommandError
    """
    try:
        account.registry(model).runs.get(run_id)
    except UnknownRunError:
        execution_status(account.client("stepfunctions"), execution_arn(account, model, run_id))
