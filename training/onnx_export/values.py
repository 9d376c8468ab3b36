"""What flows between the steps of a pipeline while it is exported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from everloop.training.onnx_export.exceptions import ExportRefusedError
from everloop.training.onnx_export.graph import Graph
from everloop.training.onnx_export.inputs import CATEGORY_INPUT, NUMBER_INPUT, ModelInputs


@dataclass(frozen=True)
class Frame:
    """Some columns of the features frame, not yet gathered into one tensor."""

    columns: tuple[str, ...]
    inputs: ModelInputs

    @property
    def numbers(self) -> list[str]:
        """The number columns among these, in their order."""
        return [c for c in self.columns if c in self.inputs.numbers]

    @property
    def categories(self) -> list[str]:
        """The category columns among these, in their order."""
        return [c for c in self.columns if c in self.inputs.categories]


@dataclass(frozen=True)
class Numbers:
    """A float64 tensor [N, width]."""

    tensor: str
    width: int


@dataclass(frozen=True)
class Texts:
    """A string tensor [N, width]."""

    tensor: str
    width: int


Value = Frame | Numbers | Texts


@dataclass(frozen=True)
class Place:
    """Where in the pipeline an estimator is, for messages."""

    path: tuple[str, ...]
    type_name: str

    def refuse(self, problem: str, supported: str) -> ExportRefusedError:
        """The error to raise."""
        return ExportRefusedError(" > ".join(self.path) or "the model", self.type_name, problem, supported)


def gather(value: Value, graph: Graph, place: Place) -> Numbers | Texts:
    """The value as one tensor.

    Raises
    ------
    ExportRefusedError
        When number and category columns would have to share it.
    """
    if not isinstance(value, Frame):
        return value
    numbers, categories = value.numbers, value.categories
    graph.columns.update(value.columns)
    if numbers and categories:
        raise place.refuse(
            f"it receives number and category columns together ({numbers[0]!r} and {categories[0]!r})",
            "one kind of columns for each step, separated by a ColumnTransformer",
        )
    if numbers:
        tensor = _columns(graph, NUMBER_INPUT, value.inputs.numbers, numbers)
        return Numbers(tensor, len(numbers))
    tensor = _columns(graph, CATEGORY_INPUT, value.inputs.categories, categories)
    return Texts(tensor, len(categories))


def _columns(graph: Graph, tensor: str, declared: tuple[str, ...], wanted: list[str]) -> str:
    if list(declared) == wanted:
        return tensor
    positions = np.array([declared.index(name) for name in wanted], dtype=np.int64)
    return graph.add("Gather", [tensor, graph.constant(positions)], axis=1)


def numbers_only(value: Value, graph: Graph, place: Place) -> Numbers:
    """The value as a number tensor, or a refusal."""
    found = gather(value, graph, place)
    if isinstance(found, Texts):
        raise place.refuse("it receives category columns", "number columns, or an encoder of the categories before it")
    return found


def texts_only(value: Value, graph: Graph, place: Place) -> Texts:
    """The value as a string tensor, or a refusal."""
    found = gather(value, graph, place)
    if isinstance(found, Numbers):
        raise place.refuse(
            "it receives number columns",
            "category columns (declare the feature as a category to have it encoded)",
        )
    return found


def column_of(graph: Graph, numbers: Numbers, index: int) -> str:
    """One column [N, 1] of a number tensor."""
    if numbers.width == 1:
        return numbers.tensor
    return graph.add("Gather", [numbers.tensor, graph.constant(np.array([index], dtype=np.int64))], axis=1)
