"""Ask a deployed model."""

from __future__ import annotations

import math
from typing import Any, cast

import pandas as pd

from everloop.cli.account import DeployedModel
from everloop.cli.signed_http import SignedHttpClient
from everloop.model_file import ModelDeclaration
from everloop.serving.protocols.predictions import PredictionsDocument
from everloop.typed_json import JsonObject


def predict(http: SignedHttpClient, model: DeployedModel, instances: list[JsonObject]) -> PredictionsDocument:
    """Answer ``instances`` in one request; docs/after-deploy.md shows both bodies."""
    return cast("PredictionsDocument", http.post(model.predictions_url, {"instances": instances}))


def to_instances(rows: pd.DataFrame, declaration: ModelDeclaration) -> list[JsonObject]:
    """The rows as the API takes them: key and features, missing values as null; no time, no target."""
    columns = [declaration.data.key, *(f.name for f in declaration.data.features)]
    # Column by column: pandas' own records cost several times as much for a few rows.
    values = [[None if _is_missing(value) else value for value in rows[name].tolist()] for name in columns]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
