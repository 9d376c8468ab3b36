"""The native protocol's paths."""

from __future__ import annotations

from typing import Any

from everloop.names import ON_ROW_ERROR, REFUSE, REPORT
from everloop.serving.contract import ServingContract
from everloop.serving.exchange import JSON
from everloop.serving.openapi import Description, schemas


def paths(contract: ServingContract) -> dict[str, Any]:
    """``predictions``."""
    rows = schemas.rows(contract)
    asked = {**schemas.document({"instances": rows}), "additionalProperties": False}
    asked["properties"][ON_ROW_ERROR] = {
        "enum": [REFUSE, REPORT],
        "description": "Whether a row that is wrong has the request refused, or is answered with its error",
    }
    answered = schemas.document(
        {
            "model": {"const": contract.model},
            **schemas.about(contract),
            "predictions": schemas.rows(contract, {"anyOf": [schemas.output_row(contract), schemas.native_error()]}),
        }
    )
    answered["properties"]["row_errors"] = {"type": "integer", "minimum": 0}
    operation = schemas.operation(
        "Predict rows", {JSON: {"schema": answered}}, schemas.native_error(), body={JSON: {"schema": asked}}
    )
    return {"/predictions": {"post": operation}}


DESCRIPTION: Description = paths
