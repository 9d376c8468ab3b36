"""The features of the declaration that a function was deployed with, as the request path reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from everloop.serving.contract import CategoryField, NumberField


def declared_features(document: Mapping[str, Any]) -> tuple[NumberField | CategoryField, ...]:
    """The features of a model's declaration, given as parsed JSON.

    Any of them may be missing: whether a version needs one says its contract, which goes before. Without declared
    ``values`` no category is known to be wrong.
    """
    return tuple(_field(feature) for feature in document["data"]["features"])


def _field(feature: Mapping[str, Any]) -> NumberField | CategoryField:
    if feature["type"] == "number":
        return NumberField(feature["name"], min=feature["min"], max=feature["max"], missing="allow")
    values = tuple(feature["values"] or ())
    return CategoryField(
        feature["name"],
        missing="allow",
        unseen=feature["unseen"] if values else "accept",
        max_length=feature["max_length"],
        values=values,
    )
