"""What a version answers that a fake runs."""

from __future__ import annotations

import json
from typing import Any

WITHOUT_ROWS = '{"instances": []}'


def asked_version(number: int, body: str, *, unseen: bool) -> tuple[int, dict[str, Any]]:
    """Status and document: what it serves and what it was asked, or that there is no row, as the product refuses it."""
    if body == WITHOUT_ROWS:
        return 400, {"error": {"code": "no_instances"}}
    rows = len(json.loads(body).get("instances", [0]))
    document: dict[str, Any] = {"version": number, "unseen": unseen, "asked": body}
    return 200, {**document, "predictions": [{"prediction": 1, "probability": 0.75}] * rows}
