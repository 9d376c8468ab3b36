"""Copies of the values that an execution works with, which are JSON.

Replaces: a deep copy that looks for shared parts and for types that copy themselves, a dozen times for each state.
Why: it is most of what a state costs, and grows with all that earlier states have answered.
Obsolete: once moto copies what is changed, and not before.
"""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service
from moto.stepfunctions.parser.asl.eval import states
from moto.stepfunctions.parser.asl.eval.event import event_manager

from localcloud.core.patching import replace

_PLAIN = frozenset({str, int, float, bool, type(None)})


def attach() -> None:
    """Copy values as what they are."""
    # These modules use the module for nothing but deep copies of values.
    for module in (states, string_expression, result_path, state_task_service, event_manager):
        replace(module, "copy", SimpleNamespace(deepcopy=copied))


def copied(value: Any) -> Any:
    """A deep copy of what JSON has; of anything else in it, what the standard library makes."""
    kind = type(value)
    if kind is dict:
        return {name: inner if type(inner) in _PLAIN else copied(inner) for name, inner in value.items()}
    if kind is list:
        return [inner if type(inner) in _PLAIN else copied(inner) for inner in value]
    return value if kind in _PLAIN else copy.deepcopy(value)
