"""Every handler against CloudFormation's own resource specification, as cfn-lint carries it."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.services.registry import handlers
from support.specification import SPECIFIED, schema_of

# Where a handler departs from the specification on purpose.
REPLACED_THOUGH_UPDATABLE = {
    # The API has no way to change these.
    "AWS::DynamoDB::Table": {"LocalSecondaryIndexes"},
    "AWS::Scheduler::Schedule": {"GroupName"},
}
# Replacement decided in `must_replace`, by what the properties hold.
DECIDED_BY_VALUE = {
    "AWS::Glue::Database": {"DatabaseName"},
}


def top_level(schema: dict[str, Any], key: str) -> set[str]:
    pointers = (pointer.removeprefix("/properties/") for pointer in schema.get(key, []))
    return {pointer for pointer in pointers if "/" not in pointer}


@pytest.mark.parametrize("resource_type", SPECIFIED)
def test_understands_only_properties_that_exist(resource_type: str) -> None:
    schema = schema_of(resource_type)
    writable = set(schema["properties"]) - top_level(schema, "readOnlyProperties")
    assert handlers()[resource_type].properties <= writable


@pytest.mark.parametrize("resource_type", SPECIFIED)
def test_replaces_for_the_properties_that_the_specification_names(resource_type: str) -> None:
    handler = handlers()[resource_type]
    schema = schema_of(resource_type)
    always = top_level(schema, "createOnlyProperties") & handler.properties
    sometimes = top_level(schema, "conditionalCreateOnlyProperties")
    departures = REPLACED_THOUGH_UPDATABLE.get(resource_type, set())
    assert always - DECIDED_BY_VALUE.get(resource_type, set()) <= handler.create_only
    assert handler.create_only <= always | sometimes | departures


@pytest.mark.parametrize("resource_type", SPECIFIED)
def test_requires_what_the_specification_requires(resource_type: str) -> None:
    specified = set(schema_of(resource_type).get("required", []))
    assert specified - {"KeySchema"} <= handlers()[resource_type].required
