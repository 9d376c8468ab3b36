"""The logs of a run's jobs: every line once and in order, whatever is written between two looks."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from everloop.cli.operations import job_logs
from everloop.cli.operations.job_logs import JobLogs, RunJob, jobs_of, run_logs
from everloop.registry.exceptions import UnknownRunError

MODEL, RUN = "late_train", "train-1"
BEGIN = round(time.time() * 1000) - 60_000
"""Milliseconds; CloudWatch takes no lines of long ago."""


RUNS = itertools.count(1)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("logs", region_name="us-east-1")


def write(client: Any, job: RunJob, *lines: tuple[int, str], machine: int = 1) -> None:
    """As a job's container does; the account's first job makes the group."""
    for make, names in (
        (client.create_log_group, {"logGroupName": job.group}),
        (client.create_log_stream, {"logGroupName": job.group, "logStreamName": f"{job.name}/algo-{machine}-7"}),
    ):
        with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
            make(**names)
    client.put_log_events(
        logGroupName=job.group,
        logStreamName=f"{job.name}/algo-{machine}-7",
        logEvents=[{"timestamp": BEGIN + at, "message": text} for at, text in lines],
    )


def texts(logs: JobLogs) -> list[str]:
    return [f"{line.purpose}: {line.text}" for line in logs.new_lines(at_once=True)]


def test_the_jobs_of_a_run_are_those_that_its_pipeline_names() -> None:
    assert [(job.purpose, job.group.rpartition("/")[2], job.name) for job in jobs_of(MODEL, RUN)] == [
        ("training", "TrainingJobs", "everloop-late-train-train-1"),
        ("evaluation", "ProcessingJobs", "everloop-late-train-train-1"),
        ("refit", "TrainingJobs", "refit-late-train-train-1"),
        ("refit check", "ProcessingJobs", "refit-late-train-train-1"),
    ]
    # A version that comes back is evaluated, not trained.
    assert [job.purpose for job in jobs_of(MODEL, "restore-1")] == ["evaluation"]


def test_before_the_accounts_first_job_there_is_nothing(client: Any) -> None:
    assert texts(JobLogs(client, jobs_of(MODEL, RUN))) == []


def test_lines_come_once_job_by_job(client: Any) -> None:
    training, evaluation, *_ = jobs = jobs_of(MODEL, f"train-x{next(RUNS)}")
    logs = JobLogs(client, jobs)
    # GIVEN another run's job whose name begins alike
    write(client, RunJob("", training.group, f"{training.name}2"), (0, "of another run"))
    # WHEN a job writes, and writes again in the same millisecond; THEN each line is told once
    write(client, training, (0, "reads"), (1, "learns"))
    assert texts(logs) == ["training: reads", "training: learns"]
    write(client, training, (1, "still learns"), (2, "is done"))
    assert texts(logs) == ["training: still learns", "training: is done"]
    # WHEN its last lines arrive when the next job has begun; THEN they are told first
    write(client, training, (3, "late"))
    write(client, evaluation, (4, "judges"))
    assert texts(logs) == ["training: late", "evaluation: judges"]
    assert texts(logs) == []
    # and whoever looks for the first time is told all
    assert len(texts(JobLogs(client, jobs))) == 6


def test_a_look_waits_for_its_time(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_logs, "LOOK_SECONDS", 3600.0)  # however busy the machine is
    training, *_ = jobs = jobs_of(MODEL, f"train-x{next(RUNS)}")
    logs = JobLogs(client, jobs)
    write(client, training, (0, "reads"))
    assert [line.text for line in logs.new_lines()] == ["reads"]
    write(client, training, (1, "learns"))
    assert list(logs.new_lines()) == []
    assert texts(logs) == ["training: learns"]


def test_who_follows_a_run_waits_for_its_jobs_and_not_for_its_bake(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = f"train-x{next(RUNS)}"
    training, evaluation, *_ = jobs_of(MODEL, run)
    looks: list[str] = []

    def record(_: str) -> Any:
        """The registry's record at each look: none, one without a version, one with it; the execution goes on."""
        looks.append(run)
        write(client, training if len(looks) < 3 else evaluation, (len(looks), f"look {len(looks)}"))
        if len(looks) == 1:
            raise UnknownRunError(MODEL, run)
        return SimpleNamespace(version=None if len(looks) < 3 else 7)

    bakes = SimpleNamespace(describe_execution=lambda executionArn: {"status": "RUNNING"})
    account: Any = SimpleNamespace(
        client=lambda service: {"logs": client, "stepfunctions": bakes}[service],
        model=lambda _: SimpleNamespace(state_machine_arn="arn:aws:states:us-east-1:1:stateMachine:m"),
        registry=lambda _: SimpleNamespace(runs=SimpleNamespace(get=record)),
    )
    monkeypatch.setattr(job_logs, "LOOK_SECONDS", 0.0)
    told = [f"{line.purpose}: {line.text}" for line in run_logs(account, MODEL, run, follow=True)]
    assert told == ["training: look 1", "training: look 2", "evaluation: look 3"]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1, 2])), max_size=6), st.booleans()),
        max_size=6,
    )
)
def test_no_line_is_lost_and_none_told_twice(client: Any, batches: list[Any]) -> None:
    """Of jobs on two machines, each in its own order, with many lines in one millisecond, looked at or not."""
    told: list[str] = []
    written: dict[int, list[str]] = {1: [], 2: []}
    training, *_ = jobs = jobs_of(MODEL, f"train-x{next(RUNS)}")
    logs, at = JobLogs(client, jobs), 0
    for lines, looks in [*batches, ([], True)]:
        for step, machine in lines:
            at += step
            name = f"{machine}-{len(written[machine])}"
            write(client, training, (at, name), machine=machine)
            written[machine].append(name)
        if looks:
            told += [line.text for line in logs.new_lines(at_once=True)]
    for machine, names in written.items():
        assert [text for text in told if text.startswith(f"{machine}-")] == names
