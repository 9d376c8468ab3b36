"""Reads a request that brings labels: the outcomes of predictions made earlier."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from everloop.limits import value_range
from everloop.problem_types import BINARY, Class
from everloop.serving.capture import Record, lake_timestamp
from everloop.serving.declared import Declared
from everloop.serving.exceptions import RequestError
from everloop.serving.request import kind_of, parse_json, read_key
from everloop.shown import shown

MAX_LABELS = 500
"""Labels in one request."""

REFERENCES = ("prediction_id", "key")


@dataclass(frozen=True)
class LabelRules:
    """Which labels a model has.

    Attributes
    ----------
    is_binary : bool
        Only 0 and 1.
    low, high : float or None
        Inclusive limits otherwise, where they are declared; :mod:`everloop.limits` has those of every label.
    classes : tuple of str, or of int
        Only these, of a multiclass classification. The lake keeps the place of a label among them, from 0.
    """

    is_binary: bool
    low: float | None = None
    high: float | None = None
    classes: tuple[Class, ...] = ()

    @classmethod
    def from_declaration(cls, document: Declared) -> LabelRules:
        """The rules in a model's declaration."""
        data = document["data"]
        is_binary = document["problem"]["type"] == BINARY
        classes = document["problem"].get("classes") or ()
        return cls(is_binary, data.get("target_min"), data.get("target_max"), tuple(classes))


class LabelsAnswer(TypedDict):
    """The answer to accepted labels: how many they are."""

    accepted: int


@dataclass(frozen=True)
class Label:
    """The outcome of one prediction, or of the row with one key: exactly one of the two is given."""

    label: float
    prediction_id: str | None = None
    key: str | None = None

    @property
    def label_id(self) -> str:
        """The same for the same label, however often it is sent."""
        text = f"{self.prediction_id or ''}|{self.key or ''}|{self.label!r}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def to_record(self, at: datetime) -> Record:
        """The label as the lake keeps it; ``at`` is when it arrived."""
        return {
            "label_id": self.label_id,
            "prediction_id": self.prediction_id,
            "key": self.key,
            "label": self.label,
            "time": lake_timestamp(at),
        }


def parse_labels(body: bytes, rules: LabelRules) -> list[Label]:
    """The labels of a request body, all of them or none.

    Raises
    ------
    RequestError
        At the first label that is wrong, with its place. Two values for one prediction in one request are refused
        too: they arrive together, so neither would win.
    """
    entries = _entries(parse_json(body))
    labels = [_label(entry, rules, index) for index, entry in enumerate(entries)]
    first: dict[tuple[str | None, str | None], int] = {}
    for index, label in enumerate(labels):
        reference = label.prediction_id, label.key
        earlier = first.setdefault(reference, index)
        if labels[earlier].label != label.label:
            raise RequestError(
                "conflicting_labels",
                f"labels {earlier} and {index} give {label.prediction_id or label.key!r} two values",
                field="label",
                index=index,
            )
    return labels


def _entries(document: Any) -> list[Any]:
    if not isinstance(document, dict):
        raise RequestError("wrong_type", 'the body is not an object; send {"labels": [...]}')
    unknown = [name for name in document if name != "labels"]
    if unknown:
        raise RequestError("unknown_field", f"the body has an unknown field {unknown[0][:64]!r}")
    entries = document.get("labels")
    if entries is None or entries == []:
        raise RequestError("no_labels", f"'labels' has no entry; send 1 to {MAX_LABELS}", field="labels")
    if not isinstance(entries, list):
        raise RequestError("wrong_type", "'labels' is not a list", field="labels")
    if len(entries) > MAX_LABELS:
        message = f"'labels' has {len(entries)} entries; at most {MAX_LABELS} are accepted at once"
        raise RequestError("too_many_labels", message, field="labels")
    return entries


def _label(entry: Any, rules: LabelRules, index: int) -> Label:
    if not isinstance(entry, dict):
        raise RequestError("wrong_type", "the label is not an object", index=index)
    unknown = [name for name in entry if name not in ("label", *REFERENCES)]
    if unknown:
        message = f"a label has no field {unknown[0][:64]!r}; it has 'label' and one of 'prediction_id' and 'key'"
        raise RequestError("unknown_field", message, field=unknown[0][:64], index=index)
    given = [name for name in REFERENCES if entry.get(name) is not None]
    if len(given) != 1:
        message = "give exactly one of 'prediction_id' and 'key'"
        raise RequestError("missing_field", message, field="prediction_id", index=index)
    reference = _reference(entry[given[0]], given[0], index)
    return Label(_value(entry, rules, index), **{given[0]: reference})


def _reference(value: Any, name: str, index: int) -> str:
    if name == "prediction_id" and type(value) is not str:
        message = "'prediction_id' is not a string; send the id from the answer"
        raise RequestError("wrong_type", message, field=name, index=index)
    return read_key(value, name, index)


def _value(entry: Mapping[str, object], rules: LabelRules, index: int) -> float:
    if "label" not in entry:
        raise RequestError("missing_field", "the field 'label' is missing", field="label", index=index)
    value = entry["label"]
    if rules.classes:
        return _place(value, rules.classes, index)
    if type(value) is not int and type(value) is not float:  # a bool is an int to isinstance
        raise RequestError("wrong_type", f"'label' is {kind_of(value)}; send a number", field="label", index=index)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RequestError("not_finite", f"'label' is {number}, not a finite number", field="label", index=index)
    if rules.is_binary and number not in (0.0, 1.0):
        raise RequestError("label_not_binary", f"'label' is {number:g}; send 0 or 1", field="label", index=index)
    low, high = value_range(rules.low, rules.high)
    if not rules.is_binary and not low <= number <= high:
        message = f"'label' is {number:g}; allowed is {low:g} to {high:g}"
        raise RequestError("out_of_range", message, field="label", index=index)
    return number + 0.0  # -0.0 is 0.0


def _place(value: object, classes: tuple[Class, ...], index: int) -> float:
    """The place of a class by its name. A whole number written as 3.0 names the class 3."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | int) and not isinstance(value, bool) and value in classes:
        return float(classes.index(value))
    found = shown(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else kind_of(value)
    message = f"'label' is {found}, which is not one of the classes {', '.join(map(str, classes))}"
    raise RequestError("unknown_class", message, field="label", index=index)
