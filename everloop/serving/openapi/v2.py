"""The Open Inference Protocol's paths."""

from __future__ import annotations

from typing import Any

from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.exchange import JSON
from everloop.serving.openapi import Description, schemas
from everloop.serving.protocols.v2 import OCTETS, output_types
from everloop.serving.tensors import BYTES, DATATYPES, NUMBERS

_TEXT: schemas.Schema = {"type": "string"}
_ERROR = schemas.document({"error": _TEXT})


def paths(contract: ServingContract) -> dict[str, Any]:
    """``v2`` and what is below it."""
    model, name = f"/v2/models/{contract.model}", {"const": contract.model}
    described = {"type": "array", "items": schemas.document({"name": _TEXT, "datatype": {"enum": [*DATATYPES]}})}
    metadata = {
        "name": name,
        "versions": {"type": "array", "items": _TEXT},
        "platform": _TEXT,
        "inputs": described,
        "outputs": described,
    }
    return {
        "/v2": _get("The server", {"name": _TEXT, "version": _TEXT, "extensions": {"type": "array"}}),
        "/v2/health/live": _get("Whether the server is live", {"live": {"const": True}}),
        "/v2/health/ready": _get("Whether the server is ready", {"ready": {"const": True}}),
        model: _get("The model's tensors", metadata),
        f"{model}/ready": _get("Whether the model is ready", {"name": name, "ready": {"const": True}}),
        f"{model}/infer": {"post": _infer(contract)},
    }


def _get(summary: str, properties: schemas.Schema) -> dict[str, Any]:
    return {"get": schemas.operation(summary, {JSON: {"schema": schemas.document(properties)}}, _ERROR)}


def _infer(contract: ServingContract) -> dict[str, Any]:
    fields: tuple[NumberField | CategoryField, ...] = (*contract.numbers, *contract.categories)
    tensors = [_tensor(contract.key, [BYTES], schemas.key(), contract)]
    tensors += [
        _tensor(field.name, [*NUMBERS] if isinstance(field, NumberField) else [BYTES], schemas.value(field), contract)
        for field in fields
    ]
    binary = {"type": "object", "properties": {"binary_data": {"type": "boolean"}}}
    output = {
        "type": "object",
        "properties": {"name": {"enum": [*output_types(contract)]}, "parameters": binary},
        "required": ["name"],
    }
    asked = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "maxLength": 256},
            "inputs": {"type": "array", "items": {"anyOf": tensors}, "minItems": 1},
            "outputs": {"type": "array", "items": output},
            "parameters": {"type": "object", "properties": {"binary_data_output": {"type": "boolean"}}},
        },
        "required": ["inputs"],
    }
    answered = schemas.document(
        {
            "model_name": {"const": contract.model},
            "model_version": _TEXT,
            "id": _TEXT,
            "parameters": {"type": "object"},
            "outputs": {
                "type": "array",
                "items": schemas.document(
                    {"name": {"enum": [*output_types(contract)]}, "shape": {"type": "array"}, "datatype": _TEXT}
                ),
            },
        }
    )
    octets = {OCTETS: {"schema": {"type": "string", "format": "binary"}}}
    return schemas.operation(
        "Predict rows, a tensor a field",
        {JSON: {"schema": answered}, **octets},
        _ERROR,
        body={JSON: {"schema": asked}, **octets},
    )


def _tensor(name: str, datatypes: list[str], value: schemas.Schema, contract: ServingContract) -> schemas.Schema:
    size = {"type": "integer", "minimum": 1, "maximum": contract.max_rows}
    return schemas.document(
        {
            "name": {"const": name},
            "datatype": {"enum": datatypes},
            "shape": {"type": "array", "items": size, "minItems": 1, "maxItems": 1},
            "data": schemas.rows(contract, value),
        }
    )


DESCRIPTION: Description = paths
