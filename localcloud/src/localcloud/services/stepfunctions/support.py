"""Refuses state machines that the local interpreter would run wrongly, when they are created.

What is refused here works on AWS. Each refusal names the state and what to use instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from localcloud.core.json_text import read_json

_OPTIMIZED = {
    "lambda": {"invoke"},
    "dynamodb": {"getItem", "putItem", "updateItem", "deleteItem"},
    "sqs": {"sendMessage"},
    "sns": {"publish"},
    "events": {"putEvents"},
    "states": {"startExecution"},
    "sagemaker": {"createTrainingJob", "createProcessingJob"},
}
"""Optimized integrations the local cloud executes; ``aws-sdk`` ones go to the service as they are."""
_PATTERNS = {
    "lambda": {"waitForTaskToken"},
    "sqs": {"waitForTaskToken"},
    "sns": {"waitForTaskToken"},
    "events": {"waitForTaskToken"},
    "states": {"sync", "sync:2", "waitForTaskToken"},
    "sagemaker": {"sync"},
    "aws-sdk": {"waitForTaskToken"},
}
_REFUSED_FIELDS = {
    "QueryLanguage": "JSONata is not interpreted; write the state in JSONPath",
    "Arguments": "Arguments belongs to JSONata; use Parameters",
    "Output": "Output belongs to JSONata; use ResultSelector, ResultPath and OutputPath",
    "Assign": "variables are not interpreted; pass values on in the state's output",
    "Credentials": "tasks run under the state machine's own role; remove Credentials",
    "ItemBatcher": "items are not batched; let each iteration take one item",
    "ResultWriter": "results are not written to S3; collect them in the output",
}


def unsupported_features(definition: str, machine_type: str | None) -> list[str]:
    """What keeps a state machine from being run here, one sentence each; empty when nothing does.

    A definition that is not JSON gives no sentence: the parser's own error is better.
    """
    problems = []
    if machine_type == "EXPRESS":
        problems.append("type EXPRESS: express workflows are not executed; use STANDARD")
    try:
        machine = read_json(definition)
    except ValueError:
        return problems
    if isinstance(machine, dict):
        if machine.get("QueryLanguage", "JSONPath") != "JSONPath":
            problems.append(f"state machine: {_REFUSED_FIELDS['QueryLanguage']}")
        for name, state in _states(machine):
            problems.extend(f"state {name!r}: {problem}" for problem in _problems_of(state))
    return problems


def _states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in (machine.get("States") or {}).items():
        if not isinstance(state, dict):
            continue
        yield name, state
        inner = [state.get("ItemProcessor"), state.get("Iterator"), *(state.get("Branches") or [])]
        for nested in inner:
            if isinstance(nested, dict):
                yield from _states(nested)


def _problems_of(state: dict[str, Any]) -> Iterator[str]:
    for field, problem in _REFUSED_FIELDS.items():
        if field in state and not (field == "QueryLanguage" and state[field] == "JSONPath"):
            yield problem
    mode = ((state.get("ItemProcessor") or {}).get("ProcessorConfig") or {}).get("Mode", "INLINE")
    if mode != "INLINE" or "ItemReader" in state:
        yield "distributed Map states are not executed; use an inline Map"
    if state.get("Type") == "Task":
        yield from _problems_of_resource(str(state.get("Resource", "")))


def _problems_of_resource(resource: str) -> Iterator[str]:
    if re.fullmatch(r"arn:aws:lambda:[^:]+:\d+:function:.+", resource):
        return
    match = re.fullmatch(r"arn:aws:states:[^:]*:[^:]*:([a-z-]+):([A-Za-z0-9]+(?::[A-Za-z0-9]+)?)(?:\.(.+))?", resource)
    if match is None:
        yield f"the resource {resource!r} is not executed (activities are not)"
        return
    service, action, pattern = match.groups()
    if service != "aws-sdk" and action not in _OPTIMIZED.get(service, set()):
        known = ", ".join(sorted(f"{name}:{a}" for name, actions in _OPTIMIZED.items() for a in actions))
        yield f"the integration {service}:{action} is not executed; the local cloud has {known} and aws-sdk"
    elif pattern and pattern not in _PATTERNS.get(service, set()):
        yield f"the integration {service}:{action} can not be used with .{pattern} here"
