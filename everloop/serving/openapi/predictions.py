"""The native protocol's paths."""

from __future__ import annotations

from typing import Any

from everloop.serving.contract import ServingContract
from everloop.serving.exchange import JSON
from everloop.serving.openapi import Description, schemas


def paths(contract: ServingContract) -> dict[str, Any]:
    """``predictions``."""
    asked = {**schemas.document({"instances": schemas.rows(contract)}), "additionalProperties": False}
    answered = schemas.document(
        {
            "model": {"const": contract.model},
            **schemas.about(contract),
            "predictions": schemas.rows(contract, schemas.output_row(contract)),
        }
    )
    operation = schemas.operation(
        "Predict rows", {JSON: {"schema": answered}}, schemas.native_error(), body={JSON: {"schema": asked}}
    )
    return {"/predictions": {"post": operation}}


DESCRIPTION: Description = paths
