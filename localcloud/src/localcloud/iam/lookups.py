"""Resources that a request names indirectly, looked up in moto's records."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from moto.athena.models import athena_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends

if TYPE_CHECKING:
    from localcloud.iam.calls import Call


def kms_key_arn(call: Call, key: str) -> str:
    """The ARN of a key given by id, ARN or alias; an unknown key stays what it was called."""
    if ":alias/" in key or key.startswith("alias/"):
        alias = key[key.index("alias/") :]
        key = kms_backends[call.account][call.region].get_key_id_from_alias(alias) or key
    return call.named_arn("kms", "key/", key)


def lambda_function_arn(call: Call, name: str, qualifier: str | None) -> str:
    """The ARN of a function given by name, partial ARN or ARN, with its qualifier when there is one."""
    name = unquote(name)
    if name.startswith("arn:"):
        arn = name
    else:
        tail = name.split(":function:")[-1]
        arn = call.arn("lambda", f"function:{tail}")
    is_qualified = arn.count(":") > 6
    return f"{arn}:{qualifier}" if qualifier and not is_qualified else arn


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
