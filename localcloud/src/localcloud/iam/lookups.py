"""Resources that a request names indirectly, looked up in moto's records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.athena.models import athena_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends

from localcloud.iam.calls import UnclearRequestError
from localcloud.services.lambda_.runtime.exceptions import InvalidParameterValueError
from localcloud.services.lambda_.runtime.functions import split_name

if TYPE_CHECKING:
    from localcloud.iam.calls import Call


def kms_key_arn(call: Call, key: str) -> str:
    """The ARN of a key given by id, ARN or alias; an unknown key stays what it was called."""
    if ":alias/" in key or key.startswith("alias/"):
        alias = key[key.index("alias/") :]
        key = kms_backends[call.account][call.region].get_key_id_from_alias(alias) or key
    return call.named_arn("kms", "key/", key)


def lambda_function_arn(call: Call, name: str, qualifier: str | None) -> str:
    """The ARN of a function given in any form of its name, with its qualifier when there is one; as it is looked up."""
    try:
        bare, qualifier = split_name(name, qualifier)
    except InvalidParameterValueError as error:
        raise UnclearRequestError(str(error)) from error
    if name.startswith("arn:") and not name.startswith(call.arn("lambda", "function:")):
        raise UnclearRequestError(f"{name} is of another region or account: functions here are of {call.region}")
    return call.arn("lambda", f"function:{bare}:{qualifier}" if qualifier else f"function:{bare}")


def state_machine_of_token(call: Call, token: str) -> str | None:
    """The state machine whose execution waits for a task token."""
    from moto.stepfunctions.responses import get_backend

    for machine in list(get_backend(call.account, call.region).state_machines):
        for execution in list(machine.executions):
            env = execution.exec_worker.env if execution.exec_worker else None
            if env is not None and env.callback_pool_manager.get(token) is not None:
                return machine.arn
    return None


def athena_workgroup(call: Call, query_execution_id: str) -> str | None:
    """The workgroup a query ran in."""
    execution = athena_backends[call.account][call.region].executions.get(query_execution_id)
    group = getattr(execution, "workgroup", None)
    return getattr(group, "name", group)


def role_arn(call: Call, name: str) -> str:
    """The ARN of a role by its name, path included when the role exists."""
    for role in list(iam_backends[call.account]["aws"].roles.values()):
        if role.name == name:
            return role.arn
    return f"arn:aws:iam::{call.account}:role/{name}"
