"""The serving contract: what a request must look like, written by training and carried by the artefact."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from everloop.json_text import read_json
from everloop.problem_types import BINARY, FEWEST_CLASSES, MULTICLASS, PROBLEM_TYPES, Class, ProblemType
from everloop.recalibration.exceptions import IntervalFormatError
from everloop.recalibration.interval import Interval
from everloop.serving.exceptions import ContractFormatError
from everloop.shown import listed, shown
from everloop.typed_json import JsonObject

Missing = Literal["allow", "refuse"]
Unseen = Literal["accept", "refuse"]


@dataclass(frozen=True)
class NumberField:
    """A number feature: one column of the model's ``num`` input.

    Attributes
    ----------
    min, max : float or None
        Inclusive limits; None is unlimited.
    missing : {"allow", "refuse"}
        Whether null may be sent; it reaches the model as NaN.
    median : float or None
        Median of the training rows, for reports.
    """

    name: str
    min: float | None = None
    max: float | None = None
    missing: Missing = "refuse"
    median: float | None = None


@dataclass(frozen=True)
class CategoryField:
    """A category feature: one column of the model's ``cat`` input.

    Attributes
    ----------
    missing : {"allow", "refuse"}
        Whether null or the empty string may be sent; it reaches the model as the empty string.
    unseen : {"accept", "refuse"}
        What happens to a value that is not one of ``values``.
    max_length : int
        Longest value, in characters.
    values : tuple of str
        Values declared, or seen in training.
    """

    name: str
    missing: Missing = "refuse"
    unseen: Unseen = "accept"
    max_length: int = 64
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServingContract:
    """What a request to one model version may hold.

    Attributes
    ----------
    model : str
        The model's name.
    problem_type : {"binary_classification", "multiclass_classification", "regression"}
    key : str
        Name of the column that identifies a row to the caller.
    target : str
        Name of the column that is predicted; no request has it.
    threshold : float
        Probability from which a row is answered 1 (classification).
    max_rows : int
        Most instances in a request.
    numbers, categories : tuple
        The features, in the order of the model's input columns.
    interval : Interval or None
        Of a regression: how far outcomes lay from what the model said on rows it had not learned from. The document has
        no such key where it is None.
    classes : tuple of str, or of int
        Of a multiclass classification: what each class is called, in the order of the model's probabilities. The
        document has no such key where it is empty.
    """

    model: str
    problem_type: ProblemType
    key: str
    target: str
    threshold: float
    max_rows: int
    numbers: tuple[NumberField, ...]
    categories: tuple[CategoryField, ...]
    interval: Interval | None = None
    classes: tuple[Class, ...] = ()

    @cached_property
    def is_classification(self) -> bool:
        """Whether a score is one probability: that of 1."""
        return self.problem_type == BINARY

    @cached_property
    def is_multiclass(self) -> bool:
        """Whether a score has a probability for each of ``classes``."""
        return self.problem_type == MULTICLASS

    @classmethod
    def from_json(cls, data: bytes | str) -> ServingContract:
        """Read ``contract.json``.

        Raises
        ------
        ContractFormatError
            Naming the key that is missing, unknown or wrong.
        """
        try:
            document = read_json(data)
        except ValueError as error:
            raise ContractFormatError(f"contract.json is not JSON: {error}") from error
        return cls.from_dict(document)

    @classmethod
    def from_dict(cls, document: Any) -> ServingContract:
        """Read the parsed ``contract.json``; see :meth:`from_json`."""
        names = ("model", "problem_type", "key", "target", "threshold", "max_rows", "numbers", "categories")
        _require_keys("contract.json", document, required=names, optional=("interval", "classes"))
        contract = cls(
            model=_text(document, "model"),
            problem_type=_one_of(document, "problem_type", PROBLEM_TYPES),
            key=_text(document, "key"),
            target=_text(document, "target"),
            threshold=_number(document, "threshold"),
            max_rows=_positive_whole(document, "max_rows"),
            numbers=tuple(_number_field(f) for f in _list(document, "numbers")),
            categories=tuple(_category_field(f) for f in _list(document, "categories")),
            interval=_interval(document["interval"]) if "interval" in document else None,
            classes=_classes(document) if "classes" in document else (),
        )
        if contract.is_multiclass != bool(contract.classes):
            raise ContractFormatError(
                f"contract.json has the problem type {contract.problem_type} and {len(contract.classes)} classes"
            )
        if contract.interval is not None and (contract.is_classification or contract.is_multiclass):
            raise ContractFormatError("contract.json has an 'interval', which only a regression may have")
        columns = [contract.key, *(f.name for f in contract.numbers), *(f.name for f in contract.categories)]
        if len(set(columns)) != len(columns):
            raise ContractFormatError(f"contract.json names a column twice: {listed(_repeated(columns))}")
        if len(columns) == 1:
            raise ContractFormatError("contract.json names no feature")
        return contract

    def to_dict(self) -> JsonObject:
        """The document of ``contract.json``."""
        document = asdict(self)
        if self.interval is None:
            del document["interval"]
        if self.classes:
            document["classes"] = list(self.classes)
        else:
            del document["classes"]
        document["numbers"] = list(document["numbers"])
        document["categories"] = [{**f, "values": list(f["values"])} for f in document["categories"]]
        return document

    def to_json(self) -> bytes:
        """The bytes of ``contract.json``, the same for the same contract."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return text.encode()


def _repeated(names: list[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _number_field(document: Any) -> NumberField:
    _require_keys("numbers[]", document, required=("name", "missing"), optional=("min", "max", "median"))
    return NumberField(
        name=_text(document, "name"),
        min=_optional_number(document, "min"),
        max=_optional_number(document, "max"),
        missing=_one_of(document, "missing", ("allow", "refuse")),
        median=_optional_number(document, "median"),
    )


def _category_field(document: Any) -> CategoryField:
    _require_keys("categories[]", document, required=("name", "missing", "unseen", "max_length", "values"), optional=())
    values = _list(document, "values")
    if not all(isinstance(v, str) for v in values):
        raise ContractFormatError(f"categories[] {shown(document['name'])}: 'values' are not all strings")
    return CategoryField(
        name=_text(document, "name"),
        missing=_one_of(document, "missing", ("allow", "refuse")),
        unseen=_one_of(document, "unseen", ("accept", "refuse")),
        max_length=_positive_whole(document, "max_length"),
        values=tuple(values),
    )


def _classes(document: Mapping[str, object]) -> tuple[Class, ...]:
    found = _list(document, "classes")
    kinds = {type(name) for name in found}
    if len(found) < FEWEST_CLASSES or kinds not in ({str}, {int}) or len(set(found)) != len(found):
        raise ContractFormatError(
            f"'classes' is {shown(found)}, not {FEWEST_CLASSES} or more different strings, or as many whole numbers"
        )
    return tuple(found)


def _interval(document: Any) -> Interval:
    _require_keys("interval", document, required=("coverage", "below", "above"))
    try:
        return Interval(*(_number(document, name) for name in ("coverage", "below", "above")))
    except IntervalFormatError as error:
        raise ContractFormatError(f"contract.json: {error}") from error


def _require_keys(place: str, document: Any, *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    if not isinstance(document, dict):
        raise ContractFormatError(f"{place} is {type(document).__name__}, not an object")
    missing = [name for name in required if name not in document]
    unknown = sorted(set(document) - set(required) - set(optional))
    if missing or unknown:
        wrong = [
            f"{what} keys {listed(names)}" for what, names in (("missing", missing), ("unknown", unknown)) if names
        ]
        raise ContractFormatError(f"{place}: {', '.join(wrong)}")


def _text(document: Mapping[str, object], name: str) -> str:
    if not isinstance(document[name], str) or not document[name]:
        raise ContractFormatError(f"{name!r} is {shown(document[name])}, not a string")
    return str(document[name])


def _one_of(document: Mapping[str, object], name: str, allowed: tuple[str, ...]) -> Any:
    if document[name] not in allowed:
        raise ContractFormatError(f"{name!r} is {shown(document[name])}, not one of {allowed}")
    return document[name]


def _number(document: Mapping[str, object], name: str) -> float:
    value = document[name]
    try:
        # A whole number may be larger than every float.
        if not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise ContractFormatError(f"{name!r} is {shown(value)}, not a number that a float can hold")


def _optional_number(document: Mapping[str, object], name: str) -> float | None:
    return None if document.get(name) is None else _number(document, name)


def _positive_whole(document: Mapping[str, object], name: str) -> int:
    value = document[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ContractFormatError(f"{name!r} is {shown(value)}, not a whole number from 1")
    return value


def _list(document: Mapping[str, object], name: str) -> list[Any]:
    value = document[name]
    if not isinstance(value, list):
        raise ContractFormatError(f"{name!r} is not a list")
    return list(value)
