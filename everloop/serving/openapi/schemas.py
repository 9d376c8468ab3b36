"""What the protocols' descriptions have in common: rows, outputs, errors, as JSON Schema."""

from __future__ import annotations

from typing import Any

from everloop.row_key import MAX_KEY_LENGTH
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.exchange import JSON
from everloop.serving.response import FALLBACK_HEADER

Schema = dict[str, Any]

MISSING_TEXT = ""
"""The empty text is a missing value of a category, as null is."""

COVERAGE = "coverage"

STATUSES = {
    "400": "What is wrong with the request, and where",
    "404": "There is no such path, model or version here",
    "405": "Another method is needed",
    "406": "The form that is accepted is not offered",
    "408": "The body did not arrive in time",
    "413": "The body is larger than 1 MiB",
    "415": "The content type or encoding is not read",
    "429": "Too many requests wait; try again after retry-after seconds",
    "500": "The model has no score for a row that its contract allows, or the server failed",
    "503": "No version serves, or the stored one is not the evaluated one",
}


def row(contract: ServingContract) -> Schema:
    """A row as an object, as the contract takes it."""
    fields: tuple[NumberField | CategoryField, ...] = (*contract.numbers, *contract.categories)
    return {
        "type": "object",
        "properties": {contract.key: key(), **{field.name: value(field) for field in fields}},
        "required": [contract.key, *(field.name for field in fields if field.missing == "refuse")],
        "additionalProperties": False,
    }


def key() -> Schema:
    """What identifies a row. Not every text is one: white space at an end is refused, as is a number like a float."""
    return {
        "anyOf": [
            {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
            {"type": "integer", "minimum": -(10**18), "maximum": 10**18},
        ],
        "description": "Identifies the row; each one once a request",
    }


def value(field: NumberField | CategoryField) -> Schema:
    """A value of a feature."""
    may_miss = field.missing == "allow"
    schema: Schema
    if isinstance(field, NumberField):
        limits = {"minimum": field.min, "maximum": field.max}
        schema = {"type": "number", **{name: limit for name, limit in limits.items() if limit is not None}}
    elif field.unseen == "refuse":
        schema = {"type": "string", "enum": [*field.values, *([MISSING_TEXT] if may_miss else [])]}
    else:
        schema = {"type": "string", "minLength": 0 if may_miss else 1, "maxLength": field.max_length}
    return {"anyOf": [schema, {"type": "null"}]} if may_miss else schema


def rows(contract: ServingContract, of: Schema | None = None) -> Schema:
    """A list of rows, as many as are accepted at once."""
    return {"type": "array", "items": of or row(contract), "minItems": 1, "maxItems": contract.max_rows}


def output_row(contract: ServingContract) -> Schema:
    """The outputs of a row."""
    number: Schema = {"type": "number"}
    if contract.is_multiclass:
        chance = {"type": "number", "minimum": 0, "maximum": 1}
        of_classes = {
            "prediction_id": {"type": "string"},
            "prediction": {"enum": [*contract.classes]},
            "probability": chance,
            "probabilities": {
                **document({str(name): chance for name in contract.classes}),
                "additionalProperties": False,
            },
        }
        return document(of_classes)
    prediction = {"type": "integer", "enum": [0, 1]} if contract.is_classification else number
    properties = {"prediction_id": {"type": "string"}, "prediction": prediction, "raw_score": number}
    if contract.is_classification:
        properties["probability"] = {"type": "number", "minimum": 0, "maximum": 1}
    always = list(properties)
    if contract.interval is not None:  # a fallback has none
        properties |= {"low": number, "high": number}
    return {"type": "object", "properties": properties, "required": always}


def about(contract: ServingContract) -> Schema:
    """What an answer says of all its rows, as properties."""
    coverage = {} if contract.interval is None else {COVERAGE: {"type": "number"}}
    return {
        "version": {"type": "integer", "minimum": 1},
        "calibration": {"type": ["string", "null"], "description": "Between raw and served scores"},
        **coverage,
    }


def document(properties: Schema) -> Schema:
    """An object that has all of these, but for what a fallback's answer has not."""
    return {"type": "object", "properties": properties, "required": [name for name in properties if name != COVERAGE]}


def operation(summary: str, answer: Schema, error: Schema, *, body: Schema | None = None) -> Schema:
    """An operation that answers ``answer`` (content by type), and refuses with ``error`` in JSON."""
    refused = {JSON: {"schema": error}}
    fallback = {"description": "What answered in the model's place", "schema": {"type": "string"}}
    responses = {"200": {"description": "The answer", "content": answer, "headers": {FALLBACK_HEADER: fallback}}}
    responses |= {status: {"description": text, "content": refused} for status, text in STATUSES.items()}
    found: Schema = {"summary": summary, "responses": responses}
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    return found


def native_error() -> Schema:
    """The error of the native protocol."""
    return document({"error": document(error_facts())})


def error_facts() -> Schema:
    """What every error says, as properties."""
    return {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "field": {"type": ["string", "null"]},
        "index": {"type": ["integer", "null"], "description": "The row, from 0"},
    }
