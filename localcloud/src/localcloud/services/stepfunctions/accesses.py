"""What requests to Step Functions need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from localcloud.iam.calls import Access, Call, one, only


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    params = call.params
    arn = only(call, "stateMachineArn", "executionArn", "resourceArn", "mapRunArn")
    if arn is None and params.get("taskToken"):
        arn = _state_machine_of_token(call, params["taskToken"])
    if arn is None and params.get("name") and call.action == "CreateStateMachine":
        arn = call.arn("states", f"stateMachine:{params['name']}")
    return one("states", call, arn) if arn else None


def passed_roles(call: Call) -> Iterator[tuple[str, str]]:
    """Roles that a request hands to the service: the ARN of each, and the principal that will assume it."""
    if call.action in ("CreateStateMachine", "UpdateStateMachine") and call.params.get("roleArn"):
        yield call.params["roleArn"], "states.amazonaws.com"


def _state_machine_of_token(call: Call, token: str) -> str | None:
    """The state machine whose execution waits for a task token."""
    from moto.stepfunctions.responses import get_backend

    for machine in list(get_backend(call.account, call.region).state_machines):
        for execution in list(machine.executions):
            worker = getattr(execution, "exec_worker", None)  # what moto's interpreter adds to its executions
            env = worker.env if worker else None
            if env is not None and env.callback_pool_manager.get(token) is not None:
                return machine.arn
    return None
