"""What a request needs to be allowed: its IAM actions, each with the resource it acts on.

An action whose resource is not known here is decided against ``*``, so only a statement on all resources
allows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

from moto.core.responses import BaseResponse

from localcloud.iam.calls import Access, Call
from localcloud.iam.service_requests import SERVICES

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


def settle_parameters(response: BaseResponse) -> None:
    """Leave a request only the parameters that AWS takes from it: what is decided on has to be what is carried out.

    moto looks for a parameter in the query, then in the body, and before that reads a JSON body as a form or takes the
    headers for a query. So ``{"Name": "mine", "x": "&Name=yours"}`` meant another parameter to moto than to the guard.
    """
    if response.automated_parameter_parsing:
        return  # by the service's model: each parameter has one place
    # AWS's JSON protocol has no query at all.
    query = {} if response.headers.get("X-Amz-Target") else parse_qs(response.parsed_url.query, keep_blank_values=True)
    response.querystring = response.data = query


def _parameters(response: BaseResponse) -> Mapping[str, Any]:
    """By name. Where a parameter is there twice, the one that moto takes: of the query, then of the body."""
    if response.automated_parameter_parsing:
        return {**response.uri_match, **response.params}
    try:
        parsed = json.loads(response.body or "{}")
    except ValueError:
        parsed = {}
    query = {key: values[0] for key, values in response.querystring.items()}
    return {**response.uri_match, **(parsed if isinstance(parsed, dict) else {}), **query}


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
