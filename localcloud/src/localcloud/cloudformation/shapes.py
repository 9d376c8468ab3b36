"""Turns template properties into the arguments of an API call, by the service's own model.

CloudFormation and boto3 name most things alike but for the case of their letters, and CloudFormation takes
numbers and booleans as text. A name that the API does not have is refused, wherever it is nested.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from localcloud.cloudformation.exceptions import UnsupportedResourceError

_TRUTH = {True: True, False: False, "true": True, "false": False}


def call_arguments(
    client: Any, operation: str, properties: Mapping[str, Any], where: str = "", **names: str
) -> dict[str, Any]:
    """The arguments of an API operation for ``properties``.

    Parameters
    ----------
    client : botocore client
        Its service model says what the operation takes.
    operation : str
        Name of the API operation, as ``CreateFunction``.
    where : str
        Where the properties are, for messages.
    **names : str
        What the API calls a top-level property, where it differs in more than case.

    Raises
    ------
    UnsupportedResourceError
        For a property the operation does not take, or a value of the wrong kind.
    """
    renamed = {names.get(key, key): value for key, value in properties.items()}
    shape = client.meta.service_model.operation_model(operation).input_shape
    return _structure(shape, renamed, where or operation)


def member_arguments(client: Any, operation: str, member: str, value: Any, where: str = "") -> Any:
    """Like `call_arguments`, for one member of the operation's input."""
    shape = client.meta.service_model.operation_model(operation).input_shape
    return _convert(shape.members[member], value, where or f"{operation}.{member}")


def document_text(value: Any) -> str:
    """A JSON document as the text an API takes."""
    return value if isinstance(value, str) else json.dumps(value)


def _structure(shape: StructureShape, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UnsupportedResourceError(f"{path}: {value!r} is not an object")
    by_lower = {name.lower(): name for name in shape.members}
    converted = {}
    for key, inner in value.items():
        name = key if key in shape.members else by_lower.get(key.lower())
        if name is None:
            raise UnsupportedResourceError(f"{path}: property {key!r} is not supported")
        converted[name] = _convert(shape.members[name], inner, f"{path}.{key}")
    return converted


def _convert(shape: Shape, value: Any, path: str) -> Any:
    if isinstance(shape, StructureShape):
        return _structure(shape, value, path)
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            raise UnsupportedResourceError(f"{path}: {value!r} is not a list")
        return [_convert(shape.member, inner, f"{path}[{index}]") for index, inner in enumerate(value)]
    if isinstance(shape, MapShape):
        if not isinstance(value, Mapping):
            raise UnsupportedResourceError(f"{path}: {value!r} is not an object")
        return {str(key): _convert(shape.value, inner, f"{path}.{key}") for key, inner in value.items()}
    return _scalar(shape.type_name, value, path)


def _scalar(kind: str, value: Any, path: str) -> Any:
    if isinstance(value, (Mapping, list)) or value is None:
        raise UnsupportedResourceError(f"{path}: {value!r} is not a {kind}")
    try:
        if kind == "boolean":
            return _TRUTH[value]
        if kind in ("integer", "long"):
            return int(value)
        if kind in ("float", "double"):
            return float(value)
    except (KeyError, ValueError):
        raise UnsupportedResourceError(f"{path}: {value!r} is not a {kind}") from None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if kind in ("blob", "timestamp") else str(value)
