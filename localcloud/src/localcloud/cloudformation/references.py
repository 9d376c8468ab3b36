"""Finds what a template value refers to, which gives the order of resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.cloudformation.intrinsics import (
    SUBSTITUTION,
    Scope,
    attribute_parts,
    chosen,
    function_of,
    substitution_parts,
)


def references(value: Any, scope: Scope, path: str) -> Iterator[str]:
    """Logical ids of the resources that ``value`` refers to, through the branches its conditions choose."""
    name = function_of(value)
    if name == "Fn::If":
        yield from references(chosen(value[name], scope, path), scope, path)
    elif name == "Ref":
        if value[name] in scope.resource_names:
            yield value[name]
    elif name == "Fn::GetAtt":
        yield attribute_parts(value[name], scope, path)[0]
    elif name == "Fn::Sub":
        text, variables = substitution_parts(value[name], scope, path)
        yield from references(variables, scope, path)
        for literal, reference in SUBSTITUTION.findall(text):
            logical_id = reference.strip().split(".", 1)[0]
            if not literal and reference not in variables and logical_id in scope.resource_names:
                yield logical_id
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from references(inner, scope, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from references(inner, scope, f"{path}[{index}]")
