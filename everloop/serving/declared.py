"""What the request path reads of the declaration that a function was deployed with, given as parsed JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from everloop.prediction_ids import ALL
from everloop.problem_types import Class, ProblemType
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

    key: NotRequired[str]
    target: NotRequired[str]
    features: list[DeclaredNumber | DeclaredCategory]
    target_min: NotRequired[float | None]
    target_max: NotRequired[float | None]


class DeclaredProblem(TypedDict):
    """The section ``problem``."""

    type: ProblemType
    classes: NotRequired[list[Class] | None]


class DeclaredFallback(TypedDict):
    """What answers where the model can't.

    ``value`` is a score, or, of several classes, the probability of each by its name; null with another ``use``.
    """

    use: Literal["value", "baseline", "previous_champion"]
    value: float | dict[str, float] | None
    after_ms: float | None


class DeclaredCapture(TypedDict):
    """What the lake gets of each request: of how many rows, and of which features null."""

    mask: list[str]
    share: float


class DeclaredServing(TypedDict):
    """The section ``serving``."""

    threshold: NotRequired[float]
    max_rows: NotRequired[int]
    fallback: NotRequired[DeclaredFallback | None]
    capture: NotRequired[DeclaredCapture | None]


class Declared(TypedDict):
    """The declaration."""

    problem: DeclaredProblem
    data: DeclaredData
    serving: NotRequired[DeclaredServing]


def declared_features(document: Declared) -> tuple[NumberField | CategoryField, ...]:
    """The features of a model's declaration.

    Any of them may be missing: whether a version needs one says its contract, which goes before. Without declared
    ``values`` no category is known to be wrong.
    """
    return tuple(_field(feature) for feature in document["data"]["features"])


def declared_fallback(document: Declared) -> DeclaredFallback | None:
    """The declared fallback; None where there is none."""
    return document.get("serving", {}).get("fallback")


@dataclass(frozen=True)
class Capturing:
    """What the lake gets of each request.

    Attributes
    ----------
    masked : frozenset of str
        The features whose values are left out.
    share : float
        The share of the rows, more than 0; 1 is all of them.
    """

    masked: frozenset[str] = frozenset()
    share: float = ALL


WHOLE = Capturing()
"""All that was asked and answered."""


def declared_capturing(document: Declared) -> Capturing:
    """What is declared of capture; all that was asked and answered where nothing is."""
    declared = document.get("serving", {}).get("capture")
    return WHOLE if declared is None else Capturing(frozenset(declared["mask"]), declared["share"])


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
