"""The parts of the loop that only a model on a SageMaker endpoint has, in the cloud of the tests of endpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from everloop.cli.operations.endpoints import delete_endpoint
from tests.helpers.artifacts import small_model
from tests.helpers.registry_scenes import close_run
from tests.loop.test_endpoint import ENDPOINT, MODEL, SHADOW_ROWS, Cloud, look_at_shadow, start, try_broken
from tools.roles.statements import RoleStatement

EndpointPart = Callable[[Cloud], str]

CAUSE = "ablation"


def is_of_endpoint(statement: RoleStatement) -> bool:
    """Whether no model has the statement but one on an endpoint."""
    if statement.role == "Endpoint":
        return True
    if asks_unseen(statement):
        return True
    if scales(statement):
        return True
    of_sagemaker = all(action.startswith("sagemaker:") for action in statement.actions)
    return statement.role.startswith("Functions/") and (of_sagemaker or "<EndpointRole>" in statement.resources)


def own_actions(statement: RoleStatement) -> tuple[str, ...]:
    """The actions of a statement that only a model on an endpoint has, where it is not one action alone."""
    if not statement.role.startswith("Functions/") or len(statement.actions) == 1:
        return ()
    to_look = ("lambda:GetAlias",) if statement.role == "Functions/Monitor" else ()
    return tuple(a for a in statement.actions if a.startswith("sagemaker:") or a in to_look or scales(statement))


def asks_unseen(statement: RoleStatement) -> bool:
    """Whether a rollout has the statement for its shadow alone."""
    asks = any(action.startswith(("athena:", "glue:")) for action in statement.actions)
    of_the_lake = asks or any(resource.startswith("<StorageLake>") for resource in statement.resources)
    return statement.role == "Functions/Rollout" and of_the_lake


def scales(statement: RoleStatement) -> bool:
    """Whether a rollout has the statement for instances that follow requests."""
    by_service = all(action.startswith("application-autoscaling:") for action in statement.actions)
    of_service = all("TargetTracking" in r or ".application-autoscaling." in r for r in statement.resources)
    return statement.role == "Functions/Rollout" and (by_service or of_service)


def part_of(statement: RoleStatement, action: str = "") -> EndpointPart:
    """The part that comes to a statement, or to one action of it."""
    if action in ("sagemaker:CreateEndpoint", "sagemaker:DeleteEndpoint"):
        return begin
    if statement.role == "Functions/Predict" or "firehose:PutRecordBatch" in statement.actions:
        return serve
    if statement.role == "Functions/Rollout" and any("/artifacts/" in one for one in statement.resources):
        return roll_out  # a version's signature is read before it is published, unseen or not
    if asks_unseen(statement) or action == "sagemaker:InvokeEndpoint":
        return try_unseen
    return watch if statement.role == "Functions/Monitor" else roll_out


def serve(cloud: Cloud) -> str:
    """A request, and whether what the container captured arrives in the lake."""
    before = _captured(cloud)
    status, _ = cloud.ask(f"ablation-{time.time_ns()}")
    cloud.advance(20)
    return f"a request is answered with {status}, {'captured' if _captured(cloud) > before else 'not captured'}"


def _captured(cloud: Cloud) -> int:
    s3, bucket = cloud.account.client("s3"), cloud.account.platform.lake_bucket
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"predictions/model={MODEL}/")
    return sum(page.get("KeyCount", 0) for page in pages)


def watch(cloud: Cloud) -> str:
    """The next monitoring."""
    before = [window.end for window in cloud.store.windows.latest(1)]
    cloud.advance_to_monitoring()
    after = [window.end for window in cloud.store.windows.latest(1)]
    return "a window is recorded" if after != before else "no window is recorded"


def begin(cloud: Cloud) -> str:
    """A first version, whose files are not what they were registered as: its endpoint can't be created."""
    delete_endpoint(cloud.account, MODEL)
    said, failed = try_broken(cloud, f"train-{time.time_ns():x}")
    left = cloud.account.client("sagemaker").list_endpoints(NameContains=ENDPOINT)["Endpoints"]
    how = f"ends failed, its action start failed ({said['errorType']})" if failed else "goes on"
    return f"the first rollout of a broken version {how}, and {'its endpoint' if left else 'nothing'} is left"


def roll_out(cloud: Cloud) -> str:
    """A fresh version comes to serve, as far as it gets."""
    run_id = f"train-{time.time_ns():x}"
    version, named = cloud.register(run_id, small_model()), {"rollout": {"rollout_id": run_id}}
    actions: dict[str, dict[str, Any]] = {
        "start": {"run": {"run_id": run_id, "kind": "train"}, "version": version},
        "shift": {"rollout": {"rollout_id": run_id, "step_index": -1}},
        "promote": named,
        "retire": named,
    }
    for action, event in actions.items():
        if action == "retire":
            cloud.advance(61)
        said, failed = cloud.asked(action, **event)
        if failed:
            return f"a rollout ends failed, its action {action} failed ({said['errorType']})"
    close_run(cloud.store, run_id, when=cloud.now())
    return "a rollout ends succeeded"


def try_unseen(cloud: Cloud) -> str:
    """A fresh version's shadow, as far as it gets."""
    run_id = f"train-{time.time_ns():x}"
    rollout = start(cloud, run_id, cloud.register(run_id, small_model()))
    for number in range(SHADOW_ROWS):
        cloud.ask(f"{run_id}-{number}")
    said, failed = look_at_shadow(cloud, rollout)
    if failed:
        return f"a rollout ends failed, its action check failed ({said['errorType']})"
    return f"a shadow is decided on: {said['decision']}"


def mend(cloud: Cloud) -> None:
    """Take a rollout back that broke, and close its run."""
    active = cloud.store.runs.active()
    if active is None:
        return
    reasons = [{"code": CAUSE, "sentence": "a statement was taken away"}]
    said, failed = cloud.asked("rollback", run={"run_id": active.run_id}, reasons=reasons)
    if failed:
        print(f"{active.run_id} is not rolled back: {said}")
    close_run(cloud.store, active.run_id, when=cloud.now(), status="failed")
