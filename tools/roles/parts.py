"""The parts of the loop that roles belong to, each run so that it comes to the statements of those roles."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from everloop.cli.operations.history import import_rows
from everloop.cli.operations.training import start_training, verdict_of
from everloop.names import CHAMPION_PROMOTED, REGISTRY_SOURCE, ModelNames
from everloop.registry import keys
from everloop.retraining.requests import RetrainingRequest, WindowTrigger, send
from tests.loop.standing_cloud import ACTIVE, Loop
from tools.roles.statements import RoleStatement

Part = Callable[[Loop], str]
"""Runs a part of the loop, and says how it ended."""

KEPT_ESTIMATOR = "estimator.zip"
"""What only a training reads that continues a version."""

NEWER_DAYS = 2


def part_of(statement: RoleStatement) -> Part:
    """The part of the loop that comes to a statement."""
    role, conditions = statement.role, statement.conditions
    if role == "Functions/Registry" and "WINDOWS#" in conditions:
        return ask  # only a run that a window asked for reads it
    if role == "Pipeline/Jobs/Evaluate" and "WINDOWS#" in conditions:
        return train_on_newer  # only a champion that has not learned from all test rows is compared as it serves
    if role == "Functions/Rollout" and any("/serving/" in one for one in statement.resources):
        return archive
    if role == "Functions/Rollout" and "kms:GetPublicKey" in statement.actions:
        return roll_out_anew
    if role == "Functions/Rollout" and {"lambda:ListAliases", "s3:GetObject"} & set(statement.actions):
        return reconcile
    if KEPT_ESTIMATOR in conditions:
        return continue_refit if role.endswith("/Refit") else continue_training
    return next(part for pattern, part in PARTS.items() if fnmatchcase(role, pattern))


def serve(loop: Loop) -> str:
    """A request to fresh workers, and what arrives in the lake."""
    loop.end_workers()
    before = len(loop.lake_predictions())
    status, _ = loop.post({"instances": loop.instances(1)})
    loop.advance(minutes=20)
    captured = len(loop.lake_predictions()) - before
    return f"a request is answered with {status}, {'captured' if captured else 'not captured'}"


def label(loop: Loop) -> str:
    """A label, and whether it arrives in the lake."""
    before = len(loop.lake_labels())
    body = {"labels": [{"key": f"ablation-{time.monotonic()}", "label": 3.0}]}
    status, _ = loop.post(body, url=loop.model.labels_url)
    loop.advance(minutes=20)
    return f"labels are answered with {status}, {'stored' if len(loop.lake_labels()) > before else 'not stored'}"


def watch(loop: Loop) -> str:
    """The next monitoring."""
    (before,) = loop.store.windows.latest(1)
    loop.advance(hours=24)
    (latest,) = loop.store.windows.latest(1)
    return "a window is recorded" if latest.end != before.end else "no window is recorded"


def ask(loop: Loop) -> str:
    """A retraining request on the bus."""
    now = loop.now()
    trigger: WindowTrigger = {"kind": "drift", "reason": f"ablation at {now}", "requested_at": now, "window_end": now}
    request = RetrainingRequest(loop.name, trigger, [{"code": "asked", "sentence": "an ablation asks"}])
    send(request, loop.account.client("events"), loop.account.platform.event_bus, at=now)
    loop.advance(minutes=15)
    return _ended(loop, request.execution_name) if request.execution_name in loop.executions() else "no run starts"


def train(loop: Loop) -> str:
    """A whole run."""
    return _ended(loop, start_training(loop.account, loop.name, reason="ablation"))


def continue_training(loop: Loop) -> str:
    """A whole run that continues what serves."""
    return _ended(loop, start_training(loop.account, loop.name, reason="ablation", update="warm"))


def train_on_newer(loop: Loop) -> str:
    """A whole run after days that nothing has learned from, so that candidate and champion are compared there."""
    loop.advance(hours=24 * NEWER_DAYS + 1)
    for _ in range(12):
        if loop.store.runs.active() is None:
            break
        loop.advance(hours=1)
    import_rows(loop.account, loop.declaration, _newer(loop), place="the days that have passed")
    return train(loop)


def _newer(loop: Loop) -> pd.DataFrame:
    """The last days of the stream once more, as rows of the days before yesterday's end, labelled by now."""
    stream, declared = loop.data.stream, loop.declaration.data
    after = stream["time"].max().floor("D") + pd.Timedelta(days=1)
    later = pd.Timestamp(loop.now() - timedelta(days=1)).floor("D") - after
    rows = stream[stream["time"] >= after - pd.Timedelta(days=NEWER_DAYS)]
    keys = rows[declared.key].astype(str) + f"-{later.days}"
    newer: pd.DataFrame = rows.assign(**{"time": rows["time"] + later, declared.key: keys})
    return newer.rename(columns={"time": declared.time})


def roll_out(loop: Loop) -> str:
    """The champion under code that differs by a file, with the bake to its end."""
    client, name = loop.account.client("lambda"), ModelNames(loop.name).function("predict")
    client.update_function_code(FunctionName=name, ZipFile=_changed(loop, _deployed_code(loop, name)))
    champion = loop.store.versions.champion()
    assert champion is not None
    run = start_training(loop.account, loop.name, reason="ablation", kind="rollout", version=champion.version)
    return _ended(loop, run)


def reconcile(loop: Loop) -> str:
    """A look at what is deployed, on its schedule: an alias that somebody made is there to be found."""
    client, named = loop.account.client("lambda"), {"FunctionName": ModelNames(loop.name).function("predict")}
    client.create_alias(**named, Name="ablation", FunctionVersion="$LATEST")
    loop.cloud.running.advance(loop.now() + timedelta(hours=24))
    client.delete_alias(**named, Name="ablation")
    last = loop.store.reconciliations.latest()
    found = last is not None and any(reason["code"] == "unknown_alias" for reason in last.reasons)
    loop.cloud.running.advance(loop.now() + timedelta(hours=24))
    return f"an alias made by hand is {'noted' if found else 'not noted'}"


def archive(loop: Loop) -> str:
    """The event of a change of what serves, and whether its manifest is archived."""
    bucket, prefix = loop.account.platform.artifact_bucket, ModelNames(loop.name).serving_prefix
    s3, named = loop.account.client("s3"), {"Bucket": bucket, "Prefix": prefix}
    before = s3.list_objects_v2(**named)["KeyCount"]
    detail = {"model": loop.name, "version": 1, "kind": "version", "rollout_id": f"ablation-{time.time_ns():x}"}
    entry = {"Source": REGISTRY_SOURCE, "DetailType": CHAMPION_PROMOTED, "Detail": json.dumps(detail)}
    bus = loop.account.platform.event_bus
    loop.account.client("events").put_events(Entries=[{**entry, "Time": loop.now(), "EventBusName": bus}])
    loop.cloud.running.advance(loop.now() + timedelta(minutes=20))
    return f"a manifest is {'archived' if s3.list_objects_v2(**named)['KeyCount'] > before else 'not archived'}"


def _deployed_code(loop: Loop, function: str) -> dict[str, str]:
    for file in (loop.cloud.running.state_directory / "stacks").glob("EverloopModel-*.json"):
        for resource in json.loads(file.read_text(encoding="utf-8"))["resources"].values():
            if resource["properties"].get("FunctionName") == function:
                code: dict[str, str] = resource["properties"]["Code"]
                return code
    raise LookupError(f"no deployed stack has the function {function}")


def _changed(loop: Loop, code: dict[str, str]) -> bytes:
    found = loop.account.client("s3").get_object(Bucket=code["S3Bucket"], Key=code["S3Key"])
    buffer = io.BytesIO(found["Body"].read())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(f"deployed_{time.time_ns()}.txt", "again")
    return buffer.getvalue()


def _ended(loop: Loop, run_id: str) -> str:
    """How a run ends, once it has been let go on."""
    for _ in range(12):
        if loop.executions().get(run_id) != ACTIVE:
            break
        loop.post({"instances": loop.instances(1)})
        loop.advance(hours=1)
    arn = f"{loop.model.state_machine_arn.replace(':stateMachine:', ':execution:')}:{run_id}"
    return f"a run ends {verdict_of(loop.account, loop.name, run_id).status}{_failed(loop, arn)}"


def _failed(loop: Loop, arn: str) -> str:
    entered = [state for state, event in _history(loop, arn) if "stateEnteredEventDetails" in event]
    failed = next((entered[i - 1] for i, name in enumerate(entered) if name in _FAILURES and i), None)
    return f", {failed} failed" if failed else ""


def _history(loop: Loop, arn: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of an execution, each with the state that was entered last."""
    state = ""
    pages = loop.account.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
    for page in pages:
        for event in page["events"]:
            state = event.get("stateEnteredEventDetails", {}).get("name", state)
            yield state, event


_FAILURES = ("CloseFailed", "RollBackAfterFailure", "RefitFailed", "Failed", "CloseUntrained")


def probe(loop: Loop) -> str:
    """A fresh probe of the first window, as if there had been none."""
    client = loop.account.client("stepfunctions")
    machine = loop.model.state_machine_arn.replace("-pipeline", "-probe")
    executions = client.get_paginator("list_executions").paginate(stateMachineArn=machine).build_full_result()
    first = client.describe_execution(executionArn=executions["executions"][-1]["executionArn"])["input"]
    _forget(loop, json.loads(first)["window_end"])
    arn = client.start_execution(stateMachineArn=machine, name=f"probe-{time.time_ns():x}", input=first)["executionArn"]
    for _ in range(12):
        loop.advance(minutes=10)  # a refusal is tried again
        status = client.describe_execution(executionArn=arn)["status"]
        if status != ACTIVE:
            break
    return f"a probe ends {status.lower()}{_failed(loop, arn)}"


def _forget(loop: Loop, window_end: str) -> None:
    """Delete the probes' record of a window, which answers whoever asks for the same again."""
    client, table = loop.account.client("dynamodb"), loop.account.platform.table
    owned = {":p": {"S": keys.probes_partition(loop.name)}}
    found = client.query(TableName=table, KeyConditionExpression="pk = :p", ExpressionAttributeValues=owned)
    for item in found["Items"]:
        if window_end.removesuffix("Z") in item["sk"]["S"]:
            client.delete_item(TableName=table, Key={name: item[name] for name in ("pk", "sk")})


def refit(loop: Loop) -> str:
    """The refit's job, with the request that a run sent."""
    return _again(loop, "Refit", _request(loop, "Refit"))


def check_refit(loop: Loop) -> str:
    """The job that checks a refit, with the request that a run sent."""
    return _again(loop, "CheckRefit", _request(loop, "CheckRefit"))


def continue_refit(loop: Loop) -> str:
    """The job of a refit that continues a version: a refit's request, with what such a training has beyond another."""
    try:
        continued = _request(loop, "Continue")
    except LookupError:
        continue_training(loop)
        continued = _request(loop, "Continue")
    request, train = _request(loop, "Refit"), _request(loop, "Train")
    usual = {channel["ChannelName"] for channel in train["InputDataConfig"]}
    channels = [channel for channel in continued["InputDataConfig"] if channel["ChannelName"] not in usual]
    request["InputDataConfig"] += channels
    # Both name the hashes of their rows; those of the refit's own stand in its request.
    of_parent = {name: value for name, value in continued["Environment"].items() if name not in train["Environment"]}
    request["Environment"] |= of_parent
    return _again(loop, "ContinueInRefit", request)


def _request(loop: Loop, state: str) -> dict[str, Any]:
    """The newest request for a job that a state of the pipeline sent."""
    found: dict[str, Any] | None = None
    for name in loop.executions():
        arn = f"{loop.model.state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        for entered, event in _history(loop, arn):
            if entered == state and "taskScheduledEventDetails" in event:
                found = json.loads(event["taskScheduledEventDetails"]["parameters"])
    if found is None:
        raise LookupError(f"no run has come to {state}")
    return found


def _again(loop: Loop, state: str, request: dict[str, Any]) -> str:
    """Ask for a job once more, under another name."""
    client, name = loop.account.client("sagemaker"), f"refit-{time.time_ns():x}"
    kind = "Training" if "TrainingJobName" in request else "Processing"
    create, describe = (getattr(client, f"{verb}_{kind.lower()}_job") for verb in ("create", "describe"))
    named = {f"{kind}JobName": name}
    create(**{**request, **named})
    ended = loop.wait_until(lambda: (s := describe(**named)[f"{kind}JobStatus"]) != "InProgress" and s)
    return f"the job of {state}, asked for once more, ends {ended.lower()}"


def roll_out_anew(loop: Loop) -> str:
    """The same by fresh workers: the key is read once in the life of one."""
    loop.end_workers()
    return roll_out(loop)


PARTS: dict[str, Part] = {
    "Functions/Predict": serve,
    "Capture/Predictions": serve,
    "Functions/Labels": label,
    "Capture/Labels": label,
    "Functions/Monitor": watch,
    "Monitor/ScheduleRole": watch,
    "Reconciliation/ScheduleRole": reconcile,
    "Functions/Starter": ask,
    "Functions/Rollout": roll_out,
    "Functions/Probe": probe,
    "Probes": probe,
    "Pipeline/Jobs/Probe": probe,
    "Pipeline/Jobs/Refit": refit,
    "Pipeline/Jobs/CheckRefit": check_refit,
    "*": train,
}
