"""What the parameters of CreateFunction and UpdateFunctionConfiguration say, checked as Lambda checks it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.services.lambda_.runtime.exceptions import InvalidParameterValueError, NotExecutedLocallyError
from localcloud.services.lambda_.runtime.functions import LayerVersion, frozen

_MAX_ENVIRONMENT_BYTES = 4096
_NOT_EXECUTED = ("ImageConfig", "FileSystemConfigs", "SnapStart", "VpcConfig", "CapacityProviderConfig")
_WITHOUT_EFFECT: tuple[dict[str, Any], ...] = ({"ApplyOn": "None"}, {"SubnetIds": [], "SecurityGroupIds": []})
_RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)


def configuration_changes(parameters: Mapping[str, Any], layer: Callable[[str], LayerVersion]) -> dict[str, Any]:
    """The fields of a function version that the parameters of an API call set.

    Raises
    ------
    InvalidParameterValueError, NotExecutedLocallyError
    """
    for unsupported in _NOT_EXECUTED:
        value = parameters.get(unsupported)
        if value and value not in _WITHOUT_EFFECT:
            raise NotExecutedLocallyError(f"{unsupported} is not executed by the local cloud: leave it out")
    changes: dict[str, Any] = {}
    for name, field_name in (
        ("Role", "role"),
        ("Handler", "handler"),
        ("Runtime", "runtime"),
        ("Timeout", "timeout"),
        ("MemorySize", "memory_size"),
        ("Description", "description"),
        ("KMSKeyArn", "kms_key_arn"),
    ):
        if parameters.get(name) is not None:
            changes[field_name] = parameters[name]
    _check_range(changes, "timeout", 1, 900)
    _check_range(changes, "memory_size", 128, 10240)
    runtime = changes.get("runtime")
    if runtime is not None and not runtime.startswith("python3."):
        raise NotExecutedLocallyError(f"runtime {runtime!r} is not executed by the local cloud: only python3.x is")
    if parameters.get("Environment") is not None:
        changes["environment"] = _environment(parameters["Environment"].get("Variables") or {})
    if parameters.get("Layers") is not None:
        if len(parameters["Layers"]) > 5:
            raise InvalidParameterValueError("Cannot reference more than 5 layers.")
        changes["layers"] = tuple(layer(arn) for arn in parameters["Layers"])
    if parameters.get("DeadLetterConfig") is not None:
        changes["dead_letter_arn"] = parameters["DeadLetterConfig"].get("TargetArn") or None
    if parameters.get("TracingConfig") is not None:
        changes["tracing_mode"] = parameters["TracingConfig"].get("Mode", "PassThrough")
    if parameters.get("EphemeralStorage") is not None:
        changes["ephemeral_storage"] = parameters["EphemeralStorage"]["Size"]
    changes.update(_logging(parameters.get("LoggingConfig") or {}))
    return changes


def _logging(config: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "LogGroup": "log_group",
        "LogFormat": "log_format",
        "ApplicationLogLevel": "application_log_level",
        "SystemLogLevel": "system_log_level",
    }
    return {names[key]: value for key, value in config.items() if key in names}


def _check_range(changes: Mapping[str, Any], name: str, low: int, high: int) -> None:
    if name in changes and not low <= changes[name] <= high:
        raise InvalidParameterValueError(f"{name} is {changes[name]}: must be in {low} to {high}")


def _environment(variables: Mapping[str, str]) -> Mapping[str, str]:
    taken = sorted(_RESERVED & set(variables))
    if taken:
        raise InvalidParameterValueError(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided contains reserved keys that are currently not supported for modification. Reserved keys used "
            f"in this request: {', '.join(taken)}"
        )
    size = len(json.dumps(dict(variables)).encode())
    if size > _MAX_ENVIRONMENT_BYTES:
        raise InvalidParameterValueError(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the 4KB limit: {size} bytes"
        )
    return frozen(variables)
