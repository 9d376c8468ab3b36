"""The paths of MLflow's scoring protocol, and what it shares with SageMaker's."""

from __future__ import annotations

from typing import Any

from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.exchange import JSON
from everloop.serving.invocations import CSV
from everloop.serving.openapi import Description, schemas

ERROR = schemas.document({"error_code": {"type": "string"}, **schemas.error_facts()})

TEXT: schemas.Schema = {"schema": {"type": "string"}}


def paths(contract: ServingContract) -> dict[str, Any]:
    """``mlflow/…``."""
    body = {JSON: {"schema": asked(contract)}, CSV: TEXT}
    answer = {JSON: {"schema": answered(contract)}}
    version = {"text/plain": TEXT}
    return {
        "/mlflow/invocations": {
            "post": schemas.operation("Predict rows, as MLflow's server", answer, ERROR, body=body)
        },
        "/mlflow/ping": {"get": ready("Whether a model is ready")},
        "/mlflow/health": {"get": ready("Whether a model is ready")},
        "/mlflow/version": {"get": schemas.operation("The server's version", version, ERROR)},
    }


def ready(summary: str) -> schemas.Schema:
    """A page that is empty where a model is ready."""
    return schemas.operation(summary, {}, ERROR)


def asked(contract: ServingContract) -> schemas.Schema:
    """A document of rows in one of MLflow's forms."""
    fields: tuple[NumberField | CategoryField, ...] = (*contract.numbers, *contract.categories)
    columns = {contract.key: schemas.key(), **{field.name: schemas.value(field) for field in fields}}
    width = len(columns)
    split = {
        **schemas.document(
            {
                "columns": {"type": "array", "prefixItems": [{"const": name} for name in columns], **_exactly(width)},
                "data": schemas.rows(
                    contract, {"type": "array", "prefixItems": [*columns.values()], **_exactly(width)}
                ),
            }
        ),
        "additionalProperties": False,
    }
    by_column = {
        "type": "object",
        "properties": {name: schemas.rows(contract, value) for name, value in columns.items()},
        "required": schemas.row(contract)["required"],
        "additionalProperties": False,
    }
    rows = schemas.rows(contract)
    forms = {"dataframe_split": split, "dataframe_records": rows, "instances": rows, "inputs": by_column}
    return {
        "oneOf": [{**schemas.document({name: form}), "additionalProperties": False} for name, form in forms.items()]
    }


def answered(contract: ServingContract) -> schemas.Schema:
    """The answer in JSON."""
    return schemas.document(
        {
            "predictions": schemas.rows(contract, schemas.output_row(contract)),
            "model": {"const": contract.model},
            **schemas.about(contract),
        }
    )


def _exactly(count: int) -> schemas.Schema:
    return {"minItems": count, "maxItems": count}


DESCRIPTION: Description = paths
