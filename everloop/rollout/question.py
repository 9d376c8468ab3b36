"""Makes requests of what the lake has captured: to ask a version, apart from callers, what another one has answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.rollout.targets import Question

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

Row = Mapping[str, str | None]


def question_of(declaration: ModelDeclaration, rows: Sequence[Row], *, name: str, at: datetime) -> Question:
    """One request for captured rows, as the query on the lake gives them: the key, and each feature by its name."""
    body = json.dumps({"instances": [_instance(declaration, row) for row in rows]})
    return Question(declaration.model, body, name, at)


def _instance(declaration: ModelDeclaration, row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {declaration.data.key: row["key"]}
    for feature in declaration.data.features:
        value = row[feature.name]
        if value is not None:
            values[feature.name] = float(value) if feature.type == "number" else value
    return values
