"""The OpenAPI document of a model: its protocols, with rows and answers as its contract has them.

Each protocol has a file here too, of its own name, whose ``DESCRIPTION`` gives its paths below the model's address.
They are imported when the document is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from everloop.names import ModelNames
from everloop.seams import Seam
from everloop.serving.contract import ServingContract
from everloop.serving.openapi import schemas
from everloop.serving.protocols import OPENAPI

Description = Callable[[ServingContract], dict[str, Any]]
"""From a contract to path items by their paths, each with a slash in front."""

DESCRIPTIONS: Seam[Description] = Seam(
    __name__, "description of a protocol", "DESCRIPTION", "predictions", "v2", "mlflow", "sagemaker"
)


def openapi_document(contract: ServingContract, version: int | None) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a model whose version has this contract."""
    paths: dict[str, Any] = {}
    for description in DESCRIPTIONS:
        paths |= description(contract)
    page = {"application/json": {"schema": {"type": "object"}}}
    paths[f"/{OPENAPI}"] = {"get": schemas.operation("This document", page, schemas.native_error())}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": contract.model,
            "version": "unversioned" if version is None else str(version),
            "description": f"Predictions of {contract.target}, as {contract.problem_type.replace('_', ' ')}.",
        },
        "servers": [{"url": ModelNames(contract.model).path("").rstrip("/")}],
        "paths": paths,
    }
