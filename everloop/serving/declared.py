"""What the request path reads of the declaration that a function was deployed with, given as parsed JSON."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from everloop.problem_types import Class
from everloop.serving.contract import CategoryField, NumberField


class DeclaredNumber(TypedDict):
    """A declared feature that is a number."""

    name: str
    type: Literal["number"]
    min: float | None
    max: float | None


class DeclaredCategory(TypedDict):
    """A declared feature that is a category."""

    name: str
    type: Literal["category"]
    values: list[str] | None
    unseen: Literal["accept", "refuse"]
    max_length: int


class DeclaredData(TypedDict):
    """The section ``data``."""

    features: list[DeclaredNumber | DeclaredCategory]
    target_min: NotRequired[float | None]
    target_max: NotRequired[float | None]


class DeclaredProblem(TypedDict):
    """The section ``problem``."""

    type: str
    classes: NotRequired[list[Class] | None]


class Declared(TypedDict):
    """The declaration."""

    problem: DeclaredProblem
    data: DeclaredData


def declared_features(document: Declared) -> tuple[NumberField | CategoryField, ...]:
    """The features of a model's declaration.

    Any of them may be missing: whether a version needs one says its contract, which goes before. Without declared
    ``values`` no category is known to be wrong.
    """
    return tuple(_field(feature) for feature in document["data"]["features"])


def _field(feature: DeclaredNumber | DeclaredCategory) -> NumberField | CategoryField:
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
