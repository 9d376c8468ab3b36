"""What of rules is executed: expressions, patterns and targets, as PutRule and PutTargets check them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localcloud.core.schedule_expression import ScheduleExpressionError, parse

_KNOWN_FILTERS = {
    "anything-but",
    "cidr",
    "equals-ignore-case",
    "exists",
    "numeric",
    "prefix",
    "suffix",
    "wildcard",
}


def schedule_problem(expression: str) -> str | None:
    """Why a rule can't have a schedule expression; None when it can."""
    try:
        parse(expression)
    except ScheduleExpressionError as error:
        return str(error)
    is_single = expression.startswith("at(")
    return f"{expression}: rules do not take at(…); write a schedule of EventBridge Scheduler" if is_single else None


def pattern_problem(pattern: Any) -> str | None:
    """Why events can't be matched against a pattern, a mapping or a JSON text; None when they can."""
    try:
        unknown = unknown_filters(json.loads(pattern) if isinstance(pattern, str) else pattern)
    except ValueError as error:
        return f"it is not JSON: {error}"
    return f"match types that are not known: {', '.join(unknown)}" if unknown else None


def unknown_filters(pattern: Any) -> list[str]:
    """The match types of a pattern that events are not matched by."""
    return sorted(set(_filters_of(pattern)) - _KNOWN_FILTERS)


def _filters_of(pattern: Any) -> list[str]:
    if isinstance(pattern, dict):
        return [name for key, value in pattern.items() for name in _filters_in(key, value)]
    return []


def _filters_in(key: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return _filters_of(value)
    if key == "$or":
        return [name for item in value for name in _filters_of(item)]
    return [next(iter(item)) for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def target_problem(target: Mapping[str, Any]) -> str | None:
    """Why events can't be brought to a target; None when they can."""
    arn = str(target.get("Arn", ""))
    kind = kind_of(arn)
    if kind is None:
        return (
            f"{arn} is not a target the local cloud delivers to; it knows functions, state machines, queues, topics, "
            "log groups and event buses"
        )
    if kind in ("states", "event-bus") and not target.get("RoleArn"):
        return f"RoleArn is required for target {arn}."
    if sum(target.get(field) is not None for field in ("Input", "InputPath", "InputTransformer")) > 1:
        return "only one of Input, InputPath, or InputTransformer must be provided."
    return None


def kind_of(arn: str) -> str | None:
    """What kind of target an ARN names; None for one that nothing is delivered to."""
    parts = arn.split(":", 5)
    service, resource = (parts[2], parts[5]) if len(parts) == 6 else ("", "")
    if service == "lambda" and resource.startswith("function:"):
        return "lambda"
    if service == "states" and resource.startswith("stateMachine:"):
        return "states"
    if service == "logs" and resource.startswith("log-group:"):
        return "logs"
    if service == "events" and resource.startswith("event-bus/"):
        return "event-bus"
    if service == "events" and not resource:
        return "archive"
    return service if service in ("sqs", "sns") else None
