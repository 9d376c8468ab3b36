"""Several classes are declared by name, and what they can't have is refused where it stands."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.helpers.declarations import CLASSES, binary_document, declare, multiclass_document


def mistakes(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        declare(document)
    return {".".join(map(str, one["loc"])): one["msg"] for one in caught.value.errors()}


def test_classes_are_declared_by_name_and_nothing_is_recalibrated() -> None:
    declared = declare(multiclass_document())
    assert declared.problem.classes == CLASSES
    assert declared.recalibration is None
    assert declare(multiclass_document(problem={"classes": [3, 1, 2]})).problem.classes == [3, 1, 2]


@pytest.mark.parametrize(
    ("classes", "place"),
    [
        (None, "problem.classes"),
        (["a", "b"], "problem.classes"),
        ([*map(str, range(21))], "problem.classes"),
        (["a", "b", "a"], "problem.classes.2"),
        (["a", "b", 3], "problem.classes.2"),
        (["a", "b", True], "problem.classes.2"),
        (["a", "b", ""], "problem.classes.2"),
        (["a", "b", " c"], "problem.classes.2"),
        (["a", "b", "c\u200b"], "problem.classes.2"),
        (["a", "b", "c" * 65], "problem.classes.2"),
        ([1, 2, 2**53], "problem.classes.2"),
        ([1, 2, 3.0], "problem.classes.2"),
    ],
)
def test_classes_that_could_be_mistaken_are_refused(classes: Any, place: str) -> None:
    assert place in mistakes(multiclass_document(problem={"classes": classes}))


def test_classes_of_another_type_are_refused() -> None:
    document = binary_document()
    document["problem"]["classes"] = [*CLASSES]
    assert "no 'classes' with the type binary_classification" in mistakes(document)["problem.classes"]


@pytest.mark.parametrize(
    ("section", "keys", "place"),
    [
        ("problem", {"baseline": {"kind": "last_value"}}, "problem.baseline.kind"),
        ("problem", {"value": {"false_positive_cost": 1.0}}, "problem.value.false_positive_cost"),
        ("problem", {"value": {"error_cost_per_unit": 1.0}}, "problem.value.error_cost_per_unit"),
        ("problem", {"interval": {"coverage": 0.9}}, "problem.interval"),
        ("data", {"positive_rate": [0.1, 0.9]}, "data.positive_rate"),
        ("data", {"target_min": 0.0}, "data.target_min"),
        ("data", {"class_shares": {"early": [0.1, 0.9]}}, "data.class_shares.early"),
        ("data", {"class_shares": {"late": [0.9, 0.1]}}, "data.class_shares.late"),
        ("serving", {"threshold": 0.4}, "serving.threshold"),
        ("gate", {"money": {}}, "gate.money"),
        ("gate", {"metric": "mae"}, "gate.metric"),
        ("gate", {"absolute": [{"metric": "roc_auc", "min": 0.6}]}, "gate.absolute.0.metric"),
        ("training", {"learning_curve": 3}, "training.learning_curve"),
        ("training", {"warm_start": {}}, "training.warm_start"),
        ("retraining", {"investment": {}}, "retraining.investment"),
    ],
)
def test_what_several_classes_lack_is_refused_by_name(section: str, keys: dict[str, Any], place: str) -> None:
    found = mistakes(multiclass_document(**{section: keys}))
    assert "multiclass_classification" in found[place] or "class" in found[place] or "shares" in found[place]


def test_recalibration_is_refused_by_name() -> None:
    document = multiclass_document()
    document["recalibration"] = {"max_shift": 1.0}
    assert "`recalibration: none`" in mistakes(document)["recalibration"]


def test_metrics_of_several_classes_are_theirs_alone() -> None:
    document = binary_document(gate={"absolute": [{"metric": "macro_f1", "min": 0.3}]})
    assert "macro_f1" not in mistakes(document)["gate.absolute.0.metric"]
    assert declare(multiclass_document(gate={"absolute": [{"metric": "macro_f1", "min": 0.3}]}))
    shares = {"late": [0.1, 0.9]}
    assert declare(multiclass_document(data={"class_shares": shares})).data.class_shares == {"late": (0.1, 0.9)}


COSTS = {"on_time": {"late": 20.0, "cancelled": 90.0}, "late": {"on_time": 50.0}, "cancelled": {"on_time": 400.0}}

NUMBERED = {1: {2: 1.0, 3: 1.0}, 2: {1: 1.0, 3: 1.0}}


def test_costs_fairness_and_robustness_of_several_classes_are_declared() -> None:
    gate = {
        "money": {},
        "fairness": {"by": [{"by": "line"}], "max_selection_rate_gap": 0.3},
        "robustness": {"max_noise_flips": 0.1},
    }
    found = declare(multiclass_document(problem={"value": {"costs": COSTS, "decisions": "least_cost"}}, gate=gate))
    assert found.problem.value.costs == COSTS
    numbered = multiclass_document(problem={"classes": [1, 2, 3], "value": {"costs": NUMBERED}})
    numbered["data"].pop("class_shares", None)
    assert declare(numbered).problem.value.costs == {"1": {"2": 1.0, "3": 1.0}, "2": {"1": 1.0, "3": 1.0}}


@pytest.mark.parametrize(
    ("value", "place", "says"),
    [
        ({"costs": {"early": {"late": 1.0}}}, "problem.value.costs.early", "a class of problem.classes: on_time"),
        ({"costs": {"late": {"early": 1.0}}}, "problem.value.costs.late.early", "a class of problem.classes: on_time"),
        ({"costs": {}}, "problem.value.costs", "always deciding for on_time costs least"),
        ({"costs": {"late": {"on_time": 5.0}}}, "problem.value.costs", "always deciding for late costs least"),
        ({"costs": {"late": {"on_time": float("nan")}}}, "problem.value.costs.late.on_time", "finite"),
        ({"costs": {"late": {"on_time": "much"}}}, "problem.value.costs.late.on_time", "number"),
        ({"decisions": "least_cost"}, "problem.value.decisions", "because no `costs` are declared"),
    ],
)
def test_costs_that_decide_nothing_are_refused_where_they_stand(value: dict[str, Any], place: str, says: str) -> None:
    assert says in mistakes(multiclass_document(problem={"value": value}))[place]


def test_costs_are_of_several_classes_alone() -> None:
    document = binary_document()
    document["problem"]["value"] |= {"costs": {"a": {"b": 1.0}}, "decisions": "least_cost"}
    found = mistakes(document)
    assert "no 'costs' with the type binary_classification" in found["problem.value.costs"]
    assert "no 'decisions'" in found["problem.value.decisions"]
