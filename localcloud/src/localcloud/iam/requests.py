"""What a request needs to be allowed: its IAM actions, each with the resource it acts on.

An action whose resource is not known here is decided against ``*``, so only a statement on all resources
allows it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from moto.core.responses import BaseResponse
from moto.core.utils import get_service_model
from moto.utilities.utils import get_partition

from localcloud.iam.calls import Access, Call, Needs, UnclearRequestError


def accesses_of(
    response: BaseResponse, scope: str, action: str, region: str, account: str, needs: Mapping[str, Needs]
) -> list[Access]:
    """What the request in ``response`` needs, PassRole included.

    Parameters
    ----------
    scope : str
        What the request is signed for.
    needs : mapping
        Of each service, by what requests to it are signed for.
    """
    path = response.parsed_url.path
    call = Call(action, _parameters(response), region, account, path, response.method)
    service = needs.get(scope, Needs(scope))
    found = list(service.accesses(call) or ()) if service.accesses else []
    passed = service.passed_roles(call) if service.passed_roles else ()
    return [
        *(found or [Access(f"{service.prefix}:{action}")]),
        *(Access("iam:PassRole", (role,), {"iam:passedtoservice": (principal,)}) for role, principal in passed),
    ]


def settle_parameters(response: BaseResponse, region: str) -> None:
    """Leave a request only the parameters that AWS takes from it: what is decided on must be what is carried out.

    moto looks for a parameter in the query, then in the body, and before that reads a JSON body as a form or takes the
    headers for a query; a name it takes from the path, from where the guard never looked; and the region from the
    client's own description of itself. Here each parameter has the one place that the service's model gives it.

    Raises
    ------
    UnclearRequestError
        When the request has a parameter in another place, or one that the operation does not have.
    """
    response.region = region
    response.partition = get_partition(region)
    if response.automated_parameter_parsing:
        return  # by the service's model: each parameter has one place
    model = get_service_model(response.boto3_service_name)
    is_rest = model.metadata["protocol"].startswith("rest")
    # AWS's JSON protocol has no query at all.
    query = parse_qs(response.parsed_url.query, keep_blank_values=True) if is_rest else {}
    response.querystring = response.data = query
    if is_rest == bool(response.headers.get("X-Amz-Target")) or "Action" in query:
        where = "its path and method" if is_rest else "the header X-Amz-Target"
        raise UnclearRequestError(f"{response.boto3_service_name} takes its operation only from {where}")
    path = response.parsed_url.path
    if is_rest and "%" in path.replace("%24", "") and "/tags/" not in path:  # the stage $default is encoded
        raise UnclearRequestError(f"a name in the path {path} is percent-encoded: names here need no encoding")
    action = response._get_action()
    if action in model.operation_names:
        _require_modelled(response, model.operation_model(action).input_shape, query)


def _require_modelled(response: BaseResponse, shape: Any, query: Mapping[str, Any]) -> None:
    """Refuse parameters that the operation does not take from where they stand."""
    members = shape.members.items() if shape is not None else ()
    places = [(at.serialization.get("location"), at.serialization.get("name", name)) for name, at in members]
    given: list[tuple[str, str | None, str]] = [("query", "querystring", name) for name in query]
    if shape is None or "payload" not in shape.serialization:
        given += [("body", None, name) for name in _json_object(response)]
    for place, location, name in given:
        if (location, name) not in places:
            taken = ", ".join(sorted(known for at, known in places if at == location)) or "nothing"
            raise UnclearRequestError(f"{response._get_action()} takes no {name!r} from the {place}; it takes {taken}")


def _json_object(response: BaseResponse) -> Mapping[str, Any]:
    try:
        parsed = json.loads(response.body or "{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _parameters(response: BaseResponse) -> Mapping[str, Any]:
    """By name, as they travel; once they are settled each has one place."""
    if response.automated_parameter_parsing:
        return {**response.uri_match, **response.params}
    query = {key: values[0] for key, values in response.querystring.items()}
    return {**_json_object(response), **query, **response.uri_match}
