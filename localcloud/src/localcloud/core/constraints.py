"""The largest length of every parameter, as AWS's own description of its APIs has it.

botocore carries these descriptions and leaves the upper limits to the service. They say how many characters a name, a
query or a description may have, and how many entries a list. :func:`constrain` makes a service of moto ask them.

Replaces: requests of any length, which moto takes.
Why: an application that goes past a length works here and fails on AWS.
Obsolete: once moto validates requests by the services' descriptions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from botocore.model import OperationModel
from moto.core.exceptions import JsonRESTError
from moto.core.responses import BaseResponse
from moto.core.utils import get_service_model

from localcloud.core.patching import wrap

MOST_VIOLATIONS = 5

BUSY = frozenset({"GetQueryExecution", "GetQueryResults", "DescribeTrainingJob", "DescribeProcessingJob"})
"""Requests that carry nothing but a name, and come often."""


def _nothing_else(_action: str, _parameters: Mapping[str, Any]) -> None:
    """No other check."""


def constrain(
    responses: type[BaseResponse],
    service: str,
    *,
    code: str = "ValidationException",
    also: Callable[[str, Mapping[str, Any]], str | None] = _nothing_else,
) -> None:
    """Check every request to a service, in JSON, against the lengths in its description.

    Parameters
    ----------
    responses : type
        Moto's class that answers the service's requests.
    service : str
        What botocore calls the service.
    code : str
        The error's.
    also : callable
        Another check, of action and parameters: what is wrong, or None.
    """

    def constrained(original: Any) -> Any:
        def call_action(self: BaseResponse) -> Any:
            found = _problem(self, service, also)
            if not found:
                return original(self)
            error = JsonRESTError(code, found)
            return 400, dict(error.get_headers() or []), error.description

        return call_action

    wrap(responses, "call_action", constrained)


def _problem(response: BaseResponse, service: str, also: Callable[[str, Mapping[str, Any]], str | None]) -> str:
    action = response._get_action()
    if action in BUSY:
        return ""
    operation = operation_of(service, action)
    try:
        parameters = json.loads(response.body or "{}")
    except (TypeError, ValueError):
        return ""
    if operation is None or not isinstance(parameters, dict):
        return ""
    other = also(action, parameters)
    if other:
        return other
    found = violations(operation, parameters)
    return message(found) if found else ""


@cache
def operation_of(service: str, action: str) -> OperationModel | None:
    """The description of an API; None where the service has none of that name."""
    model = get_service_model(service)
    return model.operation_model(action) if action in model.operation_names else None


def violations(operation: OperationModel, parameters: Mapping[str, Any]) -> list[str]:
    """What of ``parameters``, the JSON body of a request, is longer than it may be; in the services' own words."""
    if operation.input_shape is None:
        return []
    found = list(_too_long(operation.input_shape, parameters, ""))
    return found[:MOST_VIOLATIONS]


def message(found: list[str]) -> str:
    """One answer for all of them."""
    noun = "validation error" if len(found) == 1 else "validation errors"
    return f"{len(found)} {noun} detected: {'; '.join(found)}"


def _too_long(shape: Any, value: Any, place: str) -> Iterator[str]:
    limit = shape.metadata.get("max")
    if limit is not None and isinstance(value, str | list | dict) and len(value) > limit:
        yield (
            f"Value at '{place}' failed to satisfy constraint: Member must have length less than or equal to {limit} "
            f"(it has {len(value)})"
        )
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            written = member.serialization.get("name", name)
            if written in value:
                yield from _too_long(member, value[written], f"{place}.{written}".lstrip("."))
    elif shape.type_name == "list" and isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _too_long(shape.member, entry, f"{place}.{index + 1}.member")
    elif shape.type_name == "map" and isinstance(value, dict):
        for key, entry in value.items():
            yield from _too_long(shape.key, key, f"{place}.key")
            yield from _too_long(shape.value, entry, f"{place}.{str(key)[:64]}.value")
