"""Ask a deployed model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from cli.account import DeployedModel
from cli.signed_http import SignedHttpClient
from everloop.model_file import ModelDeclaration


def predict(http: SignedHttpClient, model: DeployedModel, instances: list[dict[str, Any]]) -> dict[str, Any]:
    """Answer ``instances`` in one request; see docs/predict.md for both bodies."""
    return http.post(model.predictions_url, {"instances": instances})


def to_instances(rows: pd.DataFrame, declaration: ModelDeclaration) -> list[dict[str, Any]]:
    """The rows as the API takes them: key and features, missing values as null; no time, no target."""
    columns = [declaration.data.key, *(f.name for f in declaration.data.features)]
    return [_instance(record) for record in rows[columns].to_dict("records")]


def _instance(record: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): None if _is_missing(value) else value for name, value in record.items()}


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
