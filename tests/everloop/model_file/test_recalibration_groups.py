"""``recalibration.by``: a few groups of a declared feature, and what recalibrating them apart may do."""

from __future__ import annotations

from typing import Any

import pytest

from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import parse_model_file
from everloop.model_file.sizes import GROUP, window_record_bytes
from everloop.recalibration.declared import compared_groups, declared_groups
from everloop.recalibration.grouped_by import MOST_GROUPS, GroupBy
from tests.helpers.declarations import as_yaml, binary_document, declare, regression_document


def told(recalibration: dict[str, Any], document: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    whole = {**(document or binary_document()), "recalibration": recalibration}
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(whole))
    return [(mistake.path, mistake.allowed) for mistake in refused.value.mistakes]


@pytest.mark.parametrize(
    ("recalibration", "groups"),
    [
        ({"by": "line"}, GroupBy("line", values=("north", "south"))),
        ({"by": "line", "groups": ["west"]}, GroupBy("line", values=("west",))),
        ({"by": "operator", "groups": ["alpha", "beta"]}, GroupBy("operator", values=("alpha", "beta"))),
        ({"by": "distance", "edges": [100, 500.5]}, GroupBy("distance", edges=(100, 500.5))),
        ({}, None),
    ],
)
def test_declared_groups_are_taken(recalibration: dict[str, Any], groups: GroupBy | None) -> None:
    read = declare(binary_document(recalibration=recalibration))
    assert declared_groups(read) == compared_groups(read) == groups


def test_fairness_is_between_the_groups_it_names() -> None:
    fairness = {"by": "distance", "edges": [300], "max_selection_rate_gap": 0.1, "days": 14}
    read = declare(binary_document(recalibration={"by": "line", "fairness": fairness}))
    assert declared_groups(read) == GroupBy("line", values=("north", "south"))
    assert compared_groups(read) == GroupBy("distance", edges=(300.0,))
    own = declare(binary_document(recalibration={"by": "line", "fairness": {"max_calibration_gap": 0.1}}))
    assert compared_groups(own) == GroupBy("line", values=("north", "south"))


def test_without_recalibration_there_are_none() -> None:
    read = declare({**binary_document(), "recalibration": "none"})
    assert declared_groups(read) is compared_groups(read) is None


def many_values(count: int) -> dict[str, Any]:
    document = binary_document()
    document["data"]["features"][2]["values"] = [f"line {i}" for i in range(count)]
    return document


@pytest.mark.parametrize(
    ("recalibration", "path", "allowed"),
    [
        ({"by": "platform"}, "by", "the name of a feature: distance, wind, line, operator"),
        ({"by": "operator"}, "groups", "1 to 8 values of 'operator', which declares none itself"),
        ({"by": "distance"}, "edges", "1 to 7 edges: 'distance' is a number, so its groups are spans"),
        ({"by": "distance", "groups": ["near"]}, "groups", "no 'groups': 'distance' is a number"),
        ({"by": "line", "edges": [1]}, "edges", "no 'edges': 'line' is a category"),
        ({"groups": ["north"]}, "groups", "no 'groups' without 'by'"),
        ({"edges": [1]}, "edges", "no 'edges' without 'by'"),
        ({"by": "line", "groups": []}, "groups", "1 to 8 groups"),
        ({"by": "operator", "groups": [str(i) for i in range(9)]}, "groups", "1 to 8 groups"),
        ({"by": "distance", "edges": [1, 2, 3, 4, 5, 6, 7, 8]}, "edges", "1 to 7 edges"),
        ({"by": "distance", "edges": [5, 5]}, "edges[1]", "more than 5, the edge before it"),
        ({"by": "distance", "edges": [0.12345678901]}, "edges[0]", "a number of at most 9 digits"),
        ({"by": "line", "groups": ["north", "north"]}, "groups[1]", "each group once"),
        ({"by": "operator", "groups": ["x" * 65]}, "groups[0]", "a value that 'operator' may have"),
        ({"by": "operator", "groups": ["é" * 60]}, "groups", "shorter or fewer groups"),
        ({"fairness": {}}, "by", "the feature whose groups are recalibrated apart"),
        ({"by": "line", "fairness": {"by": "wind"}}, "fairness.edges", "1 to 7 edges"),
        ({"by": "line", "fairness": {"edges": [1]}}, "fairness.edges", "no 'edges' without 'by'"),
        (
            {"by": "line", "fairness": {"max_selection_rate_gap": 2}},
            "fairness.max_selection_rate_gap",
            "less than or equal to 1",
        ),
        ({"by": "line", "minimum_group_rows": 0}, "minimum_group_rows", "greater than or equal to 1"),
    ],
)
def test_what_makes_no_groups_is_refused_at_its_place(recalibration: dict[str, Any], path: str, allowed: str) -> None:
    ((at, may),) = told(recalibration)
    assert at == f"recalibration.{path}"
    assert allowed in may


def test_groups_and_edges_together_are_refused() -> None:
    (at, may), *_ = told({"by": "line", "groups": ["north"], "edges": [1]})
    assert (at, may) == ("recalibration.edges", "either 'groups' of a category or 'edges' of a number")


def test_a_feature_of_hundreds_of_values_needs_chosen_ones() -> None:
    ((at, may),) = told({"by": "line"}, many_values(300))
    assert (at, may.startswith("1 to 8 of the 300 values of 'line'")) == ("recalibration.groups", True)
    assert declare({**many_values(300), "recalibration": {"by": "line", "groups": ["line 7"]}})


def test_a_value_that_is_refused_at_the_door_makes_no_group() -> None:
    document = binary_document()
    document["data"]["features"][2]["unseen"] = "refuse"
    ((at, may),) = told({"by": "line", "groups": ["north", "west"]}, document)
    assert (at, may) == ("recalibration.groups[1]", "a value that 'line' may have")


def test_a_regression_has_no_rates() -> None:
    ((at, may),) = told({"by": "line", "fairness": {"max_true_positive_rate_gap": 0.1}}, regression_document())
    assert at == "recalibration.fairness.max_true_positive_rate_gap"
    assert "a regression decides nothing" in may


def test_a_record_of_a_window_has_room_for_them() -> None:
    plain, grouped = declare(binary_document()), declare(binary_document(recalibration={"by": "line"}))
    assert window_record_bytes(grouped) - window_record_bytes(plain) == MOST_GROUPS * GROUP
