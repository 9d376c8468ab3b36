"""The paths of SageMaker's protocol of containers."""

from __future__ import annotations

from typing import Any

from everloop.serving.contract import ServingContract
from everloop.serving.exchange import JSON
from everloop.serving.invocations import CSV, LINES
from everloop.serving.openapi import Description, schemas
from everloop.serving.openapi.mlflow import ERROR, TEXT, answered, asked, ready


def paths(contract: ServingContract) -> dict[str, Any]:
    """``sagemaker/…``."""
    lines = {LINES: TEXT, CSV: TEXT}
    operation = schemas.operation(
        "Predict rows, as a container of SageMaker's",
        {JSON: {"schema": answered(contract)}, **lines},
        ERROR,
        body={JSON: {"schema": asked(contract)}, **lines},
    )
    return {
        "/sagemaker/invocations": {"post": operation},
        "/sagemaker/ping": {"get": ready("Whether a model is ready")},
    }


DESCRIPTION: Description = paths
