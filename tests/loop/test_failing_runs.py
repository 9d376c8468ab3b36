"""What ends badly: in the canary, in the training script, by a hand that stops it. The champion answers throughout.

The first of these runs is asked for twice.

A candidate reaches its canary only over labels that the champion has not learned from. So these tests stand, by their
file's name, before those that let the schedule train on the last of them.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner

from everloop.cli.exceptions import RunActiveError
from everloop.cli.main import everloop
from everloop.cli.operations.training import execution_arn, start_training
from everloop.registry.states import State
from everloop.retraining.requests import RetrainingRequest, WindowTrigger, send
from tests.helpers.present import present
from tests.loop.standing_cloud import Loop

pytestmark = pytest.mark.xdist_group("loop")

CRASHING = """
def train(features, target, *, seed, parameters):
    rows = len(features)
    raise ValueError(f"the snow of {rows > 0} winters is missing")
"""


def typed(*words: str) -> str:
    """What a command says."""
    found = CliRunner().invoke(everloop, words)
    assert found.exit_code == 0, found.output or repr(found.exception)
    return found.output


def shares(loop: Loop) -> dict[str, float]:
    """The share of each function version behind the alias."""
    alias = loop.account.client("lambda").get_alias(FunctionName=loop.model.predict_function, Name=loop.model.alias)
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return {alias["FunctionVersion"]: 1 - sum(weights.values()), **weights}


def start_canary(loop: Loop, run_id: str) -> None:
    """Return once the run's candidate has its first share of the traffic."""
    loop.wait_until(lambda: len(shares(loop)) == 2 or loop.executions().get(run_id) not in (None, "RUNNING"))
    run = loop.store.runs.get(run_id)
    refused = [reason["sentence"] for reason in run.gate_reasons if not reason["passed"]]
    assert len(shares(loop)) == 2, (run.status, run.cause, refused)


def versions_that_answer(loop: Loop, requests: int = 10) -> set[int]:
    answers = [loop.post({"instances": loop.instances(1)}) for _ in range(requests)]
    assert {status for status, _ in answers} == {200}
    return {answer["version"] for _, answer in answers}


@contextmanager
def altered(loop: Loop, key: str) -> Iterator[None]:
    """Other bytes in place of an artefact, and the right ones afterwards."""
    s3, bucket = loop.account.client("s3"), loop.account.platform.artifact_bucket
    right = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=right[:-1] + bytes([right[-1] ^ 1]))
    try:
        yield
    finally:
        s3.put_object(Bucket=bucket, Key=key, Body=right)


@contextmanager
def training_script(loop: Loop, text: str) -> Iterator[None]:
    """Another training script in the archive that the pipeline's jobs are started with."""
    s3 = loop.account.client("s3")
    machine = loop.account.client("stepfunctions").describe_state_machine(stateMachineArn=loop.model.state_machine_arn)
    train = json.loads(machine["definition"])["States"]["Train"]["Parameters"]
    bucket, _, key = train["HyperParameters"]["sagemaker_submit_directory"].removeprefix("s3://").partition("/")
    right = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=_with_script(right, text.encode()))
    try:
        yield
    finally:
        s3.put_object(Bucket=bucket, Key=key, Body=right)


def _with_script(archive: bytes, script: bytes) -> bytes:
    written = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as before,
        tarfile.open(fileobj=written, mode="w:gz") as after,
    ):
        for member in before.getmembers():
            content = before.extractfile(member)
            data = content.read() if content else b""
            if member.name.removeprefix("./") == "user_model/train.py":
                data, member.size = script, len(script)
            after.addfile(member, io.BytesIO(data))
    return written.getvalue()


def requested_twice(loop: Loop) -> RetrainingRequest:
    """Somebody's request on the bus, delivered twice: one run is active, and nobody starts another beside it."""
    now, before = loop.now(), loop.executions()
    trigger: WindowTrigger = {"kind": "drift", "reason": "a test asks", "requested_at": now, "window_end": now}
    request = RetrainingRequest(loop.name, trigger, [{"code": "asked", "sentence": "a test asks"}])
    for _ in range(2):
        send(request, loop.account.client("events"), loop.account.platform.event_bus, at=now)
    active = loop.wait_until(loop.store.runs.active)
    assert active.run_id == request.execution_name
    # `everloop train` says which run it is, and starts nothing
    with pytest.raises(RunActiveError, match=active.run_id):
        start_training(loop.account, loop.name, reason="at the same time")
    assert set(loop.executions()) - set(before) == {request.execution_name}
    return request


def test_a_candidate_that_fails_its_requests_is_taken_back_by_the_guardrail(loop: Loop) -> None:
    # GIVEN a candidate in its canary whose model is not the one that was registered
    champion, before = present(loop.store.versions.champion()), shares(loop)
    request = requested_twice(loop)
    run_id, executions = request.execution_name, loop.executions()
    start_canary(loop, run_id)
    candidate = loop.store.versions.get(loop.store.rollouts.get(run_id).version)
    assert candidate.state is State.STAGING
    with altered(loop, candidate.artifact_prefix + "model.onnx"):
        loop.end_workers()  # one was asked unseen, and has the right one
        failed = 0
        for _ in range(200):
            status, answer = loop.post({"instances": loop.instances(1)})
            failed += status == 503
            assert status == 503 or answer["version"] == champion.version
            if failed == 4:
                break
        assert failed == 4
        # WHEN the step's time is over
        loop.advance(hours=2, minutes=5)
        loop.wait_until(lambda: loop.executions()[run_id] != "RUNNING")
    # THEN all of the traffic is the champion's again, and every request is answered
    assert shares(loop) == before
    assert versions_that_answer(loop) == {champion.version}
    assert loop.store.versions.champion() == champion
    assert loop.store.versions.get(champion.version).state is State.PRODUCTION
    # AND the rollout, the version and the run say why
    rollout, run = loop.store.rollouts.get(run_id), loop.store.runs.get(run_id)
    assert (rollout.status, rollout.percent) == ("rolled_back", 0)
    # Where chance brought it few requests, it is also found to fail more often than the champion.
    first = rollout.reasons[0]
    assert [reason["code"] for reason in rollout.reasons] in (["error_rate"], ["error_rate", "added_errors"])
    assert first["sentence"].startswith("4 of ")
    told = "; ".join(reason["sentence"] for reason in rollout.reasons)
    version = loop.store.versions.get(candidate.version)
    assert (version.state, version.reason) == (State.EXPERIMENTING, told)
    assert (run.status, run.cause) == ("rolled_back", told)
    assert loop.executions()[run_id] == "SUCCEEDED"
    # AND the request of it delivered yet again starts nothing either
    send(request, loop.account.client("events"), loop.account.platform.event_bus, at=loop.now())
    # AND the alarm of the altered model does not stay
    loop.advance(minutes=30)
    assert loop.alarm("faults") == "OK"
    assert set(loop.executions()) == set(executions)
    assert [run.run_id for run in loop.store.runs.all()].count(run_id) == 1


def test_a_crashing_training_script_closes_the_run_with_its_last_lines(loop: Loop) -> None:
    champion, before = present(loop.store.versions.champion()), shares(loop)
    with training_script(loop, CRASHING):
        run_id = start_training(loop.account, loop.name, reason="a script that crashes")
        loop.wait_until(lambda: loop.executions().get(run_id) not in (None, "RUNNING"))
    assert loop.executions()[run_id] == "FAILED"
    run = loop.store.runs.get(run_id)
    assert run.status == "failed"
    assert "train.py line 4: ValueError: the snow of True winters is missing" in present(run.cause)
    assert 'raise ValueError(f"the snow of {rows > 0} winters is missing")' in present(run.cause)
    # THEN a person sees it without looking for a log
    (listed,) = [r for r in json.loads(typed("runs", "list", loop.name, "--json")) if r["run_id"] == run_id]
    assert (listed["status"], listed["cause"]) == ("failed", run.cause)
    assert "the snow of True winters is missing" in " ".join(typed("runs", "list", loop.name).split())
    (newest, *_) = json.loads(typed("status", loop.name, "--json"))[0]["runs"]
    assert (newest["run_id"], newest["status"], newest["cause"]) == (run_id, "failed", run.cause)
    # AND nothing else has changed
    assert (loop.store.versions.champion(), shares(loop), loop.store.runs.active()) == (champion, before, None)
    assert loop.store.versions.get(champion.version).state is State.PRODUCTION


def test_a_byte_that_changed_in_a_training_set_stops_the_next_run_on_its_rows(loop: Loop) -> None:
    # GIVEN the training set of the run before, with another byte in each of its files
    s3, bucket = loop.account.client("s3"), loop.account.platform.lake_bucket
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"datasets/{loop.name}/")
    keys = [item["Key"] for page in pages for item in page["Contents"] if "/train/" in item["Key"]]
    right = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    for key, content in right.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content[:-1] + bytes([content[-1] ^ 1]))
    try:
        run_id = start_training(loop.account, loop.name, reason="a byte changed")
        loop.wait_until(lambda: loop.executions().get(run_id) not in (None, "RUNNING"))
    finally:
        for key, content in right.items():
            s3.put_object(Bucket=bucket, Key=key, Body=content)
    # THEN nothing is trained, the run says why, and the first version of each file is still there
    run = loop.store.runs.get(run_id)
    assert run.status == "failed"
    assert "the files of channel 'train' are not those of the snapshot" in present(run.cause)
    versions = s3.list_object_versions(Bucket=bucket, Prefix=keys[0])["Versions"]
    first = min(versions, key=lambda version: version["LastModified"])["VersionId"]
    assert len(versions) == 3
    assert s3.get_object(Bucket=bucket, Key=keys[0], VersionId=first)["Body"].read() == right[keys[0]]


@pytest.fixture
def other_settings(loop: Loop) -> Iterator[None]:
    """Settings of the function that are not those which serve: a rollout brings them to traffic."""
    client, name = loop.account.client("lambda"), loop.model.predict_function
    before = client.get_function_configuration(FunctionName=name)["Timeout"]
    client.update_function_configuration(FunctionName=name, Timeout=before + 1)
    yield
    client.update_function_configuration(FunctionName=name, Timeout=before)


def test_a_stopped_canary_is_alarmed_and_taken_back_by_releasing_its_run(loop: Loop, other_settings: None) -> None:
    # GIVEN a canary whose execution somebody stopped
    before = shares(loop)
    run_id = json.loads(typed("rollout", "start", loop.name, "--reason", "a longer limit", "--json"))["run_id"]
    start_canary(loop, run_id)
    refused = CliRunner().invoke(everloop, ["rollout", "back", loop.name, "--reason", "too early"])
    assert "is running" in str(refused.exception)
    arn = execution_arn(loop.account, loop.name, run_id)
    loop.account.client("stepfunctions").stop_execution(executionArn=arn, cause="a test stops it")
    loop.wait_until(lambda: loop.executions()[run_id] == "ABORTED")
    # THEN it keeps its traffic, and the pager knows
    assert loop.raises("pipeline-aborted")
    assert len(shares(loop)) == 2
    # WHEN its run is released
    told = typed("runs", "release", loop.name, run_id, "--reason", "it was stopped")
    # THEN the traffic is where it was, and the next run may start
    assert "rolled_back" in told
    assert shares(loop) == before
    rollout: Any = loop.store.rollouts.get(run_id)
    assert (rollout.status, rollout.reasons[0]["code"]) == ("rolled_back", "taken_back")
    assert (loop.store.runs.get(run_id).status, loop.store.runs.active()) == ("released", None)
    assert versions_that_answer(loop) == {present(loop.store.versions.champion()).version}
