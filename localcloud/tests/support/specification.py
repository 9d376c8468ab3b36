"""CloudFormation's own specification of resource types, as cfn-lint carries it."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from localcloud.services.registry import handlers

SPECIFIED = sorted(name for name in handlers() if name.startswith("AWS::") and name != "AWS::CDK::Metadata")
"""The types that are deployed here, but for what the CDK alone knows."""


@cache
def schema_of(resource_type: str) -> dict[str, Any]:
    """The registry's schema of a type."""
    schemas = files("cfnlint") / "data" / "schemas"
    index = json.loads((schemas / "providers" / "us-east-1.json").read_text())
    return dict(json.loads((schemas / "resources" / f"{index[resource_type]}.json").read_text()))


def read_only(resource_type: str) -> set[str]:
    """What a resource answers and no template gives, as dotted paths."""
    pointers = schema_of(resource_type).get("readOnlyProperties", [])
    return {pointer.removeprefix("/properties/").replace("/", ".") for pointer in pointers}


@cache
def property_paths(resource_type: str) -> dict[str, bool]:
    """Dotted paths of all properties that templates give, and whether something with names is nested in them."""
    schema = schema_of(resource_type)
    answered = read_only(resource_type)
    found: dict[str, bool] = {}

    def walk(properties: dict[str, Any], prefix: str, within: frozenset[str]) -> None:
        for name, node in properties.items():
            path = f"{prefix}{name}"
            if path in answered:
                continue
            nested = _nested(node, schema)
            found[path] = bool(nested)
            key = json.dumps(node)
            if nested and key not in within:
                walk(nested, f"{path}.", within | {key})

    walk(schema["properties"], "", frozenset())
    return found


def _nested(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = schema
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    if isinstance(node.get("items"), dict):
        return _nested(node["items"], schema)
    properties = dict(node.get("properties", {}))
    for key in ("oneOf", "anyOf", "allOf"):
        for alternative in node.get(key, []):
            properties |= _nested(alternative, schema)
    return properties
