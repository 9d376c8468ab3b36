"""What a request needs to be allowed: its IAM actions, each with the resource it acts on.

An action whose resource is not known here is decided against ``*``, so only a statement on all resources
allows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.responses import BaseResponse

from local.moto_hooks.authorization_services import SERVICES
from local.moto_hooks.authorization_types import Access, Call

_PREFIXES = {"monitoring": "cloudwatch", "tagging": "tag"}
"""IAM service prefixes that are not the name requests are signed for."""


def accesses_of(response: BaseResponse, scope: str, action: str, region: str, account: str) -> list[Access]:
    """What the request in ``response`` needs, PassRole included."""
    path = response.parsed_url.path
    call = Call(action, _parameters(response), region, account, path, response.method)
    service = _PREFIXES.get(scope, scope)
    find = SERVICES.get(service)
    found = find(call) if find else None
    accesses = list(found) if found else [Access(f"{service}:{action}")]
    return accesses + list(_passed_roles(service, call))


def _parameters(response: BaseResponse) -> Mapping[str, Any]:
    if response.automated_parameter_parsing:
        return {**response.uri_match, **response.params}
    body = response.body
    parsed: dict[str, Any] = {}
    if body and str(body).lstrip().startswith("{"):
        try:
            parsed = json.loads(body)
        except ValueError:
            parsed = {}
    if not parsed:
        parsed = response._get_params()
    query = {key: values[0] for key, values in response.querystring.items() if isinstance(values, list) and values}
    return {**query, **response.uri_match, **parsed}


# --- passing roles --------------------------------------------------------------------------------------------

_PASSED: dict[tuple[str, str], tuple[str, str]] = {
    ("sagemaker", "CreateTrainingJob"): ("RoleArn", "sagemaker.amazonaws.com"),
    ("sagemaker", "CreateProcessingJob"): ("RoleArn", "sagemaker.amazonaws.com"),
    ("sagemaker", "CreateTransformJob"): ("RoleArn", "sagemaker.amazonaws.com"),
    ("sagemaker", "CreateModel"): ("ExecutionRoleArn", "sagemaker.amazonaws.com"),
    ("lambda", "CreateFunction"): ("Role", "lambda.amazonaws.com"),
    ("lambda", "UpdateFunctionConfiguration"): ("Role", "lambda.amazonaws.com"),
    ("states", "CreateStateMachine"): ("roleArn", "states.amazonaws.com"),
    ("states", "UpdateStateMachine"): ("roleArn", "states.amazonaws.com"),
    ("events", "PutRule"): ("RoleArn", "events.amazonaws.com"),
}


def _passed_roles(service: str, call: Call) -> Iterable[Access]:
    roles: list[tuple[str, str]] = []
    if (service, call.action) in _PASSED:
        parameter, principal = _PASSED[service, call.action]
        if call.params.get(parameter):
            roles.append((call.params[parameter], principal))
    if service == "scheduler" and call.action in ("CreateSchedule", "UpdateSchedule"):
        roles.append((call.params["Target"]["RoleArn"], "scheduler.amazonaws.com"))
    if service == "events" and call.action == "PutTargets":
        targets = call.params.get("Targets", [])
        roles.extend((target["RoleArn"], "events.amazonaws.com") for target in targets if target.get("RoleArn"))
    for role, principal in roles:
        yield Access("iam:PassRole", (role,), {"iam:passedtoservice": (principal,)})
