"""State machines' tasks as the APIs they call get them."""

from __future__ import annotations

from typing import Any


def filled(value: Any) -> Any:
    """Parameters as they are once every path and intrinsic has given a text, or the list that it makes."""
    if isinstance(value, dict):
        return {key.removesuffix(".$"): _given(v) if key.endswith(".$") else filled(v) for key, v in value.items()}
    return [filled(item) for item in value] if isinstance(value, list) else value


def _given(text: str) -> Any:
    return ["a"] if text.startswith("States.Array") else "text"
